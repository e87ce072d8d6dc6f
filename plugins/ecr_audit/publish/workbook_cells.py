"""Cells of a workbook: their formats and widths, and how a value of each type is written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import xlsxwriter

from ecr_audit.text import percent

# Excel's limit of a cell, in units of UTF-16 (Microsoft, "Excel specifications and limits").
MAX_CHARACTERS = 32_767

_TOP_LEFT = {"align": "left", "valign": "top"}

# Widths in characters; of columns not named here, that of their name. What is wider goes on below itself on paper.
_WIDTHS = {
    "account_id": 14,
    "account_name": 24,
    "action": 12,
    "age_days": 9,
    "approved_by": 22,
    "command": 80,
    "created": 11,
    "current_setting": 28,
    "current_state_message": 60,
    "days_left": 9,
    "exclusion_filters": 16,
    "expires": 11,
    "first_day_not_seen": 18,
    "fix_command": 80,
    "framework_name": 28,
    "incompliant_start_date": 22,
    "internal_rules": 13,
    "is_release": 10,
    "kind": 24,
    "matched_findings": 17,
    "moving_tags": 30,
    "new_digest": 74,
    "observed": 10,
    "old_digest": 74,
    "ou_path": 26,
    "overwritable_tags": 17,
    "owner": 18,
    "policies": 9,
    "policy": 22,
    "plan_rule": 20,
    "proposed_filters": 24,
    "proposed_setting": 28,
    "reason": 40,
    "region": 15,
    "remediation_message": 60,
    "repositories_observed": 21,
    "repositories_unseen": 19,
    "repository": 40,
    "repository_arn": 46,
    "repository_name": 40,
    "rule": 20,
    "section_title": 44,
    "seen_after": 19,
    "seen_before": 19,
    "setting_after": 18,
    "setting_before": 18,
    "snapshot_date": 13,
    "started_known": 14,
    "state": 12,
    "status": 15,
    "sub_sections": 12,
    "tag": 30,
    "waived": 8,
}
_LEAST_WIDTH = 10

# Points of a line of text, and how many such lines a header has.
LINE_HEIGHT, HEADER_LINES = 15, 2


class Cells:
    """Writes the cells of a workbook; `title`, `cut`, `header`, `text` and `line` are formats of texts."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        self.title = book.add_format({"bold": True, "font_size": 16})
        self.cut = book.add_format({"bold": True, "font_color": "#C00000"})
        self.header = book.add_format({"bold": True, "bg_color": "#D9E1F2", "bottom": 1, "text_wrap": True})
        # On paper a long text goes on below itself; so all cells of a row begin at its top.
        self.text = book.add_format({"text_wrap": True, **_TOP_LEFT})
        self.line = book.add_format(_TOP_LEFT)
        self._day = book.add_format({"num_format": "yyyy-mm-dd", **_TOP_LEFT})
        self._moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss", **_TOP_LEFT})
        # By the text that is shown in place of the number, if it is another: see `_percent_format`.
        self._book = book
        self._percents = {"": book.add_format({"num_format": "0.0", **_TOP_LEFT})}

    def write(self, page: Any, row: int, column: int, value: Any) -> None:
        """Write a value in the form of its type; a text on one line."""
        shown, form = plain_value(value), self.format_of(value)
        match shown:
            case None:
                return
            case str():
                page.write_string(row, column, cell_text(shown), form)
            case date():
                page.write_datetime(row, column, shown, form)
            case _:
                page.write_number(row, column, shown, form)

    def format_of(self, value: Any) -> Any:
        """The format of a value, by its type; a text is on one line."""
        match value:
            case bool():
                return self.line
            case float():
                return self._percent_format(value)
            case datetime():
                return self._moment
            case date():
                return self._day
            case _:
                return self.line

    def _percent_format(self, value: float) -> Any:
        """The format that shows a percentage as `ecr_audit.text.percent` does; the cell holds the value itself."""
        shown = percent(value).removesuffix(" %")
        literal = "" if shown == f"{value:.1f}" else f'"{shown}"'
        if literal not in self._percents:
            self._percents[literal] = self._book.add_format({"num_format": literal, **_TOP_LEFT})
        return self._percents[literal]


def column_width(name: str) -> int:
    """The width of a column, in characters."""
    return _WIDTHS.get(name, max(_LEAST_WIDTH, len(name) + 3))


def plain_value(value: Any) -> str | int | float | date | None:
    """A published value as a text, a number or a time. Raises TypeError for a type that no sheet has."""
    match value:
        case None | str():
            return value
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return value
        case datetime():
            return value.replace(tzinfo=None)  # Excel knows no time zones; every time that is published is UTC
        case date():
            return value
        case list():
            return ", ".join(map(str, value))
        case _:
            raise TypeError(f"A {type(value).__name__} cannot be written to a workbook: {value!r}")


def cell_text(text: str) -> str:
    """Text as a cell holds it: on one line, since a break would be drawn over the next row."""
    if not text.isprintable():
        text = " ".join(text.splitlines())
    if text.startswith("<r>") and text.endswith("</r>"):
        text += " "  # XlsxWriter takes it for the XML of a text with several fonts, and writes that as it is
    if len(text) <= MAX_CHARACTERS // 2:
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    if len(units) <= 2 * MAX_CHARACTERS:
        return text
    return units[: 2 * (MAX_CHARACTERS - 1)].decode("utf-16-le", "ignore") + "…"


def lines_on_paper(values: Sequence[Any], widths: Sequence[int]) -> int:
    """How many lines the longest text of a row takes in its column; not every place is one to break at."""
    texts = ((len(value), width) for value, width in zip(values, widths, strict=False) if isinstance(value, str))
    return max((-(-length * 5 // (4 * width)) if length > width else 1 for length, width in texts), default=1)
