"""Files with one JSON object on each line, compressed: the same rows give the same bytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import duckdb

from ecr_audit.settings import SQL_ROOT
from ecr_audit.vocabulary import ExportedRecords
from ecr_audit.warehouse.statements import read_statement

# Records of which one query makes all lines: some 10 MB.
SLICE = 2_000
_ROWS = 1_000

# gzip's format, whose header has then neither time nor name (zlib's manual, deflateInit2).
_GZIP = zlib.MAX_WBITS | 16

# Joined once, for all lines; DuckDB numbers the rows in their order.
_RECORDS = """
CREATE OR REPLACE TEMP TABLE exported_records AS
SELECT * FROM (
{records}
)
ORDER BY object_id, policy_id
"""
_SLICE = "(SELECT * FROM exported_records WHERE rowid BETWEEN {first} AND {last})"


def write_records(database: duckdb.DuckDBPyConnection, name: str, records: ExportedRecords, path: Path) -> None:
    """Write the lines that a query of sql/exports, by its name, makes of verdicts to a new file, compressed by gzip."""
    compressor = zlib.compressobj(wbits=_GZIP)
    with path.open("wb") as file:
        for line in lines_of_records(database, name, records):
            file.write(compressor.compress(line.encode() + b"\n"))
        file.write(compressor.flush())


def lines_of_records(database: duckdb.DuckDBPyConnection, name: str, records: ExportedRecords) -> Iterator[str]:
    """The lines, in the order of objects and policies."""
    text = (SQL_ROOT / "exports" / f"{name}.sql").read_text(encoding="utf-8")
    created = _RECORDS.format(records=read_statement("exports/records").text)
    [(count,)] = database.execute(created, {"records": records.value}).fetchall()
    for first in range(0, count, SLICE):
        rows = database.execute(text.replace("{exports/records}", _SLICE.format(first=first, last=first + SLICE - 1)))
        while chunk := rows.fetchmany(_ROWS):
            yield from (line for (line,) in chunk)
    database.execute("DROP TABLE exported_records")
