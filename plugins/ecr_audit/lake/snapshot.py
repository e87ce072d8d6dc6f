"""Fetches the files of snapshots for a DuckDB session, which is opened over files and does not know the lake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import PARALLEL_READS, Lake
from ecr_audit.lake.schemas import REPOSITORIES, STAGES, TAG_MOVES
from ecr_audit.lake.storage import LakeError
from ecr_audit.lake.tables import Input, LakeTable, SnapshotFiles


@contextmanager
def fetch_snapshot(lake: Lake, snapshot_date: date, *, purpose: str) -> Iterator[SnapshotFiles]:
    """The inventory of a date and the evaluated snapshot before it, at local paths until the block ends.

    `purpose` names the folder that a session over them spills to; two open sessions need two.
    Raises LakeError when the date has no inventory, or a file of it is damaged.
    """
    inventory = lake.read_commit("inventory", snapshot_date)
    if inventory is None:
        dates = ", ".join(map(str, lake.snapshot_dates("inventory")[-5:])) or "none"
        raise LakeError(f"{lake.root}: no inventory of {snapshot_date}. The newest are: {dates}")
    previous = lake.previous_commit("compliance", snapshot_date)
    # It may have been thinned; with it, a repository can be distinguished from its namesake.
    before = lake.read_commit("inventory", previous.snapshot_date) if previous else None
    with lake.storage.scratch(f"{purpose}-{snapshot_date}") as folder:
        inputs = [
            *fetch_stage(lake, inventory, "inventory", folder),
            # The inventory first: verdicts of an older version find their owners there.
            *fetch_stage(lake, before, "inventory", folder, "previous_"),
            *fetch_stage(lake, previous, "compliance", folder, "previous_"),
        ]
        yield SnapshotFiles(snapshot_date, inputs, inventory.rows[REPOSITORIES.name], folder, inventory.collected)


def fetch_stage(lake: Lake, commit: Commit | None, stage: str, folder: Path, prefix: str = "") -> list[Input]:
    """The tables of a committed stage, called `<prefix><table>`; empty ones without a commit."""
    return [
        Input(
            f"{prefix}{table.name}",
            table,
            [lake.fetch_table(commit, table, folder)] if commit and table.since <= commit.schema_version else [],
        )
        for table in STAGES[stage]
    ]


def fetch_tag_moves(lake: Lake, up_to: date, folder: Path) -> Input:
    """The moves of image tags of all nights up to a date, as a history: empty where no night read tags."""
    days = [day for day in lake.snapshot_dates("image_tags") if day <= up_to]
    return fetch_history(lake, TAG_MOVES, lake.read_commits("image_tags", days), folder)


def fetch_history(lake: Lake, table: LakeTable, commits: Sequence[Commit], folder: Path) -> Input:
    """A table of commits, all together, called `<table>_history`."""
    # Hundreds of small files, each of which S3 takes its time for.
    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        files = list(pool.map(lambda commit: lake.fetch_table(commit, table, folder), commits))
    return Input(f"{table.name}_history", table, files, is_history=True)
