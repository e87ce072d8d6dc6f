"""Publishes the newest evaluated snapshot: `compliance.duckdb` (database.py) and files beside it (exports.py).

Everything is built and verified aside, then put in place (store.py), the database last. A reader that holds an
old file open keeps reading it; a run that is killed leaves the old files whole. What is missing then, late formats
and those that failed, `complete` adds (completion.py).
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb

from ecr_audit.catalog import Catalog
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import ENDED_FINDINGS, REPOSITORIES
from ecr_audit.lake.snapshot import (
    fetch_history,
    fetch_image_tags,
    fetch_remediation,
    fetch_security_hub,
    fetch_snapshot,
    fetch_stage,
    fetch_tag_actors,
    fetch_tag_moves,
    read_image_tags,
)
from ecr_audit.publish.database import HISTORIES, build_database, verified_rows
from ecr_audit.publish.exports import (
    BY_DEFAULT,
    Source,
    early_exports,
    late_exports,
    reasons,
    write_checksums,
    write_exports,
)
from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.progress import log_writing
from ecr_audit.publish.publication import DATABASE, NOT_YET, Published, PublishError, version_of
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.remediation_plan import PLAN_BY_DEFAULT
from ecr_audit.publish.s3_store import S3PublicationStore
from ecr_audit.publish.sealing import NOT_SEALED, SealedNights
from ecr_audit.settings import ExportSettings, RemediationSettings
from ecr_audit.warehouse.session import FEW_REPOSITORIES, Resources, open_warehouse, resources_for
from ecr_audit.warehouse.statements import WarehouseError

log = logging.getLogger(__name__)

_SPILL = ".spill"

# The megabytes of DuckDB's first try, if there are few repositories: it uses all the memory that it is given.
LEAN_MEGABYTES = 200
# One more is needed for each thousand repositories beyond as many,
LEAN_REPOSITORIES = 100_000
# and for as many findings that ended in all nights: `findings_survival` sorts them by policy, unit, month and days.
ENDED_PER_MEGABYTE = 10_000
# The first try never gets more than the second one, see `Resources`.
MOST_MEGABYTES = 2_000


@dataclass(frozen=True)
class PublishResult:
    """The result of publishing: its path for programs, its address for people, and the rows of each table."""

    published: Published
    address: str
    rows: dict[str, int]

    @property
    def snapshot_date(self) -> date:
        """The snapshot that it shows."""
        return self.published.snapshot_date

    @property
    def database(self) -> Path:
        """The DuckDB file, on this machine."""
        return self.published.database


def publish(
    lake: Lake,
    catalog: Catalog,
    place: Path | PublicationStore | S3PublicationStore,
    *,
    owner_tags: tuple[str, ...],
    retention_days: int | None = None,
    rolled_up: date | None = None,
    as_of: date | None = None,
    options: ExportSettings = BY_DEFAULT,
    plan_settings: RemediationSettings = PLAN_BY_DEFAULT,
    sealed: SealedNights = NOT_SEALED,
) -> PublishResult:
    """Publish the newest evaluated snapshot of the lake into a folder, or wherever publications are kept.

    `retention_days`: tags that moved in nights before these days are left out (default: none).
    `rolled_up`: a date that is known to be evaluated, though a listing of the lake may be too late to show it.
    `as_of`: publish the snapshot of this date instead, as if there were no later one; policies and sections have the
    names of today. `options`: the files for other tools. `plan_settings`: those of the remediation plan. `sealed`:
    the evidence log. Raises PublishError when the snapshot does not exist, when it was thinned, or when what it was
    evaluated on has been replaced since.
    """
    store = PublicationStore(place) if isinstance(place, Path) else place
    history = _read_history(lake, rolled_up, as_of)
    compliance = history[-1]
    inventory = lake.read_commit("inventory", compliance.snapshot_date)
    if inventory is None or inventory.commit_id != compliance.detail("inventory_commit"):
        raise PublishError(
            f"{compliance.snapshot_date}: its repositories were scanned again after the evaluation."
            " Evaluate that date again"
        )
    published_at = datetime.now(UTC)
    with store.building() as aside:
        build = partial(
            _build,
            lake,
            catalog,
            aside,
            history,
            inventory,
            published_at,
            owner_tags,
            retention_days,
            options,
            plan_settings,
            sealed,
        )
        ended = sum(commit.rows.get(ENDED_FINDINGS.name, 0) for commit in history)
        rows, failed = _within_memory(build, inventory.rows[REPOSITORIES.name], ended)
        write_checksums(aside)
        version = version_of(published_at, compliance.commit_id)
        missing = dict.fromkeys(late_exports(options), NOT_YET) | reasons(failed) | sealed.missing
        published = store.add(aside, version, compliance.snapshot_date, missing)
    return PublishResult(published, store.address, rows)


def _read_history(lake: Lake, rolled_up: date | None, as_of: date | None) -> list[Commit]:
    """The compliance commits, oldest first. Each must continue the status history of the one before it.

    A thinned night cannot be evaluated again. When one after it has been, which then continues from a whole one further
    back, the thinned ones in between no longer belong to the history: it would count what ended in them twice.
    """
    dates = {*lake.snapshot_dates("compliance"), *([rolled_up] if rolled_up else [])}
    commits = lake.read_commits("compliance", [day for day in dates if as_of is None or day <= as_of])
    if not commits:
        first = f"; the first is of {min(dates)}" if dates else ""
        raise PublishError(f"{lake.root}: no snapshot has been evaluated{f' by {as_of}' if as_of else ' yet'}{first}")
    if as_of and commits[-1].snapshot_date != as_of:
        before = commits[-1].snapshot_date
        raise PublishError(f"{lake.root}: no snapshot of {as_of} has been evaluated; the one before it is of {before}")
    if as_of and not commits[-1].is_whole:
        raise PublishError(
            f"{as_of}: this night was thinned (ECR_AUDIT_RETENTION_DAYS): its repositories and verdicts were"
            " deleted. The last night of each month is kept in full"
        )
    history, left_out = [commits[-1]], list[date]()
    for earlier in reversed(commits[:-1]):
        if history[-1].detail("previous_commit") == earlier.commit_id:
            history.append(earlier)
        elif not earlier.is_whole:
            left_out.append(earlier.snapshot_date)
        else:
            later = next(commit.snapshot_date for commit in reversed(history) if commit.is_whole)
            raise PublishError(
                f"{later}: its status history does not continue the present one of {earlier.snapshot_date}."
                f" Evaluate {later} and all later dates again, in order"
            )
    if left_out:
        log.warning(
            "%d thinned nights from %s on are left out: a later one was evaluated again without them",
            len(left_out),
            left_out[-1],
        )
    return history[::-1]


# The rows of each table, and the formats that failed.
_Built = tuple[dict[str, int], dict[str, Exception]]


def _within_memory(build: Callable[[Resources], _Built], repositories: int, ended: int) -> _Built:
    """Build with little memory if that may suffice: the memory that the rows need shows only while building."""
    resources = resources_for(repositories)
    if repositories <= FEW_REPOSITORIES:
        lean = f"{lean_megabytes(repositories, ended)}MB"
        try:
            return build(replace(resources, memory=lean))
        except (WarehouseError, duckdb.OutOfMemoryException) as fault:
            if not isinstance(fault.__cause__ or fault, duckdb.OutOfMemoryException):
                raise
            log.info("DuckDB cannot publish this within %s: retrying with %s", lean, resources.memory)
    return build(resources)


def lean_megabytes(repositories: int, ended: int) -> int:
    """The megabytes that suffice for a number of repositories, and of findings that ended in all nights."""
    for_rows = max(0, repositories - LEAN_REPOSITORIES) // 1000 + ended // ENDED_PER_MEGABYTE
    return min(MOST_MEGABYTES, LEAN_MEGABYTES + for_rows)


def _build(
    lake: Lake,
    catalog: Catalog,
    aside: Path,
    history: list[Commit],
    inventory: Commit,
    published_at: datetime,
    owner_tags: tuple[str, ...],
    retention_days: int | None,
    options: ExportSettings,
    plan_settings: RemediationSettings,
    sealed: SealedNights,
    resources: Resources,
) -> _Built:
    """Build all files but those of late formats in a folder, and nothing else in it."""
    for leftover in aside.iterdir():
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    day, tags_date = inventory.snapshot_date, history[-1].image_tags_date
    image_tags = read_image_tags(lake, tags_date) if tags_date else None
    with (
        log_writing("database"),
        fetch_snapshot(lake, day, purpose="publish", image_tags=image_tags) as snapshot,
    ):
        evaluated = fetch_stage(lake, history[-1], "compliance", snapshot.folder)
        histories = [fetch_history(lake, table, history, snapshot.folder) for table in HISTORIES]
        # Up to the night that the verdicts are based on: a newer one may have been read since.
        oldest = date.min if retention_days is None else day - timedelta(days=retention_days)
        histories += fetch_remediation(lake, day, snapshot.folder)
        evaluated += fetch_security_hub(lake, day, snapshot.folder)
        histories.append(fetch_tag_moves(lake, oldest, tags_date or date.min, snapshot.folder))
        histories.append(fetch_tag_actors(lake, oldest, tags_date or date.min, snapshot.folder))
        known_tags = fetch_image_tags(lake, image_tags, snapshot.folder)
        with open_warehouse(snapshot, catalog, owner_tags=owner_tags, resources=resources) as warehouse:
            for each in (*evaluated, *histories, known_tags):
                warehouse.register_input(each)
            warehouse.set_variable("image_tags_known", bool(known_tags.snapshots))
            left_out = warehouse.left_out
            build_database(warehouse, aside / DATABASE, inventory, history, published_at, plan_settings, sealed)
    config = {"memory_limit": resources.memory, "threads": resources.threads, "temp_directory": str(aside / _SPILL)}
    # As every reader opens it, so that what none of them would open is not published.
    with open_published(aside / DATABASE, limits=config, folder=aside) as database:
        rows = verified_rows(database, inventory, history, left_out)
        failed = write_exports(Source(database, lake, options), aside, early_exports(options))
    for fault in failed.values():
        if isinstance(fault, duckdb.OutOfMemoryException) and resources.memory != Resources.memory:
            raise fault
    shutil.rmtree(aside / _SPILL, ignore_errors=True)
    return rows, failed
