"""The lake: sorted Parquet files of each table and snapshot, made visible atomically by a small commit file.

    <lake>/<table>/snapshot_date=YYYY-MM-DD/<commit id>.parquet        with -0001, -0002 … where a table has several
    <lake>/_commits/<stage>/YYYY-MM-DD.json        names the files of the snapshot: what it does not name does not exist
    <lake>/_parts/…                                parts of a scan that is under way (inventory/plan.py), and verdicts
                                                   that are not rolled up yet (compliance/evaluation.py)

Files are first written elsewhere, then moved in under a fresh name; the commit file is replaced last, in one atomic
step. So a crash at any moment leaves either the old snapshot or the new one. What a crashed writer left is removed by
the next.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ecr_audit.lake.commits import (
    SCHEMA_VERSION,
    SHA256,
    Commit,
    commit_document,
    commit_name,
    file_names,
    parse_commit,
    partition,
)
from ecr_audit.lake.schemas import KEPT, STAGES
from ecr_audit.lake.storage import LakeError, Storage, link_or_copy
from ecr_audit.lake.tables import LakeTable, TableFiles
from ecr_audit.settings import Settings
from ecr_audit.untrusted_files import sha256_of

PARQUET_OPTIONS: dict[str, Any] = {"compression": "zstd"}

# Rows of a row group, the unit that DuckDB shares out to its threads: its own writer makes as large ones.
ROW_GROUP_ROWS = 122_880

# Small files read in parallel: each takes a few round trips to S3.
PARALLEL_READS = 16

# Parts of scans, and verdicts that are not rolled up yet.
PARTS = "_parts"

COMMIT_LOCK = "_commits/.lock"


def open_lake(settings: Settings) -> Lake:
    """The lake that the settings name."""
    return Lake(settings.lake_root, settings.s3_encryption)


class Lake:
    """A lake at a local folder or an `s3://bucket/prefix`; `storage` holds its files."""

    def __init__(self, root: str, encryption: str | None = None) -> None:
        """`encryption`: see `S3`; a folder knows nothing of it."""
        self.storage = Storage(root, encryption)
        # Commits of this process, which a store may be late to list.
        self._committed: set[tuple[str, date]] = set()

    @property
    def root(self) -> str:
        """The folder or place on S3, as it was given."""
        return self.storage.root

    # Reading

    def snapshot_dates(self, stage: str) -> list[date]:
        """Dates of all committed snapshots of a stage, oldest first."""
        names = [name.rpartition("/")[2] for name in self.storage.files(f"_commits/{stage}")]
        listed = {_date_in(name, stage, "", ".json") for name in names if name.endswith(".json")}
        unlisted = {day for committed, day in self._committed if committed == stage} - listed
        return sorted(listed | {day for day in unlisted if self.storage.exists(commit_name(stage, day))})

    def read_commit(self, stage: str, snapshot_date: date) -> Commit | None:
        """The commit of a date, or None when that stage of that date was never committed."""
        name = commit_name(stage, snapshot_date)
        content = self.storage.read(name)
        return None if content is None else parse_commit(content, self.storage.absolute(name), stage, snapshot_date)

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

    def locations(self, commit: Commit, table: LakeTable) -> list[str]:
        """The whole names of the committed files of a table: local paths, or s3://bucket/key."""
        return [self.storage.absolute(name) for name in commit.files[table.name]]

    def fetch_table(self, commit: Commit, table: LakeTable, folder: Path) -> TableFiles:
        """The committed files of a table at local paths, see `fetch_files`."""
        names, rows, version = commit.files[table.name], commit.rows[table.name], commit.schema_version
        paths = self.fetch_files(table, names, folder, rows=rows, version=version)
        return TableFiles(commit.snapshot_date, paths, version, commit.may_repeat_keys)

    def fetch_files(
        self, table: LakeTable, names: Sequence[str], folder: Path, *, rows: int, version: int = SCHEMA_VERSION
    ) -> list[Path]:
        """Files of a table at local paths, see `Storage.fetched`.

        Raises LakeError if one is missing, truncated or has other columns than its version, or if together they do not
        have `rows` rows.
        """
        schema = table.schema_of(version)
        paths = [self.storage.fetched(name, folder) for name in names]
        found = sum(self._verified_rows(name, path, schema) for name, path in zip(names, paths, strict=True))
        if found != rows:
            location = self.storage.absolute(names[0].rpartition("/")[0])
            raise LakeError(f"{location}: has {found:,} rows in {len(names)} files, not the {rows:,} that were written")
        return paths

    @contextmanager
    def local_table(self, commit: Commit, table: LakeTable) -> Iterator[TableFiles]:
        """The same for as long as the block lasts."""
        with tempfile.TemporaryDirectory(prefix="ecr-audit-") as folder:
            yield self.fetch_table(commit, table, Path(folder))

    def read_table(self, commit: Commit, table: LakeTable, columns: Sequence[str] | None = None) -> pa.Table:
        """The committed rows of a table that fits into memory, with the columns of the commit's version.

        With `columns`, only those of them that this version has. Raises LakeError as `fetch_files` does.
        """
        with self.local_table(commit, table) as files:
            return pa.concat_tables(_read(path, columns) for path in files.paths)

    def _verified_rows(self, name: str, path: Path, schema: pa.Schema) -> int:
        """How many rows a Parquet file of the lake has, which is at a local path and has the columns of `schema`."""
        try:
            if not path.is_file():  # a pipe would be waited for
                raise FileNotFoundError("the file does not exist")
            with pq.ParquetFile(path) as file:
                found, rows = _columns(file.schema_arrow), file.metadata.num_rows
        except (OSError, pa.ArrowInvalid) as fault:
            raise LakeError(f"{self.storage.absolute(name)}: cannot be read as Parquet ({fault})") from fault
        if found != (expected := _columns(schema)):
            different = sorted(set(found.items()) ^ set(expected.items()))
            raise LakeError(f"{self.storage.absolute(name)}: columns differ from the table's: {different}")
        return int(rows)

    # Writing

    @contextmanager
    def writer(self, stage: str, snapshot_date: date) -> Iterator[SnapshotWriter]:
        """A writer of all tables of a stage. What was not committed when the block ends is thrown away."""
        with self.storage.scratch(f"{stage}-{snapshot_date}") as folder:
            yield SnapshotWriter(self, stage, snapshot_date, folder)

    def put_commit(self, commit: Commit, folder: Path) -> None:
        """Make a commit the one of its stage and date, in one step; `folder`: a local one to write its file in."""
        local = folder / "commit.json"
        local.write_text(commit_document(commit), encoding="utf-8")
        self.storage.move_in(local, commit_name(commit.stage, commit.snapshot_date))
        self._committed.add((commit.stage, commit.snapshot_date))

    def unthinned_dates(self) -> list[date]:
        """Dates with more than a thinned commit in the lake, oldest first; also uncommitted ones."""
        found = set(self.snapshot_dates("inventory"))
        for stage, tables in STAGES.items():
            thinned = set(self.snapshot_dates(stage)) if KEPT[stage] else set()
            for table in tables:
                found |= set(self.dates_with_files(table)) - (thinned if table in KEPT[stage] else set())
        return sorted(found)

    def thin_snapshot(self, snapshot_date: date) -> None:
        """Remove the large tables of a date: all but those of KEPT.

        When that breaks off, what can still be read is whole, and the same call finishes it. A date that was never
        evaluated goes altogether.
        """
        with self.storage.locked(COMMIT_LOCK):
            # The later stage first: verdicts must not outlive the inventory that they were evaluated on.
            for stage in reversed(STAGES):
                commit = self.read_commit(stage, snapshot_date)
                kept = KEPT[stage] if commit else ()
                if commit and kept:
                    self._keep_only(commit, kept)
                elif commit:
                    self.storage.remove_file(commit_name(stage, snapshot_date))
                for table in STAGES[stage]:
                    if table not in kept:
                        self._remove_partition(table, snapshot_date)

    def remove_table(self, stage: str, snapshot_date: date, table: LakeTable) -> None:
        """Remove a table of a committed date. When that breaks off, the same call finishes it."""
        with self.storage.locked(COMMIT_LOCK):
            if commit := self.read_commit(stage, snapshot_date):
                self._keep_only(commit, [each for each in STAGES[stage] if each is not table])
            self._remove_partition(table, snapshot_date)

    def dates_with_files(self, table: LakeTable) -> list[date]:
        """Dates with files of a table, oldest first; also uncommitted ones."""
        return sorted(_date_in(name, table.name, partition(""), "") for name in self.storage.folders(table.name))

    def _keep_only(self, commit: Commit, tables: Sequence[LakeTable]) -> None:
        """Commit again with these of its tables alone, as far as it has them."""
        files = {table.name: commit.files[table.name] for table in tables if table.name in commit.files}
        with self.storage.scratch(f"thin-{commit.snapshot_date}") as folder:
            self.put_commit(replace(commit, files=files), folder)

    def _remove_partition(self, table: LakeTable, snapshot_date: date) -> None:
        if partition(snapshot_date) in self.storage.folders(table.name):
            self.storage.remove_folder(f"{table.name}/{partition(snapshot_date)}")


@dataclass(frozen=True)
class SnapshotWriter:
    """Collects the files of one stage of one snapshot in a local folder, then commits them together."""

    lake: Lake
    stage: str
    snapshot_date: date
    folder: Path

    def path(self, table: LakeTable) -> Path:
        """Where the caller writes the Parquet file of a table that has one (pyarrow or DuckDB's COPY)."""
        return self.folder / f"{table.name}.parquet"

    def write(self, table: LakeTable, rows: pa.Table) -> None:
        """Write a table that fits into memory, sorted as the lake wants it."""
        ordered = rows.cast(table.schema).sort_by([(column, "ascending") for column in table.sort_by])
        pq.write_table(ordered, self.path(table), row_group_size=ROW_GROUP_ROWS, **PARQUET_OPTIONS)

    def take(self, table: LakeTable, parts: Sequence[Path]) -> None:
        """Take finished local files as those of a table, in this order. They also stay where they are."""
        for number, part in enumerate(parts, start=1):
            link_or_copy(part, self.folder / f"{table.name}-{number:04d}.parquet")

    def files(self, table: LakeTable) -> list[Path]:
        """The files of a table written so far."""
        return [self.path(table)] if self.path(table).exists() else sorted(self.folder.glob(f"{table.name}-*.parquet"))

    def commit(self, details: Mapping[str, Any]) -> Commit:
        """Make the snapshot visible. Raises LakeError, with nothing changed, if a table is missing or misshapen."""
        tables = STAGES[self.stage]
        written = {table.name: self.files(table) for table in tables}
        if missing := [name for name, files in written.items() if not files]:
            raise LakeError(f"{self.stage} of {self.snapshot_date}: not written: {', '.join(missing)}")
        commit_id = uuid.uuid4().hex[:12]
        files = {name: file_names(name, self.snapshot_date, commit_id, len(paths)) for name, paths in written.items()}
        hashes = {
            name: sha256_of(path)
            for table, names in files.items()
            for path, name in zip(written[table], names, strict=True)
        }
        commit = Commit(
            stage=self.stage,
            snapshot_date=self.snapshot_date,
            commit_id=commit_id,
            committed_at=datetime.now(UTC),
            files=files,
            rows={table.name: sum(_rows_to_commit(path, table) for path in written[table.name]) for table in tables},
            details=dict(details) | {SHA256: hashes},
            schema_version=SCHEMA_VERSION,
        )
        storage = self.lake.storage
        with storage.locked(COMMIT_LOCK):
            for table, names in commit.files.items():
                for path, name in zip(written[table], names, strict=True):
                    storage.move_in(path, name)
            self.lake.put_commit(commit, self.folder)
            # Files left in the partition by earlier commits, and by writers that died before theirs.
            for table, names in commit.files.items():
                for name in storage.files(f"{table}/{partition(self.snapshot_date)}"):
                    if name not in names:
                        storage.remove_file(name)
        return commit


def _read(path: Path, columns: Sequence[str] | None) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read(columns=columns)  # those of them that it has


def _rows_to_commit(path: Path, table: LakeTable) -> int:
    with pq.ParquetFile(path) as file:
        if _columns(file.schema_arrow) != _columns(table.schema):
            raise LakeError(f"{table.name}: the columns to commit differ from its schema: {file.schema_arrow}")
        return int(file.metadata.num_rows)


def _date_in(name: str, folder: str, prefix: str, suffix: str) -> date:
    """The date in a name that was listed. Raises LakeError for a name that the audit does not give."""
    text = name.removeprefix(prefix).removesuffix(suffix)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or name != f"{prefix}{day}{suffix}":
        raise LakeError(f"{folder}: {name!r} is not a name that the audit uses. Remove it from the lake")
    return day


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
