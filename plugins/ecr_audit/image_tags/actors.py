"""Find in the organization's trail who overwrote the tags of a night, and commit it as a stage of its own.

Apart from the moves, which are committed before: a trail that is slow, or that cannot be read, costs the actors alone.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from ecr_audit.image_tags.trail import DELAY, Interval, Registry, RegistryRead, TrailRead, read_trail
from ecr_audit.image_tags.trail_records import EVENTS, Wanted
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import TAG_ACTORS, TAG_MOVES
from ecr_audit.lake.tables import Input, SnapshotFiles
from ecr_audit.text import plural
from ecr_audit.warehouse.session import Resources, Warehouse, open_session
from ecr_audit.warehouse.statements import read_statement

log = logging.getLogger(__name__)

STAGE = "trail"

_REGISTRIES = pa.schema(
    [
        ("account_id", pa.string()),
        ("region", pa.string()),
        ("failed", pa.int64()),
        ("left_out", pa.int64()),
        ("message", pa.string()),
    ]
)

# Faults that a commit names.
_FAULTS_NAMED = 20


def commit_actors(lake: Lake, snapshot_date: date, trail: str, organization_id: str, seconds: float) -> Commit | None:
    """Commit who overwrote the tags of a night, as far as a trail at `s3://bucket/prefix` shows it within some seconds.

    Results of an earlier reading stay; the rest is looked for again. Returns the commit: None when there is nothing to
    look for, because no tag was overwritten, the tags of the night were not read, or all is known.
    """
    moves = lake.read_commit("image_tags", snapshot_date)
    if moves is None:
        return None
    known = lake.read_commit(STAGE, snapshot_date)
    with lake.writer(STAGE, snapshot_date) as writer, lake.storage.scratch(f"actors-{snapshot_date}") as folder:
        known_files = [lake.fetch_table(known, TAG_ACTORS, folder)] if known else []
        inputs = [
            Input(TAG_MOVES.name, TAG_MOVES, [lake.fetch_table(moves, TAG_MOVES, folder)]),
            Input(f"previous_{TAG_ACTORS.name}", TAG_ACTORS, known_files),
        ]
        with open_session(SnapshotFiles(snapshot_date, inputs, 0, folder), resources=Resources()) as warehouse:
            warehouse.create_table("staging.overwrites", read_statement("image_tags/overwrites"))
            overwrites = warehouse.connection.table("staging.overwrites").to_arrow_table().to_pylist()
            if not overwrites:
                return None
            read_at = datetime.now(UTC)
            read = _read(trail, organization_id, overwrites, time.monotonic() + seconds)
            write_actors(warehouse, read, read_at, writer.path(TAG_ACTORS))
        return writer.commit(
            {"image_tags_commit": moves.commit_id, "trail": trail, "read_at": read_at.isoformat(), **_details(read)}
        )


def write_actors(warehouse: Warehouse, read: TrailRead, read_at: datetime, path: Path) -> None:
    """Write who overwrote the tags of `staging.overwrites`, by what was read of the trail."""
    rows = [
        {
            "account_id": account_id,
            "region": region,
            "failed": each.failed,
            "left_out": each.left_out,
            "message": message(each),
        }
        for (account_id, region), each in read.registries.items()
    ]
    warehouse.add_arrow("staging.trail_registries", pa.Table.from_pylist(rows, schema=_REGISTRIES))
    warehouse.add_arrow("staging.trail_events", pa.Table.from_pylist(read.events, schema=EVENTS))
    warehouse.create_table("staging.tag_actors", read_statement("image_tags/actors"), read_at=read_at, delay=DELAY)
    warehouse.write_table("staging.tag_actors", TAG_ACTORS, path)


def message(read: RegistryRead) -> str:
    """The results of reading a registry's log files, in a sentence."""
    text = f"{plural(read.files, 'log file')} read"
    if read.failed:
        text += f", {read.failed:,} not: {read.fault}"
    if read.left_out:
        text += f"; {read.left_out:,} left out by the night's limit"
    return text


def _read(trail: str, organization_id: str, overwrites: list[dict[str, Any]], deadline: float) -> TrailRead:
    """Look for some moves in the trail: for those first that nobody expects."""
    urgent = sorted(
        overwrites,
        key=lambda row: (row["kind"] != "moved_though_immutable", not row["is_release"], row["account_id"]),
    )
    intervals: dict[Registry, list[Interval]] = defaultdict(list)
    pushes: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    forbidden: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for row in urgent:
        registry = row["account_id"], row["region"]
        repository = (*registry, row["repository_name"])
        intervals[registry].append((row["seen_before"], row["seen_after"]))
        pushes[repository][row["tag"]] = row["new_digest"]
        if row["kind"] == "moved_though_immutable":
            forbidden[repository].add(row["tag"])
    return read_trail(trail, organization_id, intervals, Wanted(pushes, forbidden), lambda: time.monotonic() > deadline)


def _details(read: TrailRead) -> dict[str, Any]:
    """The counts and faults of a reading, as its commit notes them."""
    registries = read.registries.items()
    faults = [
        {"account_id": account_id, "region": region, "files": each.failed, "fault": str(each.fault)}
        for (account_id, region), each in registries
        if each.failed
    ]
    return {
        "registries": len(read.registries),
        "files": sum(each.files for _, each in registries),
        "bytes": sum(each.size for _, each in registries),
        "files_failed": sum(each.failed for _, each in registries),
        "files_left_out": sum(each.left_out for _, each in registries),
        "faults": faults[:_FAULTS_NAMED],
    }


def describe_actors(lake: Lake, commit: Commit) -> str:
    """A sentence on a commit, which the log has with what could not be read."""
    outcomes = lake.read_table(commit, TAG_ACTORS, ["trail_outcome"])["trail_outcome"].to_pylist()
    details = commit.details
    found = (
        f"Trail of {commit.snapshot_date}: {plural(details['files'], 'log file')} read; of"
        f" {plural(len(outcomes), 'overwritten tag')} the actor of {outcomes.count('FOUND'):,} is known."
    )
    for fault in details["faults"]:
        where = f"{fault['account_id']} {fault['region']}"
        log.warning("%s: %d log files not read: %s", where, fault["files"], fault["fault"])
    failed, left_out = details["files_failed"], details["files_left_out"]
    if failed or left_out:
        found += f" Not read: {failed:,} that failed, {left_out:,} beyond the night's limit."
    log.info("%s", found)
    return found
