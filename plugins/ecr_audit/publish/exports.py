"""The files that are written beside the published database, one entry for each format.

A new format is a module that writes it, and its entry in EXPORTS. A format that cannot be written is missing, with the
reason, and costs nothing but itself.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ecr_audit.lake.lake import Lake
from ecr_audit.publish.csv_files import write_csv
from ecr_audit.publish.json_lines import write_records
from ecr_audit.publish.lake_views import write_lake_views
from ecr_audit.publish.parquet_files import write_parquet
from ecr_audit.publish.progress import log_writing
from ecr_audit.publish.publication import CHECKSUMS
from ecr_audit.publish.tables import TABLES, WITHOUT_CSV
from ecr_audit.settings import ExportSettings
from ecr_audit.untrusted_files import sha256_of
from ecr_audit.vocabulary import ExportFormat
from ecr_audit.warehouse.statements import read_statement

log = logging.getLogger(__name__)

WORKBOOK = "compliance.xlsx"
LAKE_VIEWS = "lake.sql"
OCSF = "ocsf-findings.jsonl.gz"
ASFF = "asff-findings.jsonl.gz"
CONTROLS = "controls.csv"

_ASIDE = ".export"
# A reason is for people; some faults quote a whole query.
_MOST_CHARACTERS = 300

BY_DEFAULT = ExportSettings()


@dataclass(frozen=True)
class Source:
    """The inputs of an export: the published database, the lake that it was made from, and the options.

    The database is open read-only, and may write files into the folder of the publication only. `checksums`: the lines
    of SHA256SUMS on the files that are published already.
    """

    database: duckdb.DuckDBPyConnection
    lake: Lake
    options: ExportSettings = BY_DEFAULT
    checksums: str = ""


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


def _ocsf(source: Source, folder: Path) -> None:
    write_records(source.database, "ocsf_findings", source.options.export_records, folder / OCSF)


def _asff(source: Source, folder: Path) -> None:
    write_records(source.database, "asff_findings", source.options.export_records, folder / ASFF)


def _controls(source: Source, folder: Path) -> None:
    query = f"({read_statement('exports/controls').text})"
    write_csv(source.database, query, folder / CONTROLS, {"account_id": None})


def _oscal(source: Source, folder: Path) -> None:
    from ecr_audit.publish.oscal import write_assessment_results

    write_assessment_results(source.database, folder, source.checksums, source.options.oscal_ap)


# Each writes its files into an empty folder, under names that no other has.
EXPORTS: dict[str, Callable[[Source, Path], None]] = {
    "Parquet": _parquet,
    "CSV": _csv,
    "workbook": _workbook,
    "lake views": _lake_views,
    "controls": _controls,
    "OCSF": _ocsf,
    "OSCAL": _oscal,
    "ASFF": _asff,
}

# Take longer than all else together: added when readers have the publication (completion.py).
LATE = ("workbook", "OCSF", "OSCAL", "ASFF")

# Written only if ECR_AUDIT_EXPORTS names them.
_BY_CHOICE = {
    "controls": ExportFormat.CONTROLS,
    "OCSF": ExportFormat.OCSF,
    "OSCAL": ExportFormat.OSCAL,
    "ASFF": ExportFormat.ASFF,
}


def early_exports(options: ExportSettings) -> list[str]:
    """The formats that a publication begins with."""
    return [name for name in _chosen(options) if name not in LATE]


def late_exports(options: ExportSettings) -> list[str]:
    """Those that are added to it."""
    return [name for name in _chosen(options) if name in LATE]


def _chosen(options: ExportSettings) -> list[str]:
    return [name for name in EXPORTS if name not in _BY_CHOICE or _BY_CHOICE[name] in options.exports]


def write_exports(source: Source, folder: Path, names: Iterable[str]) -> dict[str, Exception]:
    """Write formats into a folder. Returns those that failed, of which no file is there, each with its fault."""
    failed: dict[str, Exception] = {}
    aside = folder / _ASIDE
    # One after the other: in parallel they would take less time, and more memory.
    for name in names:
        aside.mkdir()
        try:
            with log_writing(name):
                EXPORTS[name](source, aside)
            for file in aside.iterdir():
                file.replace(folder / file.name)
        except Exception as fault:  # whatever a format raises
            log.exception("Not written: %s", name)
            failed[name] = fault
        finally:
            shutil.rmtree(aside)
    return failed


def reasons(failed: dict[str, Exception]) -> dict[str, str]:
    """Why each format is missing, in one line for people."""
    lines = {name: " ".join(f"{type(fault).__name__}: {fault}".split()) for name, fault in failed.items()}
    return {
        name: line if len(line) <= _MOST_CHARACTERS else f"{line[: _MOST_CHARACTERS - 1]}…"
        for name, line in lines.items()
    }


def write_checksums(folder: Path, known: str = "") -> None:
    """Write the SHA-256 of each file beside them, so that a copy can be checked.

    `known`: the lines on files elsewhere, of the same publication.
    """
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in known.splitlines())}
    for path in folder.iterdir():
        sums[path.name] = sha256_of(path)
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
