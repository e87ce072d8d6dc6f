"""The plan of a night's reading of image tags, and the parts that its batches leave, in the lake under
`_parts/image_tags/<date>/`:

    plan.json  plan-<attempt>.parquet  tag_reads-0001.parquet  listed_tags-0001-<attempt>.parquet

The plan has a row for each repository of the inventory, see sql/image_tags/plan.sql.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
from pydantic import TypeAdapter

from ecr_audit.errors import FinalError
from ecr_audit.inventory.batches import assign_batches
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import PARTS, Lake
from ecr_audit.lake.schemas import IMAGE_TAG_READS, IMAGE_TAGS, REPOSITORIES
from ecr_audit.lake.snapshot import fetch_stage
from ecr_audit.lake.tables import Input, LakeTable, SnapshotFiles
from ecr_audit.settings import Settings
from ecr_audit.vocabulary import ImageTags
from ecr_audit.warehouse.session import Warehouse, open_session
from ecr_audit.warehouse.statements import parse_statement, read_statement

FOLDER = f"{PARTS}/image_tags"


class TagPlanError(FinalError):
    """The image tags of a night cannot be read or committed; the message has the reason."""


@dataclass(frozen=True)
class TagPlan:
    """A night's reading to be, as its tasks share it: they pass the date around and read the rest from the lake."""

    snapshot_date: date
    # The inventory that it was made of.
    inventory_commit: str
    image_tags: ImageTags
    # The file with its rows.
    file: str
    batches: tuple[int, ...]

    @property
    def folder(self) -> str:
        """Where the plan and the parts of its batches are, relative to the lake."""
        return folder_of(self.snapshot_date)


_PLAN = TypeAdapter(TagPlan)


def folder_of(snapshot_date: date) -> str:
    """The folder of a night's plan, relative to the lake."""
    return f"{FOLDER}/{snapshot_date}"


def make_plan(lake: Lake, snapshot_date: date, settings: Settings) -> TagPlan:
    """Plan the reading of a night, and remove the parts of earlier ones. There is always a batch.

    A batch is a run of accounts in the order of their ids, of about the same number of calls, by the tags that their
    repositories had before. Raises TagPlanError when the date has no inventory, or a later one has its tags committed:
    AWS returns only the present state.
    """
    inventory = lake.read_commit("inventory", snapshot_date)
    if inventory is None:
        raise TagPlanError(f"{lake.root}: no inventory of {snapshot_date}: run ecr_inventory first.")
    require_newest(lake, snapshot_date)
    if lake.storage.files(FOLDER):
        lake.storage.remove_folder(FOLDER)
    previous = lake.previous_commit("image_tags", snapshot_date)
    with lake.storage.scratch(f"tag-plan-{snapshot_date}") as folder:
        inputs = [*fetch_stage(lake, inventory, "inventory", folder), previous_input(lake, previous, folder)]
        snapshot = SnapshotFiles(snapshot_date, inputs, inventory.rows[REPOSITORIES.name], folder)
        with open_session(snapshot, owner_tags=settings.owner_tags) as warehouse:
            warehouse.create_view("staging.repositories", read_statement("staging/repositories"))
            statement = read_statement("image_tags/plan")
            warehouse.create_table("staging.unbatched", statement, image_tags=settings.image_tags.value)
            batches = _cut_batches(warehouse, settings.batch_accounts)
            warehouse.write(
                parse_statement("plan", "FROM staging.unbatched LEFT JOIN staging.batches USING (account_id)"),
                folder / "plan.parquet",
            )
        file = f"plan-{uuid.uuid4().hex[:8]}.parquet"
        plan = TagPlan(snapshot_date, inventory.commit_id, settings.image_tags, file, tuple(batches))
        lake.storage.move_in(folder / "plan.parquet", f"{plan.folder}/{file}")
        (folder / "plan.json").write_text(json.dumps(asdict(plan), default=str), encoding="utf-8")
        lake.storage.move_in(folder / "plan.json", f"{plan.folder}/plan.json")
    return plan


def read_plan(lake: Lake, snapshot_date: date) -> TagPlan:
    """The plan of a night. Raises TagPlanError when there is none, LakeError when its file is damaged."""
    plan = lake.storage.read_document(f"{folder_of(snapshot_date)}/plan.json", _PLAN)
    if plan is None:
        raise TagPlanError(f"{lake.root}: no plan to read the image tags of {snapshot_date}. Trigger a new run.")
    return plan


def require_newest(lake: Lake, snapshot_date: date) -> None:
    """Raise TagPlanError when the tags of a later night are committed."""
    if later := [day for day in lake.snapshot_dates("image_tags") if day > snapshot_date]:
        raise TagPlanError(
            f"{snapshot_date}: the image tags of {later[-1]} are committed, and AWS returns only the present state."
            " A missed night stays missed: run ecr_inventory first, then trigger a new run."
        )


def previous_input(lake: Lake, previous: Commit | None, folder: Path, table: LakeTable = IMAGE_TAG_READS) -> Input:
    """A table of the night before, as an input of a session: `previous_<table>`; empty without one."""
    return Input(f"previous_{table.name}", table, [lake.fetch_table(previous, table, folder)] if previous else [])


def previous_inputs(lake: Lake, previous: Commit | None, folder: Path) -> list[Input]:
    """Both tables that a night goes on from."""
    return [previous_input(lake, previous, folder, table) for table in (IMAGE_TAGS, IMAGE_TAG_READS)]


def _cut_batches(warehouse: Warehouse, batch_accounts: int) -> list[int]:
    """Make staging.batches, with the batch of each account that has repositories to read; returns their numbers."""
    found = warehouse.connection.execute(
        "SELECT account_id, sum(calls)::BIGINT FROM staging.unbatched WHERE is_read GROUP BY ALL ORDER BY account_id"
    ).fetchall()
    batch_of = assign_batches([account for account, _ in found], dict(found), batch_accounts, 1)
    schema = pa.schema([("account_id", pa.string()), ("batch", pa.int32())])
    rows = pa.table({"account_id": list(batch_of), "batch": list(batch_of.values())}, schema=schema)
    warehouse.add_arrow("staging.batches", rows)
    return sorted(set(batch_of.values())) or [0]
