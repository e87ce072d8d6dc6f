"""Publishes the newest evaluated snapshot: `compliance.duckdb`, each of its tables as Parquet and CSV, and a workbook.

The two tables with a row for everything, `repositories` and `policy_output`, have no CSV: of 1 million repositories
theirs would be 1.3 GB, and no spreadsheet opens them. What there is to do is in `findings`, which has one.

Everything is built and verified aside, then put in place (store.py), the database last. A reader that holds an
old file open keeps reading it; a run that is killed leaves the old files whole.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import duckdb

from ecr_audit import __version__
from ecr_audit.catalog import Catalog
from ecr_audit.errors import FinalError
from ecr_audit.lake.lake import SCHEMA_VERSION, Commit, Lake
from ecr_audit.lake.schemas import (
    ACCOUNTS,
    CHANGES,
    COVERAGE,
    ENDED_FINDINGS,
    POLICY_OUTPUT,
    POLICY_RUN,
    REPOSITORIES,
    SCAN_TARGETS,
    SCOPE_COMPLIANCE,
    SECTION_COMPLIANCE,
    WAIVERS,
)
from ecr_audit.publish.csv_files import write_csv
from ecr_audit.publish.dictionary import comment_on, load_dictionary
from ecr_audit.publish.lake_views import write_lake_views
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.store import DATABASE, PublicationStore, Published, S3PublicationStore, version_of
from ecr_audit.publish.workbook import write_workbook
from ecr_audit.warehouse import (
    FEW_REPOSITORIES,
    Resources,
    Warehouse,
    WarehouseError,
    open_warehouse,
    parse_statement,
    read_statement,
    resources_for,
)

log = logging.getLogger(__name__)

WORKBOOK = "compliance.xlsx"
LAKE_VIEWS = "lake.sql"
# As sha256sum writes it, and checks it with --check.
CHECKSUMS = "SHA256SUMS"

_SPILL = ".spill"

# Tried first, if there are few repositories. DuckDB fills what it may: with 2 GB, the process would reach one.
LEAN_MEMORY = "200MB"

# DuckDB 1.2's format: drivers of the whole 1.x line open it.
STORAGE_VERSION = "v1.2.0"

# The published tables, and the SQL that each is made of: a file of sql/, or a table of the session as it is. In this
# order: one may read those before it, as `published.<table>`.
TABLES = {
    "repositories": "marts/repositories",
    "accounts": "FROM lake.accounts",
    "account_history": "marts/account_history",
    "scan_targets": "FROM lake.scan_targets",
    "policy_output": "FROM lake.policy_output",
    "policy_run": "FROM lake.policy_run_history",
    "nights": "marts/nights",
    "policies": "FROM catalog.policies",
    "frameworks": "FROM catalog.frameworks",
    "sections": "FROM catalog.sections",
    "section_policies": "FROM catalog.section_policies",
    "section_compliance": "marts/section_compliance_history",
    "findings": "marts/findings",
    "findings_history": "marts/findings_history",
    "changes": "FROM lake.changes_history",
    "coverage": "FROM lake.coverage",
    "compliance_daily": "marts/compliance_daily",
    "ou_ancestors": "marts/ou_ancestors",
    "account_compliance": "marts/account_compliance",
    "ou_compliance": "marts/ou_compliance",
    "owner_compliance": "marts/owner_compliance",
    "region_compliance": "marts/region_compliance",
    "time_to_fix": "marts/time_to_fix",
    "findings_survival": "marts/findings_survival",
    "policy_disagreements": "marts/policy_disagreements",
    "unread_values": "marts/unread_values",
    "waivers": "FROM lake.waivers",
    "publication": "marts/publication",
}

# Views of published tables, which are in the databases and in no file beside them: the same rows once more.
VIEWS = {"open_findings": "marts/open_findings"}

# Too long for a spreadsheet, and with nothing in them to act on that `findings` has not.
WITHOUT_CSV = ("repositories", "policy_output")

# Of these every evaluated snapshot is read, not only the newest.
HISTORIES = (POLICY_RUN, SCOPE_COMPLIANCE, SECTION_COMPLIANCE, CHANGES, ENDED_FINDINGS, COVERAGE)

# Noted in the commits; parameters of marts/unread_values.
READINGS = ("regions_read_at", "regions_error", "units_error", "waivers_read_at", "waivers_error")

# Published tables that have all rows of a history, and those that have all of the newest snapshot's.
_WHOLE_HISTORIES = {"policy_run": POLICY_RUN, "compliance_daily": SCOPE_COMPLIANCE, "changes": CHANGES}
_WHOLE_SNAPSHOT = (POLICY_OUTPUT, COVERAGE, WAIVERS)


class PublishError(FinalError):
    """The lake is in no state to be published, or what was built does not hold what it should."""


@dataclass(frozen=True)
class PublishResult:
    """What was published: where programs open it, where people find it, and the rows of each table."""

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
    rolled_up: date | None = None,
    as_of: date | None = None,
) -> PublishResult:
    """Publish the newest evaluated snapshot of the lake into a folder, or wherever publications are kept.

    `rolled_up`: a date that is known to be evaluated, though a listing of the lake may be too late to show it.
    `as_of`: publish the snapshot of this date instead, as if there were no later one; policies and sections have the
    names of today. Raises PublishError when there is no such snapshot, when it was thinned, or when what it was judged
    on has been replaced since.
    """
    store = PublicationStore(place) if isinstance(place, Path) else place
    history = _read_history(lake, rolled_up, as_of)
    compliance = history[-1]
    inventory = lake.read_commit("inventory", compliance.snapshot_date)
    if inventory is None or inventory.commit_id != compliance.detail("inventory_commit"):
        raise PublishError(
            f"{compliance.snapshot_date}: its repositories were scanned anew after they had been judged."
            " Evaluate that date again"
        )
    published_at = datetime.now(UTC)
    with store.building() as aside:
        build = partial(_build, lake, catalog, aside, history, inventory, published_at, owner_tags)
        rows = _within_memory(build, inventory.rows[REPOSITORIES.name])
        write_lake_views(lake, aside / LAKE_VIEWS)
        _write_checksums(aside)
        version = version_of(published_at, compliance.commit_id)
        published = store.add(aside, version, compliance.snapshot_date)
    return PublishResult(published, store.address, rows)


def _read_history(lake: Lake, rolled_up: date | None, as_of: date | None) -> list[Commit]:
    """The compliance commits, oldest first. Each must continue the status history of the one before it.

    A thinned night cannot be judged anew. When one after it has been, which then continues from a whole one further
    back, the thinned ones in between are no part of the history any more: it would count what ended in them twice.
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
            f"{as_of}: this night was thinned (ECR_AUDIT_RETENTION_DAYS): its repositories and verdicts are gone."
            " The last night of each month is kept whole"
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
                f"{later}: its status history does not continue from {earlier.snapshot_date} as that is now."
                f" Evaluate {later} and all later dates again, in order"
            )
    if left_out:
        log.warning(
            "%d thinned nights from %s on are left out: a later one was judged anew without them",
            len(left_out),
            left_out[-1],
        )
    return history[::-1]


def _within_memory(build: Callable[[Resources], dict[str, int]], repositories: int) -> dict[str, int]:
    """Build with little memory if that may do. How wide rows are, and so what it takes, only shows on the way."""
    resources = resources_for(repositories)
    if repositories <= FEW_REPOSITORIES:
        try:
            return build(replace(resources, memory=LEAN_MEMORY))
        except (WarehouseError, duckdb.OutOfMemoryException) as fault:
            if not isinstance(fault.__cause__ or fault, duckdb.OutOfMemoryException):
                raise
            log.info("DuckDB cannot publish this within %s: again with %s", LEAN_MEMORY, resources.memory)
    return build(resources)


def _build(
    lake: Lake,
    catalog: Catalog,
    aside: Path,
    history: list[Commit],
    inventory: Commit,
    published_at: datetime,
    owner_tags: tuple[str, ...],
    resources: Resources,
) -> dict[str, int]:
    """Build all files in a folder, and nothing else in it; returns the rows of each table."""
    for leftover in aside.iterdir():
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    day = inventory.snapshot_date
    with open_warehouse(lake, catalog, day, purpose="publish", owner_tags=owner_tags, resources=resources) as warehouse:
        warehouse.add_stage(history[-1], "compliance")
        for table in HISTORIES:
            warehouse.add_history(table, history)
        left_out = warehouse.left_out
        _build_database(warehouse, aside / DATABASE, inventory, history[-1], published_at)
    config = {"memory_limit": resources.memory, "threads": resources.threads, "temp_directory": str(aside / _SPILL)}
    # As every reader opens it, so that what none of them would open is not published.
    with open_published(aside / DATABASE, limits=config, folder=aside) as database:
        rows = _verified_rows(database, inventory, history, left_out)
        # One after the other: side by side they would be done in three quarters of the time, with 100 MB more.
        for name in TABLES:
            _export(database, name, aside)
        write_workbook(database, aside / WORKBOOK)
    shutil.rmtree(aside / _SPILL, ignore_errors=True)
    return rows


def _build_database(
    warehouse: Warehouse, path: Path, inventory: Commit, compliance: Commit, published_at: datetime
) -> None:
    quoted = str(path).replace("'", "''")
    warehouse.connection.execute(f"ATTACH '{quoted}' AS published (STORAGE_VERSION '{STORAGE_VERSION}')")
    for table, source in TABLES.items():
        statement = parse_statement(source, source) if source.startswith("FROM") else read_statement(source)
        warehouse.create_table(
            f"published.{table}",
            statement,
            snapshot_date=compliance.snapshot_date,
            published_at=published_at,
            inventory_commit=inventory.commit_id,
            inventory_run_id=inventory.details.get("run_id"),
            organization_id=inventory.details.get("organization_id"),
            program_version=__version__,
            missing_accounts=inventory.details.get("missing_accounts"),
            missing_regions=inventory.details.get("missing_regions"),
            compliance_commit=compliance.commit_id,
            lake_schema_version=SCHEMA_VERSION,
            **readings(inventory, compliance),
        )
    comment_on(warehouse.connection, "published", load_dictionary(TABLES))
    # Within the database, so that a view names its tables whatever the file is called where it is opened.
    warehouse.connection.execute("USE published")
    for view, source in VIEWS.items():
        warehouse.create_view(view, read_statement(source))
    comment_on(warehouse.connection, "main", load_dictionary(VIEWS), "VIEW")
    warehouse.connection.execute("USE memory")
    warehouse.connection.execute("DETACH published")


def readings(inventory: Commit, compliance: Commit) -> dict[str, str | None]:
    """What commits note of the readings that no table has: when, and why they failed. An older version noted none."""
    noted = {**inventory.details, **compliance.details}
    return {name: noted.get(name) for name in READINGS}


def _verified_rows(
    database: duckdb.DuckDBPyConnection, inventory: Commit, history: Sequence[Commit], left_out: Mapping[str, int]
) -> dict[str, int]:
    """Rows of each table of the file, as it reads; those that come from the lake must be as many as were committed.

    `left_out`: how many rows of which table were not, see `Warehouse.add_stage`.
    """
    rows = {table: database.table(table).shape[0] for table in TABLES}
    snapshot = {table.name: inventory.rows[table.name] for table in (ACCOUNTS, SCAN_TARGETS, REPOSITORIES)}
    snapshot |= {table.name: history[-1].rows[table.name] for table in _WHOLE_SNAPSHOT}
    expected = {name: count - left_out.get(name, 0) for name, count in snapshot.items()}
    expected |= {
        name: sum(commit.rows[table.name] for commit in history) - left_out.get(f"{table.name}_history", 0)
        for name, table in _WHOLE_HISTORIES.items()
    }
    if wrong := [
        f"{table} has {rows[table]} rows, not {count}" for table, count in expected.items() if rows[table] != count
    ]:
        raise PublishError(f"{DATABASE} was built wrongly and is not published: {'; '.join(wrong)}")
    return rows


def _export(database: duckdb.DuckDBPyConnection, table: str, folder: Path) -> None:
    # Level 1: DuckDB's usual 3 takes twice the time, and its files are no smaller.
    database.execute(
        f"COPY {table} TO $path (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)",
        {"path": str(folder / f"{table}.parquet")},
    )
    if table not in WITHOUT_CSV:
        write_csv(database, table, folder / f"{table}.csv")


def _write_checksums(folder: Path) -> None:
    """Write the SHA-256 of each file beside them, so that a copy can be checked."""
    lines = []
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
