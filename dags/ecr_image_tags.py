"""
### Image tags that were overwritten

Reads the digest that each image tag points to (ListImages), in the repositories of the newest inventory that
`ECR_AUDIT_IMAGE_TAGS` names, compares it with the last complete read of the repository, and commits the tags that
moved. Skipped while the setting is `off`, its default.

A repository that was not read completely is not compared: a tag that is not there is then not deleted. What a batch did
not reach within `ECR_AUDIT_BATCH_SECONDS` is read first in the next night.

With `ECR_AUDIT_CLOUDTRAIL`, those who overwrote tags are looked for in the organization's trail, after the moves are
committed.

Started by the asset that `ecr_inventory` updates, beside `ecr_compliance`, which does not wait for it: the moves are in
the next publication. **A batch that failed** can be cleared together with what follows it.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import TriggerRule, dag, get_current_context, task

from ecr_audit_airflow.alerts import send_failed_run
from ecr_audit_airflow.aws_connection import connect_hub
from ecr_audit_airflow.common import DEFAULT_ARGS, INVENTORY, in_own_process

IMAGE_TAGS_STEPS = "ecr_audit.image_tags.steps"


@dag(
    schedule=[INVENTORY],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    on_failure_callback=send_failed_run,
    tags=["ecr", "image tags"],
    doc_md=__doc__,
)
def ecr_image_tags() -> None:
    @task
    def choose_snapshot() -> str:
        """Find the inventory whose repositories are read. Skipped while ECR_AUDIT_IMAGE_TAGS is off, and for a night
        before one whose tags are committed."""
        from airflow.sdk.exceptions import AirflowSkipException

        from ecr_audit.image_tags import steps

        events = get_current_context()["triggering_asset_events"].get(INVENTORY, [])
        snapshot_date = steps.choose_snapshot([event.extra["snapshot_date"] for event in events])
        if snapshot_date is None:
            raise AirflowSkipException("Nothing to read, for the reason above")
        return snapshot_date

    @task
    def plan_reads(snapshot_date: str) -> list[int]:
        """Choose the repositories to read, and cut their accounts into batches. Returns the batches' numbers."""
        batches: list[int] = in_own_process(f"{IMAGE_TAGS_STEPS}:plan", snapshot_date)
        return batches

    @task(map_index_template="batch {{ task.op_kwargs['batch'] }}")
    def read_tags(batch: int, snapshot_date: str) -> None:
        """Read the image tags of a batch of accounts. Fails only when it cannot write what it read."""
        from ecr_audit.image_tags import steps

        steps.read(connect_hub(), snapshot_date, batch, get_current_context()["run_id"])

    # Runs also when batches failed, so that their repositories are recorded as FAILED; but not when all of them did.
    @task(trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
    def commit_tags(snapshot_date: str) -> str:
        """Compare with the night before, and commit the intervals and moves. Returns a sentence on what moved."""
        moved: str = in_own_process(f"{IMAGE_TAGS_STEPS}:commit", snapshot_date)
        return moved

    # The moves are committed by then: a trail that is slow or cannot be read costs their actors alone.
    @task
    def read_trail(snapshot_date: str) -> str:
        """Look in the organization's trail for those who overwrote tags. Skipped without ECR_AUDIT_CLOUDTRAIL."""
        from airflow.sdk.exceptions import AirflowSkipException

        found: str | None = in_own_process(f"{IMAGE_TAGS_STEPS}:read_trail", snapshot_date)
        if found is None:
            raise AirflowSkipException("ECR_AUDIT_CLOUDTRAIL is not set")
        return found

    snapshot_date = choose_snapshot()
    reads = read_tags.partial(snapshot_date=snapshot_date).expand(batch=plan_reads(snapshot_date))  # type: ignore[arg-type]  # an XComArg
    reads >> commit_tags(snapshot_date) >> read_trail(snapshot_date)  # type: ignore[arg-type]  # an XComArg


ecr_image_tags()
