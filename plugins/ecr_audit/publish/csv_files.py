"""CSV for people and spreadsheets: one writer for the published files and for what is downloaded from a page.

UTF-8 with a byte-order mark, lines that end with a line feed, an empty cell for NULL and `""` for an empty text; lists
joined with commas, maps as JSON, times in UTC as `2026-11-23 02:13:04`, which spreadsheets take for a time.

A text that a spreadsheet would run, or that begins with an apostrophe itself, gets an apostrophe before it. So the
guard can be undone: strip one leading apostrophe from each text cell. Source: "CSV Injection", OWASP; the full-width
signs are read as formulas by spreadsheets in East Asian settings, and control and formatting characters before a sign
are skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"

_RUN_BY_SPREADSHEETS = r"^[\p{C}''=+@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}-]"


def write_csv(
    connection: duckdb.DuckDBPyConnection, source: str, path: Path, parameters: Mapping[str, Any] | None = None
) -> None:
    """Write the rows of a table, or of a query in parentheses with its `parameters` as $name, to a new CSV file."""
    given = dict(parameters or {})
    described = connection.execute(f"FROM {source} LIMIT 0", given or None).description or ()
    # COPY writes no mark by itself, so the first column's name begins with it.
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
        return _spreadsheet_safe(f"array_to_string({column}, ', ')")
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime({column} AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S')"
    if kind.startswith(("MAP(", "STRUCT(")):
        return f"to_json({column})::VARCHAR"
    return _spreadsheet_safe(column) if kind == "VARCHAR" else column


def _spreadsheet_safe(text: str) -> str:
    return f"CASE WHEN regexp_matches({text}, '{_RUN_BY_SPREADSHEETS}') THEN '''' || {text} ELSE {text} END"
