"""The parts of the summary: their published file and console, and the form of their tables."""

from __future__ import annotations

from typing import Any

import duckdb
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ecr_audit.text import plain
from ecr_audit.vocabulary import STATUS_WORDS

# Columns of tables with numbers.
NUMERIC = {
    *STATUS_WORDS.values(),
    *("Sub Sections", "Internal Rules", "Policies", "Compliance", "To fix", "Waived"),
}


class SummaryPart:
    """A part of the summary, over the published file."""

    def __init__(self, published: duckdb.DuckDBPyConnection, console: Console) -> None:
        self._published = published
        self._console = console

    def _rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return self._published.execute(sql, parameters or None).fetchall()


def summary_table(title: str, first: str, *others: str) -> Table:
    """An empty table with these columns."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column(first)
    for name in others:
        # A header of two words takes two lines, to leave room for the first column.
        table.add_column(name.replace(" ", "\n"), justify="right" if name in NUMERIC else "left")
    return table


def account_words(account_id: str, name: str | None) -> str:
    """Id and name, the name as plain text on one line."""
    return f"{account_id} {escape(plain(name))}"
