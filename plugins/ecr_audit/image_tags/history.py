"""Make a night of a plan's parts: the intervals in which tags pointed at digests, and the tags that moved.

The intervals of the night before, some 15 million in a large organization, are joined with what is listed now, by runs
of accounts: so memory is bounded, and the files come out sorted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from ecr_audit.image_tags.plan import TagPlan, previous_inputs, read_plan, require_newest
from ecr_audit.image_tags.read import LISTED_TAGS, TAG_READS, fetch_part
from ecr_audit.lake.commits import SCHEMA_VERSION, Commit
from ecr_audit.lake.lake import Lake, SnapshotWriter
from ecr_audit.lake.schemas import IMAGE_TAG_READS, IMAGE_TAGS, TAG_MOVES
from ecr_audit.lake.tables import Input, SnapshotFiles, TableFiles
from ecr_audit.warehouse.session import Resources, Warehouse, open_session
from ecr_audit.warehouse.statements import parse_statement, read_statement

log = logging.getLogger(__name__)

# Tags that are compared at a time, if no account has more.
SLICE_TAGS = 1_000_000


def commit_tags(lake: Lake, snapshot_date: date, retention_days: int) -> Commit:
    """Commit a plan's parts as the image tags of its date, replacing an earlier commit of that date.

    A night goes on from the newest one before it, so that committing it twice gives the same. Repositories that were
    not read completely keep their intervals; those of a batch that left no part are FAILED. Intervals that ended over
    `retention_days` ago are left out. Raises TagPlanError when a later night is committed.
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
        inputs = [*previous_inputs(lake, previous, folder), *parts]
        with open_session(SnapshotFiles(snapshot_date, inputs, 0, folder), resources=Resources()) as warehouse:
            _show_plan(warehouse, lake.storage.fetched(f"{plan.folder}/{plan.file}", folder))
            compare(warehouse, writer, oldest)
        commit = writer.commit(
            {"inventory_commit": plan.inventory_commit, "image_tags": plan.image_tags.value, "lost_batches": lost}
        )
    _remove_older_intervals(lake, commit, previous)
    return commit


def compare(warehouse: Warehouse, writer: SnapshotWriter, oldest: datetime) -> None:
    """Write the tables of a night, from a session that shows its plan and parts, and the night before."""
    warehouse.create_table("staging.reads", read_statement("image_tags/reads"))
    warehouse.write_table("staging.reads", IMAGE_TAG_READS, writer.path(IMAGE_TAG_READS))
    compared, intervals = read_statement("image_tags/compared"), read_statement("image_tags/intervals")
    moves = read_statement("marts/tag_moves")
    files: dict[str, list[Path]] = {IMAGE_TAGS.name: [], TAG_MOVES.name: []}
    for number, (after, up_to) in enumerate(list(_slices(warehouse))):
        warehouse.show_accounts(after, up_to)
        warehouse.create_table("staging.compared", compared)
        for table, statement in ((IMAGE_TAGS, intervals), (TAG_MOVES, moves)):
            files[table.name].append(warehouse_file := writer.folder / f"part-{table.name}-{number}.parquet")
            warehouse.write(statement, warehouse_file, oldest=oldest)
        warehouse.connection.execute("DROP TABLE staging.compared")
    for table in (IMAGE_TAGS, TAG_MOVES):
        writer.take(table, files[table.name])


def _slices(warehouse: Warehouse) -> Iterator[tuple[str, str]]:
    """Cut the accounts into runs of some SLICE_TAGS: (after, up to and including). Together they are all."""
    counted = warehouse.connection.execute(
        """
        SELECT account_id, count(*)
        FROM (
            SELECT account_id FROM lake.previous_image_tags
            UNION ALL
            SELECT account_id FROM lake.listed_tags
        )
        GROUP BY ALL
        ORDER BY account_id
        """
    ).fetchall()
    after, last, tags = "", "", 0
    for account_id, count in counted:
        # A tag that stays is counted in both.
        if tags and tags + count > 2 * SLICE_TAGS:
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
