"""The auditors' workbook: what was found, in which controls, how much was seen, and by which policies it was judged.

Every text is written as text: a spreadsheet runs none of it, whatever an account is named.

A sheet is for people: it has MAX_ROWS rows at most, the first in its order. If those are not all, its first line says
so, and where all are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import xlsxwriter

# Excel could open ten times as many (1,048,576); nobody reads them, and they take minutes to write.
MAX_ROWS = 100_000

# Excel's limit of a cell (Microsoft, "Excel specifications and limits").
MAX_CHARACTERS = 32_767

# Rows that are in memory at a time.
_BATCH = 10_000

# Widths in characters; of columns not named here, that of their name.
_WIDTHS = {
    "account_name": 34,
    "account_id": 14,
    "approved_by": 32,
    "current_state_message": 60,
    "exclusion_filters": 24,
    "expires": 12,
    "framework_name": 40,
    "ou_path": 32,
    "owner": 22,
    "policy": 38,
    "reason": 90,
    "region": 15,
    "remediation_command": 80,
    "repository": 54,
    "repository_arn": 70,
    "repository_name": 40,
    "section_title": 76,
    "state": 12,
    "status": 15,
}


@dataclass(frozen=True)
class Sheet:
    """A sheet: its tab, the published table that has all of its rows, how many columns go on paper, its query.

    `order` says in words how the query sorts: which rows are there when not all of them are. `parameters` are those
    that the query names, as $name.
    """

    name: str
    table: str
    printed: int
    order: str
    query: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


SHEETS = (
    Sheet(
        "Findings",
        "findings",
        11,
        "those that count in a framework first, then by severity, then by age",
        """
        SELECT
            split_part(policy_id, '/', -1) AS policy, account_id, account_name, ou_path, region, repository_name, owner,
            status, incompliant_start_date, age_days, started_known, * EXCLUDE (
                snapshot_date, policy_id, account_id, account_name, ou_path, region, repository_name, owner,
                status, incompliant_start_date, age_days, started_known
            )
        FROM findings
        ORDER BY
            policy_id IN (SELECT policy_id FROM section_policies) DESC,
            (
                SELECT list_position(['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], severity)
                FROM policies
                WHERE policies.policy_id = findings.policy_id
            ),
            policy,
            age_days DESC,
            account_id,
            region,
            repository_name
        """,
    ),
    Sheet(
        "Linked sections",
        "section_compliance",
        10,
        "by framework",
        """
        SELECT
            framework_name, section_title, sub_sections, policies, flags, compliance_percent, compliant, incompliant,
            undetermined, coverage_percent, inapplicable, disappeared, internal_rules, section_id
        FROM section_compliance
        WHERE scope_type = 'organization'
            AND snapshot_date = (SELECT snapshot_date FROM publication)
            AND section_id IN (SELECT section_id FROM section_policies)
        ORDER BY framework_name, position
        """,
    ),
    Sheet(
        "Coverage",
        "coverage",
        9,
        "the least seen first",
        """
        SELECT
            account_id, account_name, ou_path, state, coverage_percent, targets, collected, repositories_observed,
            repositories_unseen, * EXCLUDE (
                snapshot_date, account_id, account_name, ou_path, state, coverage_percent, targets, collected,
                repositories_observed, repositories_unseen
            )
        FROM coverage
        ORDER BY coverage_percent NULLS LAST, account_id
        """,
    ),
    Sheet(
        "Waivers",
        "waivers",
        12,
        "by status",
        """
        SELECT
            waiver_id, status, expires, days_left, matched_findings, split_part(policy_id, '/', -1) AS policy,
            repository, account_id, ou_path, region, reason, approved_by, * EXCLUDE (
                snapshot_date, waiver_id, status, expires, days_left, matched_findings, policy_id,
                repository, account_id, ou_path, region, reason, approved_by
            )
        FROM waivers
        ORDER BY status, expires, waiver_id
        """,
    ),
)


def write_workbook(database: duckdb.DuckDBPyConnection, path: Path, sheets: Sequence[Sheet] = SHEETS) -> None:
    """Write the workbook of a published database. Rows are streamed, so that memory does not grow with them."""
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "tmpdir": path.parent}
    with xlsxwriter.Workbook(path, options) as book:
        writer = _Writer(book)
        writer.cover(database, sheets)
        for sheet in sheets:
            writer.sheet(database, sheet)


class _Writer:
    def __init__(self, book: xlsxwriter.Workbook) -> None:
        self._book = book
        self._bold = book.add_format({"bold": True})
        self._title = book.add_format({"bold": True, "font_size": 16})
        self._cut = book.add_format({"bold": True, "font_color": "#C00000"})
        self._header = book.add_format({"bold": True, "bg_color": "#D9E1F2", "bottom": 1})
        self._day = book.add_format({"num_format": "yyyy-mm-dd", "align": "left"})
        self._moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss", "align": "left"})
        self._number = book.add_format({"align": "left"})
        self._percent = book.add_format({"num_format": "0.0", "align": "left"})

    def cover(self, database: duckdb.DuckDBPyConnection, sheets: Sequence[Sheet]) -> None:
        [publication] = _dictionaries(database, "SELECT * FROM publication")
        page = self._book.add_worksheet("Cover")
        page.set_column(0, 0, 62)
        page.set_column(1, 1, 72)
        page.write_string(0, 0, "ECR image-tag mutability: audit evidence", self._title)
        facts: list[tuple[str, Any]] = [
            ("Snapshot (UTC date)", publication["snapshot_date"]),
            ("Published (UTC)", publication["published_at"]),
            ("Coverage, % of account-regions read", publication["coverage_percent"]),
            ("Repositories judged on (commit)", publication["inventory_commit"]),
            ("Verdicts (commit)", publication["compliance_commit"]),
        ]
        facts += [(f"Rows in {sheet.name}", _told_rows(_rows(database, sheet), sheet)) for sheet in sheets]
        row = self._pairs(page, 2, facts)
        page.write_string(row + 1, 0, "Policy", self._bold)
        page.write_string(row + 1, 1, "Version (SHA-256 of its definition and SQL)", self._bold)
        self._pairs(page, row + 2, publication["policy_hashes"].items())
        self._print_fit(page)

    def sheet(self, database: duckdb.DuckDBPyConnection, sheet: Sheet) -> None:
        page = self._book.add_worksheet(sheet.name)
        rows, header = _rows(database, sheet), 0
        if rows > MAX_ROWS:
            page.write_string(0, 0, f"{_told_rows(rows, sheet)}. Here are {sheet.order}.", self._cut)
            header = 1
        result = database.execute(f"{sheet.query} LIMIT {MAX_ROWS}", dict(sheet.parameters) or None)
        names = [column[0] for column in result.description or ()]
        for index, name in enumerate(names):
            page.set_column(index, index, _WIDTHS.get(name, max(10, len(name) + 3)))
            page.write_string(header, index, name, self._header)
        page.freeze_panes(header + 1, 0)
        self._print_fit(page)
        page.repeat_rows(0, header)
        number = header
        while batch := result.fetchmany(_BATCH):
            for values in batch:
                number += 1
                for index, value in enumerate(values):
                    self._cell(page, number, index, value)
        page.autofilter(header, 0, number, len(names) - 1)
        page.print_area(0, 0, number, sheet.printed - 1)

    def _pairs(self, page: Any, row: int, pairs: Iterable[tuple[str, Any]]) -> int:
        for name, value in pairs:
            page.write_string(row, 0, name)
            self._cell(page, row, 1, value)
            row += 1
        return row

    def _cell(self, page: Any, row: int, column: int, value: Any) -> None:
        match value:
            case None:
                return
            case str():
                page.write_string(row, column, _short(value))
            case bool():
                page.write_boolean(row, column, value)
            case float():
                page.write_number(row, column, value, self._percent)
            case int():
                page.write_number(row, column, value, self._number)
            case datetime():
                # Excel knows no time zones; every time that is published is UTC.
                page.write_datetime(row, column, value.replace(tzinfo=None), self._moment)
            case date():
                page.write_datetime(row, column, value, self._day)
            case list():
                page.write_string(row, column, _short(", ".join(map(str, value))))
            case _:
                raise TypeError(f"A {type(value).__name__} has no form in a workbook: {value!r}")

    @staticmethod
    def _print_fit(page: Any) -> None:
        """On paper: landscape, A4, as wide as one page."""
        page.set_landscape()
        page.set_paper(9)
        page.fit_to_pages(1, 0)


def _short(text: str) -> str:
    """Text as a cell holds it: on one line, since a break would be drawn over the next row."""
    if not text.isprintable():
        text = " ".join(text.splitlines())
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"


def _told_rows(rows: int, sheet: Sheet) -> str:
    return f"{rows:,}" if rows <= MAX_ROWS else f"{MAX_ROWS:,} of {rows:,} rows; all are in {sheet.table}.csv"


def _rows(database: duckdb.DuckDBPyConnection, sheet: Sheet) -> int:
    [(rows,)] = database.execute(f"SELECT count(*) FROM ({sheet.query})", dict(sheet.parameters) or None).fetchall()
    return int(rows)


def _dictionaries(database: duckdb.DuckDBPyConnection, query: str) -> list[Mapping[str, Any]]:
    result = database.execute(query)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
