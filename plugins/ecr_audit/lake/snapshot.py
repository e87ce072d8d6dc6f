"""Fetches the files of snapshots for a DuckDB session, which is opened over files and does not know the lake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from ecr_audit.lake.commits import IMAGE_TAGS_DATE, Commit
from ecr_audit.lake.lake import PARALLEL_READS, Lake
from ecr_audit.lake.schemas import IMAGE_TAG_READS, IMAGE_TAGS, REPOSITORIES, STAGES, TAG_ACTORS, TAG_MOVES
from ecr_audit.lake.storage import LakeError
from ecr_audit.lake.tables import Input, LakeTable, SnapshotFiles


@contextmanager
def fetch_snapshot(
    lake: Lake, snapshot_date: date, *, purpose: str, image_tags: Commit | None = None
) -> Iterator[SnapshotFiles]:
    """The inventory of a date and the evaluated snapshot before it, at local paths until the block ends.

    `image_tags`: the night whose image tags belong to it, see `find_image_tags`.
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
            Input(
                IMAGE_TAG_READS.name,
                IMAGE_TAG_READS,
                [lake.fetch_table(image_tags, IMAGE_TAG_READS, folder)] if image_tags else [],
            ),
        ]
        yield SnapshotFiles(snapshot_date, inputs, inventory.rows[REPOSITORIES.name], folder, inventory.collected)


def find_image_tags(lake: Lake, snapshot_date: date) -> Commit | None:
    """The night whose image tags an evaluation of a date uses: the newest committed one, at the latest of that date.

    Where this inventory of the date has been evaluated before, the one that was used then, so that evaluating again
    gives the same. None when there is none.
    """
    inventory, evaluated = lake.read_commit("inventory", snapshot_date), lake.read_commit("compliance", snapshot_date)
    if inventory and evaluated and evaluated.details.get("inventory_commit") == inventory.commit_id:
        day = evaluated.image_tags_date
        if IMAGE_TAGS_DATE in evaluated.details and (day is None or (used := read_image_tags(lake, day))):
            return used if day else None
    days = (day for day in reversed(lake.snapshot_dates("image_tags")) if day <= snapshot_date)
    return next((commit for day in days if (commit := read_image_tags(lake, day))), None)


def read_image_tags(lake: Lake, day: date) -> Commit | None:
    """The image tags of a night, if it has more than what is left of a thinned one."""
    commit = lake.read_commit("image_tags", day)
    return commit if commit and IMAGE_TAG_READS.name in commit.files else None


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


def fetch_tag_moves(lake: Lake, first: date, last: date, folder: Path) -> Input:
    """The image tags that were overwritten in the nights of two dates and between, as a history; empty without one."""
    return _fetch_nights(lake, "image_tags", TAG_MOVES, first, last, folder)


def fetch_tag_actors(lake: Lake, first: date, last: date, folder: Path) -> Input:
    """Those who overwrote them, as a history; empty where no trail was read."""
    return _fetch_nights(lake, "trail", TAG_ACTORS, first, last, folder)


def _fetch_nights(lake: Lake, stage: str, table: LakeTable, first: date, last: date, folder: Path) -> Input:
    days = [day for day in lake.snapshot_dates(stage) if first <= day <= last]
    return fetch_history(lake, table, lake.read_commits(stage, days), folder)


def fetch_image_tags(lake: Lake, image_tags: Commit | None, folder: Path) -> Input:
    """The tags of a night with their digests, current and earlier: empty where they are not kept any longer."""
    kept = image_tags is not None and IMAGE_TAGS.name in image_tags.files
    files = [lake.fetch_table(image_tags, IMAGE_TAGS, folder)] if image_tags and kept else []
    return Input(IMAGE_TAGS.name, IMAGE_TAGS, files)


def fetch_remediation(lake: Lake, up_to: date, folder: Path) -> list[Input]:
    """The approvals and actions of remediation plans that were made up to a date, as histories."""
    commits = lake.read_commits("remediation", [day for day in lake.snapshot_dates("remediation") if day <= up_to])
    return [fetch_history(lake, table, commits, folder) for table in STAGES["remediation"]]


def fetch_security_hub(lake: Lake, up_to: date, folder: Path) -> list[Input]:
    """The newest state of imports into Security Hub by a date; empty while none was imported."""
    days = [day for day in lake.snapshot_dates("security_hub") if day <= up_to]
    return fetch_stage(lake, lake.read_commit("security_hub", days[-1]) if days else None, "security_hub", folder)


def fetch_history(lake: Lake, table: LakeTable, commits: Sequence[Commit], folder: Path) -> Input:
    """A table of commits, all together, called `<table>_history`."""
    # Hundreds of small files, each of which S3 takes its time for.
    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        files = list(pool.map(lambda commit: lake.fetch_table(commit, table, folder), commits))
    return Input(f"{table.name}_history", table, files, is_history=True)
