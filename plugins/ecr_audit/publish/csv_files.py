"""CSV for people and spreadsheets: one writer for the published files and for downloads from a page.

UTF-8 with a byte-order mark, lines that end with a line feed, an empty cell for NULL and `""` for an empty text; lists
joined with commas, maps as JSON, times in UTC as `2026-11-23 02:13:04`, which spreadsheets take for a time.

A text that a spreadsheet would run as a formula gets an apostrophe before it. That is the macro spreadsheet_safe
(sql/published_macros.sql), which the connection has to have, as every published file does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


def write_csv(
    connection: duckdb.DuckDBPyConnection, source: str, path: Path, parameters: Mapping[str, Any] | None = None
) -> None:
    """Write the rows of a table, or of a query in parentheses with its `parameters` as $name, to a new CSV file."""
    given = dict(parameters or {})
    described = connection.execute(f"FROM {source} LIMIT 0", given or None).description or ()
    # COPY writes no byte order mark, so the first column's name begins with it.
    marks = [_BYTE_ORDER_MARK] + [""] * len(described)
    cells = [
        f'{_cell(name, str(kind))} AS "{mark}{name}"' for mark, (name, kind, *_) in zip(marks, described, strict=False)
    ]
    connection.execute(
        f"COPY (SELECT {', '.join(cells)} FROM {source}) TO $csv_path (FORMAT csv, HEADER)",
        given | {"csv_path": str(path)},
    )


def _cell(name: str, kind: str) -> str:
    column = f'"{name}"'
    if kind == "VARCHAR[]":
        return f"spreadsheet_safe(array_to_string({column}, ', '))"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime({column} AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S')"
    if kind.startswith(("MAP(", "STRUCT(")):
        return f"to_json({column})::VARCHAR"
    return f"spreadsheet_safe({column})" if kind == "VARCHAR" else column
