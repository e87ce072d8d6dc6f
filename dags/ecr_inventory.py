"""
### Nightly inventory of ECR

Reads every ECR repository in every active account and enabled region of the organization, and commits one Parquet
snapshot of it.

A target (an account x region) that cannot be read is never skipped: it ends with an outcome that says why, and its
repositories stay as they were last seen, marked as not observed. When no member account at all could be read, nothing
is committed and yesterday's snapshot stays.

**Run by hand** to read only some accounts, organizational units or regions: the rest of the day's snapshot stays as it
is; before the night, the rest of yesterday's. **A batch that failed** can be cleared here together with what follows
it; it reads again only what is missing.

The snapshot's asset event starts `ecr_compliance`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pendulum
from airflow.sdk import Metadata, Param, TriggerRule, dag, get_current_context, task

from ecr_audit_airflow.alerts import send_failed_run
from ecr_audit_airflow.aws_connection import connect_hub
from ecr_audit_airflow.common import DEFAULT_ARGS, INVENTORY


def _list_of(what: str, pattern: str | None = None) -> Param:
    items = {"type": "string", "pattern": pattern} if pattern else {"type": "string"}
    return Param([], type="array", items=items, title=what, description="Empty: all of them.")


@dag(
    schedule="0 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    params={
        "accounts": _list_of("Accounts (12-digit ids)", r"^\d{12}$"),
        "ous": _list_of("Organizational units (ids, or paths: Root/Prod/Payments), with all below them"),
        "regions": _list_of("Regions"),
    },
    default_args=DEFAULT_ARGS,
    on_failure_callback=send_failed_run,
    tags=["ecr", "inventory"],
    doc_md=__doc__,
)
def ecr_inventory() -> None:
    @task
    def discover_organization() -> str:
        """Read the accounts and their OU paths, and start a plan. Returns the plan's id."""
        from ecr_audit.inventory import steps

        context = get_current_context()
        return steps.discover(connect_hub(), context["params"], context["dag_run"].run_after, context["run_id"])

    @task
    def plan_scan(plan_id: str) -> list[int]:
        """Plan every account x region, and cut the accounts into batches. Returns the batches' numbers."""
        from ecr_audit.inventory import steps

        return steps.plan(connect_hub(), plan_id, get_current_context()["params"])

    @task(map_index_template="batch {{ task.op_kwargs['batch'] }}")
    def scan_accounts(batch: int, plan_id: str) -> None:
        """Read the repositories of a batch of accounts. Fails only when it cannot write what it read."""
        from ecr_audit.inventory import steps

        steps.scan(connect_hub(), plan_id, batch)

    # Runs also when batches failed, so that their targets are recorded as FAILED; but not when all of them did.
    @task(outlets=[INVENTORY], trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
    def commit_snapshot(plan_id: str) -> Iterator[Metadata]:
        """Commit one snapshot of all batches atomically. Returns its date."""
        from ecr_audit.inventory import steps

        snapshot_date = steps.commit(plan_id)
        yield Metadata(INVENTORY, extra={"snapshot_date": snapshot_date})

    # Fails the run when too little was seen: after the commit, for what was seen is worth having.
    @task
    def check_coverage(plan_id: str) -> None:
        """Compare the share of targets that were collected with ECR_AUDIT_MIN_COVERAGE."""
        from ecr_audit.inventory import steps

        steps.check_coverage(plan_id)

    plan_id = discover_organization()
    scans = scan_accounts.partial(plan_id=plan_id).expand(batch=plan_scan(plan_id))  # type: ignore[arg-type]  # an XComArg
    scans >> commit_snapshot(plan_id) >> check_coverage(plan_id)  # type: ignore[arg-type]  # an XComArg


ecr_inventory()
