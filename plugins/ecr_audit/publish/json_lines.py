"""Files with one JSON object on each line, compressed: the same rows give the same bytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import duckdb

from ecr_audit.settings import SQL_ROOT
from ecr_audit.vocabulary import ExportedRecords
from ecr_audit.warehouse.statements import read_statement

# Objects of which one query makes all lines: with seven policies, some 40 MB.
OBJECTS = 1_500
_ROWS = 1_000

# gzip's format, whose header has then neither time nor name (zlib's manual, deflateInit2).
_GZIP = zlib.MAX_WBITS | 16

# No ARN comes before the first or after the last.
_FIRST, _LAST = "", "b"

_CUTS = """
WITH numbered AS (
    SELECT
        object_id,
        row_number() OVER (ORDER BY object_id) AS number
    FROM policy_output
    GROUP BY object_id
)
SELECT object_id FROM numbered WHERE number % $objects = 0 ORDER BY object_id
"""


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
    query = text.replace("{exports/records}", f"(\n{read_statement('exports/records').text}\n)")
    cuts = [cut for (cut,) in database.execute(_CUTS, {"objects": OBJECTS}).fetchall()]
    for after, up_to in pairwise([_FIRST, *cuts, _LAST]):
        rows = database.execute(query, {"records": records.value, "after": after, "up_to": up_to})
        while chunk := rows.fetchmany(_ROWS):
            yield from (line for (line,) in chunk)
