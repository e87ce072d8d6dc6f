"""
### Upkeep of the lake, and verification of the evidence

Thins snapshots that are older than `ECR_AUDIT_RETENTION_DAYS`, but for the last of each month, and removes what killed
runs left. Thinning removes a night's inventory and verdicts, which have a row for every repository; what was rolled
up of them stays, so that trends, changes and ended findings go back to the first night. The newest snapshot is never
touched. A night that was thinned cannot be evaluated again.

With `ECR_AUDIT_EVIDENCE` the log of evidence is verified: its whole chain, and each night of the last week derived
again. What is not as it was sealed fails the run, and is alerted.

Every Sunday. **Run by hand** it only reports what it would remove, unless *Dry run* is switched off in its form;
evidence is verified in any case.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import Param, dag, get_current_context, task

from ecr_audit_airflow.alerts import send_failed_run
from ecr_audit_airflow.common import DEFAULT_ARGS, in_own_process


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

    @task
    def verify_evidence() -> str:
        """Verify the log of evidence, the nights of the last week in full. Skipped without ECR_AUDIT_EVIDENCE."""
        from airflow.sdk.exceptions import AirflowSkipException

        from ecr_audit.settings import load_settings

        if load_settings().evidence is None:
            raise AirflowSkipException("ECR_AUDIT_EVIDENCE is not set")
        found: str = in_own_process("ecr_audit.evidence.steps:verify_log")
        return found

    thin_snapshots()
    verify_evidence()


ecr_maintenance()
