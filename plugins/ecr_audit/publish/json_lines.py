"""Files with one JSON object on each line, compressed: the same rows give the same bytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import duckdb

from ecr_audit.settings import SQL_ROOT
from ecr_audit.vocabulary import ExportedRecords
from ecr_audit.warehouse.statements import read_statement

# Records of which one query makes all lines: 5 MB of text, and a hundred in memory.
SLICE = 1_500

# gzip's format, whose header has then neither time nor name (zlib's manual, deflateInit2).
_GZIP = zlib.MAX_WBITS | 16

# Stands in a query for the records.
_RECORDS = "{exports/records}"

# OCSF repeats a policy's texts, and is smaller with the records of each policy together. Security Hub takes findings by
# account and region.
_ORDERS = {"ocsf_findings": "policy_id, object_id", "asff_findings": "object_id, policy_id"}

# Joined once, for all lines; DuckDB numbers the rows in their order.
_CREATE = """
CREATE OR REPLACE TEMP TABLE exported_records AS
SELECT * FROM (
{records}
)
ORDER BY {order}
"""
_SLICE = "(SELECT *, rowid AS position FROM exported_records WHERE rowid BETWEEN $first AND $last)"

# Findings that ended in nights that Security Hub missed are due, although they are no longer among the findings.
_MISSED_SINCE = "SELECT min(imported_night) + 1 FROM security_hub_imports"


def write_records(database: duckdb.DuckDBPyConnection, name: str, records: ExportedRecords, path: Path) -> None:
    """Write the lines that a query of sql/exports, by its name, makes of verdicts to a new file, compressed by gzip."""
    # Without short repetitions, which cost more than the digits of ids that they stand for.
    compressor = zlib.compressobj(zlib.Z_BEST_COMPRESSION, wbits=_GZIP, strategy=zlib.Z_FILTERED)
    # Beside the query for the next lines: neither DuckDB nor zlib holds Python's lock while it works.
    with path.open("wb") as file, ThreadPoolExecutor(max_workers=1) as beside:

        def add(lines: list[tuple[str]]) -> None:
            for (line,) in lines:
                file.write(compressor.compress(f"{line}\n".encode()))

        added: Future[None] | None = None
        for lines in _slices_of_lines(database, name, records):
            if added:
                added.result()
            added = beside.submit(add, lines)
        if added:
            added.result()
        file.write(compressor.flush())


def lines_of_records(
    database: duckdb.DuckDBPyConnection, name: str, records: ExportedRecords, *, due: bool = False
) -> Iterator[str]:
    """The lines, in the order of their format.

    `due`: only those that are due for Security Hub (sql/exports/due_records.sql).
    """
    for lines in _slices_of_lines(database, name, records, due=due):
        yield from (line for (line,) in lines)


def _slices_of_lines(
    database: duckdb.DuckDBPyConnection, name: str, records: ExportedRecords, *, due: bool = False
) -> Iterator[list[tuple[str]]]:
    wanted, ended_since = read_statement("exports/records").text, None
    if due:
        wanted = _text("due_records").replace(_RECORDS, f"(\n{wanted}\n)")
        [(ended_since,)] = database.execute(_MISSED_SINCE).fetchall()
    parameters = {"records": records.value, "ended_since": ended_since}
    [(count,)] = database.execute(_CREATE.format(records=wanted, order=_ORDERS[name]), parameters).fetchall()
    # Planned once: that takes as long as making the lines of a slice.
    database.execute(f"PREPARE lines_of_slice AS {_text(name).replace(_RECORDS, _SLICE)}")
    for first in range(0, count, SLICE):
        rows = database.execute(f"EXECUTE lines_of_slice(first := {first}, last := {first + SLICE - 1})")
        yield rows.fetchall()
    database.execute("DEALLOCATE lines_of_slice")
    database.execute("DROP TABLE exported_records")


def _text(name: str) -> str:
    return (SQL_ROOT / "exports" / f"{name}.sql").read_text(encoding="utf-8")
