"""
### Compliance of the newest ECR inventory

Evaluates every repository of a committed snapshot under each policy of `sql/policies`, rolls the verdicts up into the
sections of the frameworks, checks the result, and publishes it: `compliance.duckdb`, and each of its tables as Parquet
and CSV. What is published stays as it was until all that has passed. Then a workbook is added, alerts are sent, and the
tables are replaced in PostgreSQL where `ECR_AUDIT_POSTGRES_CONN_ID` names a connection, and findings are imported into
each account's Security Hub where `ECR_AUDIT_SECURITY_HUB_ROLE_NAME` names a role; none waits for another.

Started by the asset that `ecr_inventory` updates. **Run by hand** with a snapshot's date to evaluate a stored snapshot
again, after a policy has changed; the snapshots after it, whose history continues from it, follow.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import Param, dag, get_current_context, task

from ecr_audit_airflow.alerts import send_failed_run, send_night
from ecr_audit_airflow.common import DEFAULT_ARGS, INVENTORY, in_own_process
from ecr_audit_airflow.postgres_connection import postgres_uri
from ecr_audit_airflow.security_hub import import_into_security_hub

# Steps that need much memory run in a separate process, without Airflow's own.
COMPLIANCE_STEPS, PUBLISHING = "ecr_audit.compliance.steps", "ecr_audit.publish.steps"


@dag(
    schedule=[INVENTORY],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    params={
        "snapshot_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Snapshot",
            description="Empty: the snapshot just committed, else the newest.",
        )
    },
    default_args=DEFAULT_ARGS,
    on_failure_callback=send_failed_run,
    tags=["ecr", "compliance"],
    doc_md=__doc__,
)
def ecr_compliance() -> None:
    @task
    def evaluate_policies() -> str:
        """Evaluate the repositories of a snapshot. Returns the snapshot's date."""
        context = get_current_context()
        wanted, events = context["params"]["snapshot_date"], context["triggering_asset_events"].get(INVENTORY, [])
        evaluated: str = in_own_process(
            f"{COMPLIANCE_STEPS}:evaluate", wanted, [event.extra["snapshot_date"] for event in events]
        )
        return evaluated

    @task
    def roll_up_frameworks(snapshot_date: str) -> str:
        """Roll the verdicts up, check everything and commit it; then the same for the snapshots after it."""
        rolled_up: str = in_own_process(f"{COMPLIANCE_STEPS}:roll_up", snapshot_date)
        return rolled_up

    @task
    def publish(snapshot_date: str) -> str:
        """Publish the newest snapshot atomically. Returns its address."""
        address: str = in_own_process(f"{PUBLISHING}:publish", snapshot_date)
        return address

    @task
    def complete_publication() -> None:
        """Add the workbook to the publication, and any other file that it lacks. Red when one cannot be written."""
        in_own_process(f"{PUBLISHING}:complete_publication")

    @task
    def announce() -> str:
        """Report what changed since the snapshot before, also over the channels of alerts."""
        from ecr_audit.publish import steps

        changes = steps.announce()
        send_night()
        return changes

    @task
    def publish_to_postgres() -> None:
        """Replace the tables in PostgreSQL with those just published. Skipped without ECR_AUDIT_POSTGRES_CONN_ID."""
        from airflow.sdk.exceptions import AirflowSkipException

        uri = postgres_uri()
        if uri is None:
            raise AirflowSkipException("ECR_AUDIT_POSTGRES_CONN_ID is not set")
        in_own_process(f"{PUBLISHING}:publish_to_postgres", uri)

    published = publish(roll_up_frameworks(evaluate_policies()))  # type: ignore[arg-type]  # an XComArg
    published >> [announce(), publish_to_postgres(), complete_publication(), task(import_into_security_hub)()]


ecr_compliance()
