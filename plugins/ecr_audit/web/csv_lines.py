"""An answer of any length as CSV, in pieces, of which a spreadsheet runs nothing (OWASP, CSV Injection)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import duckdb

# Rows that are in memory at a time.
_BATCH = 1000

# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_lines(answer: duckdb.DuckDBPyConnection) -> Iterator[bytes]:
    """The answer as CSV with a header, in pieces; UTF-8 with a mark that says so, which Excel wants."""
    text = io.StringIO()
    writer = csv.writer(text)
    text.write("\N{ZERO WIDTH NO-BREAK SPACE}")
    writer.writerow(column for column, *_ in answer.description or ())
    while batch := answer.fetchmany(_BATCH):
        writer.writerows([_cell(value) for value in row] for row in batch)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        value = ", ".join(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
