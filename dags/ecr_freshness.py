"""
### Is there a snapshot of last night?

Fails, and sends an alert, when the newest published snapshot is older than it should be by 06:00 UTC:
because `ecr_inventory` or `ecr_compliance` is paused, hangs or fails, or because the scheduler was down. Likewise, a
day later, when image tags are to be read (`ECR_AUDIT_IMAGE_TAGS`) and `ecr_image_tags` has not committed any.

A deadline of Airflow's would not do: it belongs to a run, and a night that was missed has none.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import dag, task

from ecr_audit_airflow.alerts import send_missed_night
from ecr_audit_airflow.common import DEFAULT_ARGS


@dag(
    # The time by which a snapshot is due: DUE in plugins/ecr_audit/publish/freshness.py.
    schedule="0 6 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    on_failure_callback=send_missed_night,
    tags=["ecr", "freshness"],
    doc_md=__doc__,
)
def ecr_freshness() -> None:
    @task
    def check_freshness() -> None:
        """Compare the date of the newest published snapshot with today's."""
        from ecr_audit.publish import freshness
        from ecr_audit.settings import load_settings

        freshness.check_freshness(load_settings(), pendulum.now("UTC"))

    check_freshness()


ecr_freshness()
