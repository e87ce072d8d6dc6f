"""The files that are written beside the published database, one entry for each format.

A new format is a module that writes it, and its entry in EXPORTS.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ecr_audit.lake.lake import Lake
from ecr_audit.publish.csv_files import write_csv
from ecr_audit.publish.lake_views import write_lake_views
from ecr_audit.publish.parquet_files import write_parquet
from ecr_audit.publish.progress import log_writing
from ecr_audit.publish.tables import TABLES, WITHOUT_CSV

WORKBOOK = "compliance.xlsx"
LAKE_VIEWS = "lake.sql"
# As sha256sum writes it, and checks it with --check.
CHECKSUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Source:
    """The inputs of an export: the published database, and the lake that it was made from.

    The database is open read-only, and may write files into the folder of the publication only.
    """

    database: duckdb.DuckDBPyConnection
    lake: Lake


def _parquet(source: Source, folder: Path) -> None:
    for table in TABLES:
        write_parquet(source.database, table, folder / f"{table}.parquet")


def _csv(source: Source, folder: Path) -> None:
    for table in TABLES:
        if table not in WITHOUT_CSV:
            write_csv(source.database, table, folder / f"{table}.csv")


def _workbook(source: Source, folder: Path) -> None:
    from ecr_audit.publish.workbook import write_workbook

    write_workbook(source.database, folder / WORKBOOK)


def _lake_views(source: Source, folder: Path) -> None:
    write_lake_views(source.lake, folder / LAKE_VIEWS)


# Each writes its files into a folder that has no others of these names.
EXPORTS: dict[str, Callable[[Source, Path], None]] = {
    "Parquet": _parquet,
    "CSV": _csv,
    "workbook": _workbook,
    "lake views": _lake_views,
}


def write_exports(source: Source, folder: Path) -> None:
    """Write all formats into the folder of a publication."""
    # One after the other: in parallel they would take less time, and more memory.
    for name, write in EXPORTS.items():
        try:
            with log_writing(name):
                write(source, folder)
        except Exception as fault:
            fault.add_note(f"Raised while the export {name!r} was written")
            raise


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of each file beside them, so that a copy can be checked."""
    lines = []
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
