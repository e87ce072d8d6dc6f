"""The lake: one sorted Parquet file per table and snapshot, made visible all at once by a small commit file.

    <lake>/<table>/snapshot_date=YYYY-MM-DD/<commit id>.parquet
    <lake>/_commits/<stage>/YYYY-MM-DD.json        names the files of the snapshot: what it does not name does not exist
    <lake>/_staging/<plan id>/…                    parts of a scan that is under way (see inventory.py)

Files are first written elsewhere, then moved in under a fresh name; the commit file is replaced last, in one atomic
step. So a crash at any moment leaves either the old snapshot or the new one. What a crashed writer left is removed by
the next.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
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
from pyarrow import fs

from ecr_audit.errors import FinalError
from ecr_audit.s3 import S3, S3_ERRORS, SCHEME
from ecr_audit.schemas import ROLLED_UP, STAGES, LakeTable
from ecr_audit.settings import Settings

# Raised when a table's columns change: a column that is added says so in its table's `added`, so that the lakes of
# before can be read. Before raising it keep one of them, see tests/fixtures/write_lake.py.
SCHEMA_VERSION = 4
OLDEST_READABLE = 2

PARQUET_OPTIONS: dict[str, Any] = {"compression": "zstd"}

# Rows of a row group, the unit that DuckDB shares out to its threads: its own writer makes as large ones.
ROW_GROUP_ROWS = 122_880


# Small files that are read at once: each takes a few round trips to S3.
AT_ONCE = 16

_TABLES = tuple(table for tables in STAGES.values() for table in tables)


class LakeError(RuntimeError):
    """The lake cannot be read or written; the message names the file and what is wrong with it."""


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

    @property
    def is_whole(self) -> bool:
        """False for one that was thinned: it names the small tables only, see `Lake.thin_snapshot`."""
        return len(self.files) == len(STAGES[self.stage])


def open_lake(settings: Settings) -> Lake:
    """The lake that the settings name."""
    return Lake(settings.lake_root, settings.s3_encryption)


class Lake:
    """A lake at a local folder or an `s3://bucket/prefix`."""

    def __init__(self, root: str, encryption: str | None = None) -> None:
        """`encryption`: see `S3`; a folder knows nothing of it."""
        self.root = root
        # What this process committed, which a store may be late to list.
        self._committed: set[tuple[str, date]] = set()
        self._s3 = S3(root, encryption) if root.startswith(SCHEME) else None
        if self._s3:
            try:
                region = f"?region={self._s3.region}" if self._s3.region else ""
            except S3_ERRORS as fault:
                raise LakeError(f"ECR_AUDIT_LAKE: '{root}' cannot be reached ({fault})") from fault
            self._fs, self._base = fs.FileSystem.from_uri(f"{self._s3.url}{region}")
        else:
            path = Path(root.removeprefix("file://")).absolute()
            self._fs, self._base = fs.LocalFileSystem(), str(path)

    @property
    def is_local(self) -> bool:
        """Whether the lake is a folder of this machine."""
        return self._s3 is None

    # Reading

    def snapshot_dates(self, stage: str) -> list[date]:
        """Dates of all committed snapshots of a stage, oldest first."""
        folder = fs.FileSelector(f"{self._base}/_commits/{stage}", allow_not_found=True)
        names = [info.base_name for info in self._fs.get_file_info(folder)]
        listed = {date.fromisoformat(name.removesuffix(".json")) for name in names if name.endswith(".json")}
        unlisted = {day for committed, day in self._committed if committed == stage} - listed
        return sorted(listed | {day for day in unlisted if self.exists(_commit_name(stage, day))})

    def read_commit(self, stage: str, snapshot_date: date) -> Commit | None:
        """The commit of a date, or None when that stage of that date was never committed."""
        path = self.absolute(_commit_name(stage, snapshot_date))
        if self._fs.get_file_info(path).type == fs.FileType.NotFound:
            return None
        try:
            document = json.loads(self._read_bytes(path))
            _require_readable(path, document["schema_version"])
            return Commit(
                stage=stage,
                snapshot_date=snapshot_date,
                commit_id=document["commit_id"],
                committed_at=datetime.fromisoformat(document["committed_at"]),
                files=document["files"],
                rows=document["rows"],
                details=document["details"],
                schema_version=document["schema_version"],
            )
        except (ValueError, KeyError, TypeError) as fault:
            raise LakeError(
                f"{path}: not a readable commit file ({fault!r}); restore it, or scan that date anew"
            ) from fault

    def read_commits(self, stage: str, dates: Iterable[date]) -> list[Commit]:
        """The commits of those dates that have one, oldest first."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            commits = list(pool.map(lambda day: self.read_commit(stage, day), sorted(dates)))
        return [commit for commit in commits if commit is not None]

    def previous_commit(self, stage: str, before: date) -> Commit | None:
        """The newest whole commit of a date earlier than `before`."""
        earlier = reversed([day for day in self.snapshot_dates(stage) if day < before])
        commits = (self.read_commit(stage, day) for day in earlier)
        return next((commit for commit in commits if commit and commit.is_whole), None)

    def location(self, commit: Commit, table: LakeTable) -> str:
        """Where the committed file of a table is: a local path, or bucket/key on S3 (see `filesystem`)."""
        return f"{self._base}/{commit.files[table.name]}"

    @property
    def filesystem(self) -> fs.FileSystem:
        """The file system that `location` and the staging paths belong to."""
        return self._fs

    def open_table(self, commit: Commit, table: LakeTable) -> pq.ParquetFile:
        """The committed file of a table. Raises LakeError if it is missing, truncated or has other columns.

        One of an older version has the columns of that version.
        """
        return self.open_parquet(self.location(commit, table), table.schema_of(commit.schema_version))

    def open_parquet(self, location: str, schema: pa.Schema) -> pq.ParquetFile:
        """Any Parquet file of the lake whose columns must be those of `schema`."""
        try:
            file = pq.ParquetFile(location, filesystem=self._fs)
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

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """A local folder for files that are to be moved into the lake. Removed when the block ends.

        Beside a local lake, so that moving is a rename. One that a killed writer of this name left is removed first.
        """
        try:
            if self.is_local:
                parent = Path(self._base, "_scratch")
                parent.mkdir(parents=True, exist_ok=True)
                for leftover in parent.glob(f"{name}.*"):
                    shutil.rmtree(leftover, ignore_errors=True)
                folder = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=parent))
            else:
                folder = Path(tempfile.mkdtemp(prefix=f"{name}."))
        except OSError as fault:
            raise LakeError(f"ECR_AUDIT_LAKE: '{self.root}' cannot be written ({fault})") from fault
        try:
            yield folder
        except OSError as fault:
            if fault.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise LakeError(f"ECR_AUDIT_LAKE: no space left at '{folder}' ({fault})") from fault
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def move_in(self, local: Path, relative: str) -> None:
        """Put a finished local file at a place in the lake, replacing what is there, in one atomic step."""
        target = f"{self._base}/{relative}"
        try:
            if self._s3:
                self._s3.put(local, relative)
                local.unlink()
            else:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                with local.open("rb+") as file:
                    os.fsync(file.fileno())  # content before name: a power cut must not leave an empty file
                local.replace(target)
        except (OSError, *S3_ERRORS) as fault:
            raise LakeError(f"{target}: cannot be written ({fault})") from fault

    def fetch(self, relative: str, local: Path) -> None:
        """Copy a file of the lake to a local place; within a local lake it is a hard link, which costs nothing."""
        source = self.absolute(relative)
        try:
            if self.is_local:
                try:
                    os.link(source, local)
                except OSError:  # another disk, or a file system without links
                    shutil.copyfile(source, local)
            else:
                with self._fs.open_input_stream(source) as stream, local.open("wb") as sink:
                    shutil.copyfileobj(stream, sink, 1 << 20)
        except OSError as fault:
            raise LakeError(f"{source}: cannot be read ({fault})") from fault

    def exists(self, relative: str) -> bool:
        """Whether there is such a file. It is asked for by name, not looked for in a listing, which may be late."""
        return bool(self._fs.get_file_info(self.absolute(relative)).type == fs.FileType.File)

    def staged(self, relative: str) -> list[str]:
        """Relative names of the files under a folder of the lake, sorted; empty when there is no such folder."""
        selector = fs.FileSelector(f"{self._base}/{relative}", recursive=True, allow_not_found=True)
        infos = self._fs.get_file_info(selector)
        return sorted(info.path.removeprefix(f"{self._base}/") for info in infos if info.type == fs.FileType.File)

    def folders(self, relative: str) -> list[str]:
        """Names of the folders directly under a folder of the lake."""
        selector = fs.FileSelector(f"{self._base}/{relative}", allow_not_found=True)
        return sorted(info.base_name for info in self._fs.get_file_info(selector) if info.type == fs.FileType.Directory)

    def absolute(self, relative: str) -> str:
        """The location, within `filesystem`, of a name relative to the lake."""
        return f"{self._base}/{relative}"

    def remove_folder(self, relative: str) -> None:
        """Remove a folder of the lake and all that is in it."""
        if self._s3:
            try:
                self._s3.delete(self._s3.names(f"{relative}/"))
            except S3_ERRORS as fault:
                raise LakeError(f"{self.absolute(relative)}: cannot be removed ({fault})") from fault
        else:
            shutil.rmtree(self.absolute(relative))

    def remove_file(self, relative: str) -> None:
        """Remove a file of the lake."""
        if self._s3:
            try:
                self._s3.delete([relative])
            except S3_ERRORS as fault:
                raise LakeError(f"{self.absolute(relative)}: cannot be removed ({fault})") from fault
        else:
            Path(self.absolute(relative)).unlink()

    def thick_dates(self) -> list[date]:
        """Dates of which the lake holds more than a thinned commit, oldest first; also what was never committed."""
        found = set(self.snapshot_dates("inventory"))
        thinned = {_partition(day) for day in self.snapshot_dates("compliance")}
        for table in _TABLES:
            partitions = set(self.folders(table.name)) - (thinned if table in ROLLED_UP else set())
            found |= {date.fromisoformat(name.removeprefix(_partition(""))) for name in partitions}
        return sorted(found)

    def thin_snapshot(self, snapshot_date: date) -> None:
        """Remove what is large of a date: its inventory and its verdicts. What was rolled up of these stays.

        When that breaks off, what can still be read is whole, and the same call finishes it. A date that was never
        judged goes altogether.
        """
        with self._exclusive():
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

    def remove_scratch(self, before: datetime) -> int:
        """Remove the scratch folders that killed writers left: those last changed before a time. Returns how many.

        On S3 they are in the temporary folder of the machine, which is not the lake's to clean.
        """
        folders = [path for path in Path(self._base, "_scratch").glob("*") if self.is_local]
        old = [path for path in folders if path.stat().st_mtime < before.timestamp()]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        return len(old)

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
            files={table.name: f"{table.name}/{partition}/{commit_id}.parquet" for table in tables},
            rows=rows,
            details=dict(details),
            schema_version=SCHEMA_VERSION,
        )
        with self._exclusive():
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
            for name in self.staged(f"{table}/{partition}"):
                if name != kept:
                    self.remove_file(name)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One committing process at a time on a local lake; the lock falls with the process that holds it.

        S3 has no lock: there the DAGs' `max_active_runs=1` keeps committers apart.
        """
        if not self.is_local:
            yield
            return
        lock = Path(self._base, "_commits", ".lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _read_bytes(self, location: str) -> bytes:
        with self._fs.open_input_stream(location) as stream:
            return bytes(stream.read())


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
