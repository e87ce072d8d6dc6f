"""Make a night of a plan's parts: the intervals in which tags pointed at digests, and the tags that were overwritten.

The intervals of the night before, some 15 million in a large organization, are joined with what is listed now, by runs
of accounts: so memory is bounded, and the files come out sorted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa

from ecr_audit.image_tags.parts import LISTED_TAGS, TAG_READS, fetch_part
from ecr_audit.image_tags.plan import TagPlan, previous_inputs, read_plan, require_newest
from ecr_audit.lake.commits import SCHEMA_VERSION, Commit
from ecr_audit.lake.lake import Lake, SnapshotWriter
from ecr_audit.lake.schemas import IMAGE_TAG_READS, IMAGE_TAGS, TAG_MOVES
from ecr_audit.lake.snapshot import fetch_tag_moves
from ecr_audit.lake.tables import Input, LakeTable, SnapshotFiles, TableFiles
from ecr_audit.warehouse.checks import run_checks
from ecr_audit.warehouse.session import Resources, Warehouse, open_session
from ecr_audit.warehouse.statements import parse_statement, read_statement

log = logging.getLogger(__name__)

# Tags that are compared at a time, if no account has more.
SLICE_TAGS = 1_500_000

# A table between the steps, which the lake does not keep.
CHANGE_COUNTS = LakeTable(
    "change_counts",
    pa.schema([("repository_arn", pa.string()), ("tags_added", pa.int64()), ("tags_removed", pa.int64())]),
    ("repository_arn",),
)


_OF_A_SLICE = ("slice_reads", "differences", "changed")
_STATEMENTS = ("reads", *_OF_A_SLICE, "intervals", "change_counts", "recent_moves", "image_tag_reads")


def commit_tags(lake: Lake, snapshot_date: date, retention_days: int) -> Commit:
    """Commit a plan's parts as the image tags of its date, replacing an earlier commit of that date.

    A night goes on from the newest one before it, so that committing it twice gives the same. Repositories that were
    not read completely keep their intervals; those of a batch that left no part are FAILED. Intervals that ended over
    `retention_days` ago are left out. Raises TagPlanError when a later night is committed, CheckError when what was
    made of the parts fails a check.
    """
    plan = read_plan(lake, snapshot_date)
    require_newest(lake, snapshot_date)
    previous = lake.previous_commit("image_tags", snapshot_date)
    oldest = datetime.combine(snapshot_date, time(), UTC) - timedelta(days=retention_days)
    with (
        lake.writer("image_tags", snapshot_date) as writer,
        lake.storage.scratch(f"compare-{snapshot_date}") as folder,
    ):
        parts, lost = _parts(lake, plan, folder)
        # The last 30 nights but this one, as recent_nights() in sql/macros.sql has it.
        recent = fetch_tag_moves(lake, snapshot_date - timedelta(29), snapshot_date - timedelta(1), folder)
        inputs = [*previous_inputs(lake, previous, folder), recent, *parts]
        with open_session(SnapshotFiles(snapshot_date, inputs, 0, folder), resources=Resources()) as warehouse:
            _show_plan(warehouse, lake.storage.fetched(f"{plan.folder}/{plan.file}", folder))
            compare(warehouse, writer, oldest)
        commit = writer.commit(
            {"inventory_commit": plan.inventory_commit, "image_tags": plan.image_tags.value, "lost_batches": lost}
        )
    _remove_older_intervals(lake, commit, previous)
    return commit


def compare(warehouse: Warehouse, writer: SnapshotWriter, oldest: datetime) -> None:
    """Write the tables of a night, from a session that shows its plan and parts, and the nights before."""
    day, statements = warehouse.snapshot_date, {name: read_statement(f"image_tags/{name}") for name in _STATEMENTS}
    warehouse.create_table("staging.reads", statements["reads"], snapshot_date=day)
    made = {
        IMAGE_TAGS.name: statements["intervals"],
        TAG_MOVES.name: read_statement("marts/tag_moves"),
        CHANGE_COUNTS.name: statements["change_counts"],
    }
    files: dict[str, list[Path]] = {table: [] for table in made}
    for number, (after, up_to) in enumerate(list(_slices(warehouse))):
        warehouse.show_accounts(after, up_to)
        for name in _OF_A_SLICE:
            warehouse.create_table(f"staging.{name}", statements[name])
        for table, statement in made.items():
            files[table].append(path := writer.folder / f"part-{table}-{number}.parquet")
            warehouse.write(statement, path, oldest=oldest)
        for name in _OF_A_SLICE:
            warehouse.connection.execute(f"DROP TABLE staging.{name}")
    for taken in (IMAGE_TAGS, TAG_MOVES):
        writer.take(taken, files[taken.name])
    for given in (IMAGE_TAGS, TAG_MOVES, CHANGE_COUNTS):
        warehouse.register_input(Input(given.name, given, [TableFiles(day, files[given.name], SCHEMA_VERSION)]))
    warehouse.create_table("staging.recent_moves", statements["recent_moves"], snapshot_date=day)
    warehouse.create_table("lake.image_tag_reads", statements["image_tag_reads"])
    warehouse.write_table("lake.image_tag_reads", IMAGE_TAG_READS, writer.path(IMAGE_TAG_READS))
    run_checks(warehouse, stage="image_tags")


def _slices(warehouse: Warehouse) -> Iterator[tuple[str, str]]:
    """Cut the accounts into runs of some SLICE_TAGS: (after, up to and including). Together they are all."""
    counted = warehouse.connection.execute(
        """
        SELECT account_id, greatest(coalesce(known, 0), coalesce(listed, 0))
        FROM (SELECT account_id, count(*) AS known FROM lake.previous_image_tags GROUP BY ALL)
        FULL JOIN (SELECT account_id, count(*) AS listed FROM lake.listed_tags GROUP BY ALL) USING (account_id)
        ORDER BY account_id
        """
    ).fetchall()
    after, last, tags = "", "", 0
    for account_id, count in counted:
        if tags and tags + count > SLICE_TAGS:
            yield after, last
            after, tags = last, 0
        last, tags = account_id, tags + count
    yield after, "~"


def _parts(lake: Lake, plan: TagPlan, folder: Path) -> tuple[Sequence[Input], list[int]]:
    """The parts of the batches as inputs of a session; and the batches that left none."""
    reads, tags, lost = [], [], []
    for batch in plan.batches:
        part = fetch_part(lake, plan, batch, folder)
        if part is None:
            log.warning("Batch %d wrote no results: its repositories are FAILED", batch)
            lost.append(batch)
            continue
        reads.append(part[0])
        tags.append(part[1])
    inputs = [
        Input(table.name, table, [TableFiles(plan.snapshot_date, paths, SCHEMA_VERSION)] if paths else [])
        for table, paths in ((TAG_READS, reads), (LISTED_TAGS, tags))
    ]
    return inputs, lost


def _show_plan(warehouse: Warehouse, path: Path) -> None:
    warehouse.set_variable("plan_file", str(path))
    warehouse.create_view("staging.plan", parse_statement("plan", "FROM read_parquet(getvariable('plan_file'))"))


def _remove_older_intervals(lake: Lake, commit: Commit, previous: Commit | None) -> None:
    """Remove the intervals of all nights but this and the one that it went on from: each night holds all of them."""
    kept = {commit.snapshot_date, previous.snapshot_date if previous else commit.snapshot_date}
    for day in lake.dates_with_files(IMAGE_TAGS):
        if day not in kept:
            lake.remove_table("image_tags", day, IMAGE_TAGS)
