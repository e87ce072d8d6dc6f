"""A worksheet that takes whole rows.

XlsxWriter checks, keeps and formats every cell by itself; for 100,000 rows that takes four times as long as to write
the same XML a row at a time. What is written is equal to the byte (tests/published/test_workbook.py), so only this
class relies on how XlsxWriter writes a sheet with `constant_memory`: the open file, and its escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from ecr_audit.publish.workbook_cells import MAX_CHARACTERS, Cells, cell_text, plain_value

# A printable text without these is written as it is.
_SPECIAL = re.compile(r"[&<>]|_x|\A\s|\s\Z")


class RowSheet(Worksheet):  # type: ignore[misc]  # XlsxWriter has no types
    """A worksheet of a workbook with `constant_memory`, whose rows are appended by `write_rows`."""

    def write_rows(
        self, first: int, rows: Iterable[tuple[float | None, Sequence[Any]]], cells: Cells, formats: Sequence[Any]
    ) -> int:
        """Write rows with their heights in points, None for the usual one, from the row with the number `first` on.

        Those above it are complete. `formats`: for the texts of each column; other values have that of their type.
        Returns the number of the last row.
        """
        self._write_single_row(first)
        heads = [(f'<c r="{xl_col_to_name(index)}', self._style(each)) for index, each in enumerate(formats)]
        number = first
        for number, (height, values) in enumerate(rows, first + 1):
            tall = "" if height is None else f' ht="{height:g}" customHeight="1"'
            xml = [f'<row r="{number}"{tall}>']
            for (head, text_style), value in zip(heads, values, strict=True):
                shown = plain_value(value)
                if shown is None:
                    continue
                if isinstance(shown, str):
                    style = text_style if isinstance(value, str | list) else self._style(cells.line)
                    xml.append(f'{head}{number}"{style} t="inlineStr"><is>{self._inline(shown)}</is></c>')
                else:
                    style = self._style(cells.format_of(value))
                    serial = self._convert_date_time(shown) if isinstance(shown, date) else shown
                    xml.append(f'{head}{number}"{style}><v>{serial:.16G}</v></c>')
            xml.append("</row>")
            self.fh.write("".join(xml))
        if number > first:
            self._check_dimensions(number - 1, len(formats) - 1)
        self.previous_row = number
        return number - 1

    def _style(self, cell_format: Any) -> str:
        return f' s="{cell_format._get_xf_index()}"'

    def _inline(self, text: str) -> str:
        if text.isprintable() and not _SPECIAL.search(text) and len(text) <= MAX_CHARACTERS // 2:
            return f"<t>{text}</t>"
        text = cell_text(text)
        preserve = ' xml:space="preserve"' if text != text.strip() else ""
        return f"<t{preserve}>{self._escape_data(self._escape_control_characters(text))}</t>"
