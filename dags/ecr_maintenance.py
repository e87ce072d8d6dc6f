"""
### Upkeep of the lake

Thins snapshots that are older than `ECR_AUDIT_RETENTION_DAYS`, but for the last of each month, and removes what killed
runs left. Thinning removes a night's inventory and verdicts, which have a row for every repository; what was rolled
up of them stays, so that trends, changes and ended findings go back to the first night. The newest snapshot is never
touched. A night that was thinned cannot be evaluated again.

Every Sunday. **Run by hand** it only reports what it would remove, unless *Dry run* is switched off in its form.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import Param, dag, get_current_context, task

from ecr_audit_airflow.alerts import send_failed_run
from ecr_audit_airflow.common import DEFAULT_ARGS


@dag(
    # After the night's audit, and before people are at work.
    schedule="0 5 * * 0",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    params={
        "dry_run": Param(
            True,
            type="boolean",
            title="Dry run",
            description="Only log which snapshots would be thinned. A scheduled run thins them.",
        )
    },
    default_args=DEFAULT_ARGS,
    on_failure_callback=send_failed_run,
    tags=["ecr", "maintenance"],
    doc_md=__doc__,
)
def ecr_maintenance() -> None:
    @task
    def thin_snapshots() -> list[str]:
        """Thin old snapshots, or report which. Returns their dates."""
        from ecr_audit.lake import retention

        context = get_current_context()
        by_hand = context["dag_run"].run_type == "manual"
        return retention.maintain(dry_run=by_hand and context["params"]["dry_run"])

    thin_snapshots()


ecr_maintenance()
