"""The auditors' workbook: findings, controls, coverage, and the policies in use.

Every text is written as text: a spreadsheet runs none of it, whatever an account is named.

A sheet is for people: it has MAX_ROWS rows at most, the first in its order. If those are not all, its first line says
so, and where all are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import xlsxwriter

from ecr_audit.publish.workbook_cells import HEADER_LINES, LINE_HEIGHT, Cells, column_width, lines_on_paper
from ecr_audit.publish.workbook_cover import Cover, Excerpt
from ecr_audit.publish.workbook_rows import RowSheet
from ecr_audit.publish.workbook_sheets import SHEETS, PublishedRows, Sheet

# Rows that are in memory at a time.
_BATCH = 10_000


def write_workbook(
    database: duckdb.DuckDBPyConnection, path: Path, sheets: Sequence[Sheet] = SHEETS, excerpt: Excerpt | None = None
) -> None:
    """Write the workbook of a published database. Rows are streamed, so that memory does not grow with them.

    `excerpt`: the sheets show a part of the findings only, and the cover says which.
    """
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "tmpdir": path.parent}
    with xlsxwriter.Workbook(path, options) as book:
        writer = _Writer(book, database)
        writer.cover(sheets, excerpt)
        for sheet in sheets:
            writer.sheet(sheet)


def _with_heights(
    result: duckdb.DuckDBPyConnection, widths: Sequence[int]
) -> Iterator[tuple[int | None, tuple[Any, ...]]]:
    """The rows of a query, each with its height in points where a text of the printed columns goes on below itself."""
    while batch := result.fetchmany(_BATCH):
        for values in batch:
            lines = lines_on_paper(values[: len(widths)], widths)
            yield LINE_HEIGHT * lines if lines > 1 else None, values


class _Writer:
    def __init__(self, book: xlsxwriter.Workbook, database: duckdb.DuckDBPyConnection) -> None:
        self._book = book
        self._published = PublishedRows(database)
        self._cells = Cells(book)

    def cover(self, sheets: Sequence[Sheet], excerpt: Excerpt | None) -> None:
        page = self._book.add_worksheet("Cover")
        Cover(self._published, self._cells).write(page, sheets, excerpt)
        self._on_paper(page)

    def sheet(self, sheet: Sheet) -> None:
        page = self._book.add_worksheet(sheet.name, RowSheet)
        rows, header = self._published.count(sheet), 0
        if sheet.is_cut(rows):
            page.write_string(0, 0, f"{sheet.rows_in_words(rows)}. Shown: {sheet.order}.", self._cells.cut)
            header = 1
        result = self._published.database.execute(sheet.first_rows, dict(sheet.parameters) or None)
        names = [column[0] for column in result.description or ()]
        widths = [column_width(name) for name in names]
        page.set_row(header, LINE_HEIGHT * HEADER_LINES)
        for index, (name, width) in enumerate(zip(names, widths, strict=True)):
            page.set_column(index, index, width)
            page.write_string(header, index, name, self._cells.header)
        page.freeze_panes(header + 1, 0)
        self._on_paper(page)
        page.repeat_rows(0, header)
        formats = [self._cells.text if index < sheet.printed else self._cells.line for index in range(len(names))]
        last = page.write_rows(header + 1, _with_heights(result, widths[: sheet.printed]), self._cells, formats)
        page.autofilter(header, 0, last, len(names) - 1)
        page.print_area(0, 0, last, sheet.printed - 1)

    def _on_paper(self, page: Any) -> None:
        """On paper: landscape, A4, as wide as one page; each page says whose it is, of which night, and its number."""
        page.set_landscape()
        page.set_paper(9)
        page.fit_to_pages(1, 0)
        page.set_margins(left=0.4, right=0.4)
        publication = self._published.publication
        night = f"{publication['organization_id'] or ''} {publication['snapshot_date']}".strip()
        page.set_header("&LECR audit&R&A")
        page.set_footer(f"&L{night}, commit {publication['compliance_commit']}&RPage &P of &N")
