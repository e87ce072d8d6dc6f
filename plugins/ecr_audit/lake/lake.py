"""The lake: one sorted Parquet file per table and snapshot, made visible all at once by a small commit file.

    <lake>/<table>/snapshot_date=YYYY-MM-DD/<commit id>.parquet
    <lake>/_commits/<stage>/YYYY-MM-DD.json        names the files of the snapshot: what it does not name does not exist
    <lake>/_staging/<plan id>/…                    parts of a scan that is under way (see inventory/scan.py)

Files are first written elsewhere, then moved in under a fresh name; the commit file is replaced last, in one atomic
step. So a crash at any moment leaves either the old snapshot or the new one. What a crashed writer left is removed by
the next.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from ecr_audit.errors import FinalError
from ecr_audit.lake.schemas import ROLLED_UP, STAGES, LakeTable
from ecr_audit.lake.storage import LakeError, Storage
from ecr_audit.settings import Settings
from ecr_audit.untrusted_files import parse_json

# Raised when a table's columns change: a column that is added says so in its table's `added`, so that the lakes of
# before can be read. Before raising it keep one of them, see tests/fixtures/write_lake.py.
SCHEMA_VERSION = 5
OLDEST_READABLE = 2

PARQUET_OPTIONS: dict[str, Any] = {"compression": "zstd"}

# Rows of a row group, the unit that DuckDB shares out to its threads: its own writer makes as large ones.
ROW_GROUP_ROWS = 122_880

# Small files that are read at once: each takes a few round trips to S3.
PARALLEL_READS = 16

# In the details of commits of both stages, see `Commit.inventory_checks`.
INVENTORY_CHECKS = "inventory_checks"

COMMIT_LOCK = "_commits/.lock"

_TABLES = tuple(table for tables in STAGES.values() for table in tables)
_TABLE_NAMES = frozenset(table.name for table in _TABLES)


class LakeVersionError(LakeError, FinalError):
    """Another version of the audit wrote the lake, which this one cannot read."""


@dataclass(frozen=True)
class Commit:
    """One committed stage of one snapshot: the names of its files, relative to the lake, by table.

    A thinned one names fewer files; `rows` still counts what there was.
    """

    stage: str
    snapshot_date: date
    commit_id: str
    committed_at: datetime
    files: Mapping[str, str]
    rows: Mapping[str, int]
    # What the writer wants remembered: the run, the inventory commit that was judged, and the like.
    details: Mapping[str, Any]
    # The version of the schema that its files were written with.
    schema_version: int

    def detail(self, name: str) -> Any:
        """What the writer wanted remembered under a name. Raises LakeError when the commit file lacks it."""
        if name not in self.details:
            raise LakeError(
                f"_commits/{self.stage}/{self.snapshot_date}.json: not a readable commit file (no {name!r} among its"
                " details); restore it, or scan that date again"
            )
        return self.details[name]

    @property
    def is_whole(self) -> bool:
        """False for one that was thinned: it names the small tables only, see `Lake.thin_snapshot`."""
        return len(self.files) == len(STAGES[self.stage])

    @property
    def inventory_checks(self) -> list[str]:
        """Checks that the night's inventory passed before it was committed; older versions ran none of them then."""
        return list(self.details.get(INVENTORY_CHECKS, ()))


@dataclass(frozen=True)
class _Versioned:
    """Of a commit file, what all versions of the audit have."""

    schema_version: Any


def open_lake(settings: Settings) -> Lake:
    """The lake that the settings name."""
    return Lake(settings.lake_root, settings.s3_encryption)


class Lake(Storage):
    """A lake at a local folder or an `s3://bucket/prefix`."""

    def __init__(self, root: str, encryption: str | None = None) -> None:
        """`encryption`: see `S3`; a folder knows nothing of it."""
        super().__init__(root, encryption)
        # What this process committed, which a store may be late to list.
        self._committed: set[tuple[str, date]] = set()

    # Reading

    def snapshot_dates(self, stage: str) -> list[date]:
        """Dates of all committed snapshots of a stage, oldest first."""
        names = [name.rpartition("/")[2] for name in self.files(f"_commits/{stage}")]
        listed = {_date_in(name, stage, "", ".json") for name in names if name.endswith(".json")}
        unlisted = {day for committed, day in self._committed if committed == stage} - listed
        return sorted(listed | {day for day in unlisted if self.exists(_commit_name(stage, day))})

    def read_commit(self, stage: str, snapshot_date: date) -> Commit | None:
        """The commit of a date, or None when that stage of that date was never committed."""
        content = self.read(_commit_name(stage, snapshot_date))
        if content is None:
            return None
        path = self.absolute(_commit_name(stage, snapshot_date))
        try:
            _require_readable(path, parse_json(content, _VERSIONED).schema_version)
            commit = parse_json(content, _COMMIT)
            _require_own_files(commit, stage, snapshot_date)
        except ValueError as fault:
            raise LakeError(
                f"{path}: not a readable commit file ({fault}); restore it, or scan that date again"
            ) from fault
        return commit

    def read_commits(self, stage: str, dates: Iterable[date]) -> list[Commit]:
        """The commits of those dates that have one, oldest first."""
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            commits = list(pool.map(lambda day: self.read_commit(stage, day), sorted(dates)))
        return [commit for commit in commits if commit is not None]

    def previous_commit(self, stage: str, before: date) -> Commit | None:
        """The newest whole commit of a date earlier than `before`."""
        earlier = reversed([day for day in self.snapshot_dates(stage) if day < before])
        commits = (self.read_commit(stage, day) for day in earlier)
        return next((commit for commit in commits if commit and commit.is_whole), None)

    def location(self, commit: Commit, table: LakeTable) -> str:
        """The whole name of the committed file of a table: a local path, or s3://bucket/key."""
        return self.absolute(commit.files[table.name])

    def open_table(self, commit: Commit, table: LakeTable) -> pq.ParquetFile:
        """The committed file of a table. Raises LakeError if it is missing, truncated or has other columns.

        One of an older version has the columns of that version. One on S3 is read from a copy on the disk, which goes
        when the file is closed.
        """
        with self.local(relative := commit.files[table.name]) as path:
            return self.open_parquet(relative, path, table.schema_of(commit.schema_version))

    def open_parquet(self, relative: str, path: Path, schema: pa.Schema) -> pq.ParquetFile:
        """A Parquet file of the lake, which is at a local path, and whose columns must be those of `schema`."""
        location = self.absolute(relative)
        if not path.is_file():  # a pipe would be waited for
            raise LakeError(f"{location}: cannot be read as Parquet (there is no such file)")
        try:
            file = pq.ParquetFile(path)
        except (OSError, pa.ArrowInvalid) as fault:
            raise LakeError(f"{location}: cannot be read as Parquet ({fault})") from fault
        if (found := _columns(file.schema_arrow)) != (expected := _columns(schema)):
            different = sorted(set(found.items()) ^ set(expected.items()))
            raise LakeError(f"{location}: columns differ from the table's: {different}")
        return file

    # Writing

    @contextmanager
    def writer(self, stage: str, snapshot_date: date) -> Iterator[SnapshotWriter]:
        """A writer of all tables of a stage. What was not committed when the block ends is thrown away."""
        with self.scratch(f"{stage}-{snapshot_date}") as folder:
            yield SnapshotWriter(self, stage, snapshot_date, folder)

    def unthinned_dates(self) -> list[date]:
        """Dates of which the lake holds more than a thinned commit, oldest first; also what was never committed."""
        found = set(self.snapshot_dates("inventory"))
        thinned = {_partition(day) for day in self.snapshot_dates("compliance")}
        for table in _TABLES:
            partitions = set(self.folders(table.name)) - (thinned if table in ROLLED_UP else set())
            found |= {_date_in(name, table.name, _partition(""), "") for name in partitions}
        return sorted(found)

    def thin_snapshot(self, snapshot_date: date) -> None:
        """Remove what is large of a date: its inventory and its verdicts. What was rolled up of these stays.

        When that breaks off, what can still be read is whole, and the same call finishes it. A date that was never
        judged goes altogether.
        """
        with self._locked(COMMIT_LOCK):
            # The later stage first: what was judged must not outlive what it was judged on.
            if compliance := self.read_commit("compliance", snapshot_date):
                files = {table.name: compliance.files[table.name] for table in ROLLED_UP}
                with self.scratch(f"thin-{snapshot_date}") as folder:
                    self._write_commit_file(replace(compliance, files=files), folder)
            if snapshot_date in self.snapshot_dates("inventory"):
                self.remove_file(_commit_name("inventory", snapshot_date))
            for table in _TABLES:
                is_kept = compliance is not None and table in ROLLED_UP
                if not is_kept and _partition(snapshot_date) in self.folders(table.name):
                    self.remove_folder(f"{table.name}/{_partition(snapshot_date)}")

    def _commit(self, writer: SnapshotWriter, details: Mapping[str, Any]) -> Commit:
        tables = STAGES[writer.stage]
        rows = {table.name: self._verified_rows(writer.path(table), table) for table in tables}
        commit_id = uuid.uuid4().hex[:12]
        partition = _partition(writer.snapshot_date)
        commit = Commit(
            stage=writer.stage,
            snapshot_date=writer.snapshot_date,
            commit_id=commit_id,
            committed_at=datetime.now(UTC),
            files={table.name: _file_name(table.name, writer.snapshot_date, commit_id) for table in tables},
            rows=rows,
            details=dict(details),
            schema_version=SCHEMA_VERSION,
        )
        with self._locked(COMMIT_LOCK):
            for table in tables:
                self.move_in(writer.path(table), commit.files[table.name])
            self._write_commit_file(commit, writer.folder)
            self._remove_superseded(commit, partition)
        return commit

    def _verified_rows(self, path: Path, table: LakeTable) -> int:
        file = pq.ParquetFile(path)
        if _columns(file.schema_arrow) != _columns(table.schema):
            raise LakeError(
                f"{table.name}: to be committed with other columns than its schema has: {file.schema_arrow}"
            )
        return int(file.metadata.num_rows)

    def _write_commit_file(self, commit: Commit, folder: Path) -> None:
        local = folder / "commit.json"
        local.write_text(json.dumps(asdict(commit), default=str, indent=1), encoding="utf-8")
        self.move_in(local, _commit_name(commit.stage, commit.snapshot_date))
        self._committed.add((commit.stage, commit.snapshot_date))

    def _remove_superseded(self, commit: Commit, partition: str) -> None:
        """Remove what the partition still holds of earlier commits, and of writers that died before theirs."""
        for table, kept in commit.files.items():
            for name in self.files(f"{table}/{partition}"):
                if name != kept:
                    self.remove_file(name)


@dataclass(frozen=True)
class SnapshotWriter:
    """Collects the files of one stage of one snapshot in a local folder, then commits them together."""

    lake: Lake
    stage: str
    snapshot_date: date
    folder: Path

    def path(self, table: LakeTable) -> Path:
        """Where the caller writes the Parquet file of a table (pyarrow or DuckDB's COPY)."""
        return self.folder / f"{table.name}.parquet"

    def write(self, table: LakeTable, rows: pa.Table) -> None:
        """Write a table that fits into memory, sorted as the lake wants it."""
        ordered = rows.cast(table.schema).sort_by([(column, "ascending") for column in table.sort_by])
        pq.write_table(ordered, self.path(table), row_group_size=ROW_GROUP_ROWS, **PARQUET_OPTIONS)

    def commit(self, details: Mapping[str, Any]) -> Commit:
        """Make the snapshot visible. Raises LakeError, with nothing changed, if a table is missing or misshapen."""
        missing = [table.name for table in STAGES[self.stage] if not self.path(table).exists()]
        if missing:
            raise LakeError(f"{self.stage} of {self.snapshot_date}: not written: {', '.join(missing)}")
        return self.lake._commit(self, details)


_COMMIT = TypeAdapter(Commit)
_VERSIONED = TypeAdapter(_Versioned)
_COMMIT_ID = re.compile(r"[0-9a-f]{12}")


def _require_own_files(commit: Commit, stage: str, snapshot_date: date) -> None:
    """Raise ValueError unless the commit is of that stage and date, and names files that it can have written.

    A name becomes part of a path: one with `..` in it would be read, and on S3 downloaded, to anywhere.
    """
    if (commit.stage, commit.snapshot_date) != (stage, snapshot_date):
        raise ValueError(f"it is of {commit.stage[:100]!r} and {commit.snapshot_date}")
    if not _COMMIT_ID.fullmatch(commit.commit_id):
        raise ValueError(f"commit_id: {commit.commit_id[:100]!r}")
    for table, name in commit.files.items():
        if table not in _TABLE_NAMES or name != _file_name(table, snapshot_date, commit.commit_id):
            raise ValueError(f"files: {table[:100]!r}: {name[:100]!r}")


def _date_in(name: str, folder: str, prefix: str, suffix: str) -> date:
    """The date in a name that was listed. Raises LakeError for a name that the audit does not give."""
    text = name.removeprefix(prefix).removesuffix(suffix)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or name != f"{prefix}{day}{suffix}":
        raise LakeError(f"{folder}: {name!r} is not a name that the audit gives. Take it out of the lake")
    return day


def _file_name(table: str, snapshot_date: date, commit_id: str) -> str:
    return f"{table}/{_partition(snapshot_date)}/{commit_id}.parquet"


def _require_readable(path: str, version: object) -> None:
    if isinstance(version, int) and OLDEST_READABLE <= version <= SCHEMA_VERSION:
        return
    remedy = (
        "A newer version of the audit wrote it: bring this one up to date, for an older one cannot read it"
        if isinstance(version, int) and version > SCHEMA_VERSION
        else "No release of the audit wrote it: restore the lake, or set ECR_AUDIT_LAKE to a place for a new one"
    )
    raise LakeVersionError(
        f"{path}: of lake schema version {version!r}; this program reads {OLDEST_READABLE} to {SCHEMA_VERSION}."
        f" {remedy}"
    )


def _commit_name(stage: str, snapshot_date: date) -> str:
    return f"_commits/{stage}/{snapshot_date.isoformat()}.json"


def _partition(snapshot_date: date | str) -> str:
    return f"snapshot_date={snapshot_date}"


def _columns(schema: pa.Schema) -> dict[str, str]:
    """Names and types, without nullability or field metadata, which writers differ in."""
    return {field.name: _type_name(field.type) for field in schema}


def _type_name(kind: pa.DataType) -> str:
    # Writers name the elements of lists and maps differently ("item", "element", "list"); the type is the same.
    if pa.types.is_map(kind):
        return f"map<{_type_name(kind.key_type)},{_type_name(kind.item_type)}>"
    if pa.types.is_list(kind):
        return f"list<{_type_name(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return "struct<" + ",".join(f"{field.name}:{_type_name(field.type)}" for field in kind) + ">"
    return str(kind)
