"""The auditors' workbook: what was found, in which controls, how much was seen, and by which policies it was judged.

Every text is written as text: a spreadsheet runs none of it, whatever an account is named.

A sheet is for people: it has MAX_ROWS rows at most, the first in its order. If those are not all, its first line says
so, and where all are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import xlsxwriter

from ecr_audit.inventory.missing import Missing
from ecr_audit.publish.unread_values import unread_sentences
from ecr_audit.publish.workbook_sheets import SHEETS, Sheet

# Excel could open ten times as many (1,048,576); nobody reads them, and they take minutes to write.
MAX_ROWS = 100_000

# Excel's limit of a cell (Microsoft, "Excel specifications and limits").
MAX_CHARACTERS = 32_767

# Rows that are in memory at a time.
_BATCH = 10_000

_TOP_LEFT = {"align": "left", "valign": "top"}

DEFINITIONS = {
    "Coverage": "Account-regions read / all that could be: without disabled regions and inactive accounts",
    "INCOMPLIANT": "Fails the policy; it stays a finding while it cannot be seen, until a night shows it fixed or gone",
    "COMPLIANT": "Passes the policy",
    "UNDETERMINED": "Not seen in this night, or of a value that the policy does not know: counted neither way",
    "INAPPLICABLE": "Its account is not active or has left the organization, or a condition of the policy says so:"
    " counted neither way",
    "DISAPPEARED": "Gone: its account and region were read, and it is not there; reported once",
    "Compliance, %": "Compliant / (compliant + incompliant); a waived finding is incompliant",
    "With waivers, %": "Compliant / (compliant + incompliant - waived): an accepted risk leaves the count",
    "observed: no": "Its account and region were not read in this night: the row is what was last known",
    "started_known: no": "There when the audit first looked: it is at least as old as age_days",
    "Waiver: active": "In force",
    "Waiver: expires_soon": "In force, for 30 days at most",
    "Waiver: unmatched": "In force, with no finding in its scope",
    "Waiver: expired": "No longer counts; matched_findings are those that it left uncovered",
}

_SEEN = """
    SELECT
        (SELECT count(*) FROM accounts) AS accounts,
        (SELECT count(*) FROM accounts WHERE state = 'ACTIVE') AS active,
        (SELECT count(*) FROM repositories) AS repositories,
        (SELECT count(*) FROM repositories WHERE NOT observed) AS unseen,
        (SELECT count(*) FROM nights WHERE missed) AS nights_missed
"""

_COMPLIANCE = """
    SELECT
        split_part(policy_id, '/', -1) AS "Policy",
        compliance_percent AS "Compliance, %",
        compliance_percent_with_waivers AS "With waivers, %",
        compliant AS "Compliant",
        incompliant AS "Incompliant",
        waived AS "Waived",
        undetermined AS "Undetermined",
        (SELECT count(*) FROM section_policies AS s WHERE s.policy_id = c.policy_id) AS "Framework sections"
    FROM compliance_daily AS c
    WHERE scope_type = 'organization'
        AND snapshot_date = (SELECT snapshot_date FROM publication)
    ORDER BY 8 DESC, 1
"""

# A finding that is UNDETERMINED in this night was INCOMPLIANT when it could last be judged.
_BY_POLICY = """
    SELECT policy, count(*) AS findings, count(*) FILTER (status = 'INCOMPLIANT') AS incompliant
    FROM ({findings})
    GROUP BY policy
    ORDER BY policy
"""

_POLICIES = """
    SELECT
        policy_id AS "Policy",
        (SELECT policy_hashes[policies.policy_id] FROM publication) AS "Version (SHA-256)"
    FROM policies
    ORDER BY policy_id
"""

# Widths in characters; of columns not named here, that of their name. What is wider goes on below itself on paper.
_WIDTHS = {
    "account_id": 14,
    "account_name": 24,
    "age_days": 9,
    "approved_by": 22,
    "created": 11,
    "current_state_message": 60,
    "days_left": 9,
    "exclusion_filters": 16,
    "expires": 11,
    "first_day_not_seen": 18,
    "framework_name": 28,
    "incompliant_start_date": 22,
    "internal_rules": 13,
    "matched_findings": 17,
    "observed": 10,
    "ou_path": 26,
    "overwritable_tags": 17,
    "owner": 18,
    "policies": 9,
    "policy": 22,
    "reason": 40,
    "region": 15,
    "remediation_command": 80,
    "repositories_observed": 21,
    "repositories_unseen": 19,
    "repository": 40,
    "repository_arn": 46,
    "repository_name": 40,
    "section_title": 44,
    "started_known": 14,
    "state": 12,
    "status": 15,
    "sub_sections": 12,
    "waived": 8,
}
_LEAST_WIDTH = 10

# Points of a line of text, and how many such lines a header has.
_LINE_HEIGHT, _HEADER_LINES = 15, 2


@dataclass(frozen=True)
class Excerpt:
    """What a workbook of some findings is a part of: the filter in words, and how much it leaves of what.

    `findings` of `all_findings` under the policy; `coverage_percent` of the accounts and regions that the filter is
    limited to, None where nothing was to be seen.
    """

    filters: Mapping[str, str]
    findings: int
    all_findings: int
    coverage_percent: float | None


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


class _Writer:
    def __init__(self, book: xlsxwriter.Workbook, database: duckdb.DuckDBPyConnection) -> None:
        self._book = book
        self._database = database
        [self._publication] = self._rows("SELECT * FROM publication")
        self._bold = book.add_format({"bold": True})
        self._title = book.add_format({"bold": True, "font_size": 16})
        self._cut = book.add_format({"bold": True, "font_color": "#C00000"})
        self._header = book.add_format({"bold": True, "bg_color": "#D9E1F2", "bottom": 1, "text_wrap": True})
        # On paper a long text goes on below itself; so all cells of a row begin at its top.
        self._text = book.add_format({"text_wrap": True, **_TOP_LEFT})
        self._line = book.add_format(_TOP_LEFT)
        self._day = book.add_format({"num_format": "yyyy-mm-dd", **_TOP_LEFT})
        self._moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss", **_TOP_LEFT})
        # As ecr_audit.text shows them: only all is 100.0, only nothing is 0.0. The cell holds the value itself.
        self._percent, self._nearly_all, self._nearly_nothing = (
            book.add_format({"num_format": shown, **_TOP_LEFT}) for shown in ("0.0", '"99.9"', '"0.1"')
        )

    def cover(self, sheets: Sequence[Sheet], excerpt: Excerpt | None) -> None:
        page = self._book.add_worksheet("Cover")
        page.set_column(0, 0, 62)
        page.set_column(1, 7, 20)
        title = "audit evidence" if excerpt is None else "an excerpt of the findings"
        page.write_string(0, 0, f"ECR image-tag mutability: {title}", self._title)
        row = self._pairs(page, 2, self._made_of(sheets))
        if excerpt:
            row = self._pairs(page, row + 1, _told(excerpt))
        row = self._table(page, row + 1, self._rows(_COMPLIANCE))
        row = self._table(page, row + 1, self._rows(_POLICIES))
        self._pairs(page, row + 1, DEFINITIONS.items())
        self._on_paper(page)

    def _made_of(self, sheets: Sequence[Sheet]) -> Iterator[tuple[str, Any]]:
        publication = self._publication
        [seen] = self._rows(_SEEN)
        yield "Organization", publication["organization_id"]
        yield "Snapshot (UTC date)", publication["snapshot_date"]
        yield "Published (UTC)", publication["published_at"]
        yield "Accounts", f"{seen['accounts']:,}, {seen['active']:,} of them active"
        yield "Repositories", f"{seen['repositories']:,}, {seen['unseen']:,} of them not seen in this night"
        yield "Coverage of the organization, % of account-regions read", publication["coverage_percent"]
        missing = Missing(publication["missing_accounts"] or (), publication["missing_regions"] or ())
        for sentence in missing.sentences():
            yield "Named in the settings, and not there", sentence
        for sentence in unread_sentences(self._database):
            yield "Last known, as it could not be read", sentence
        yield "Nights missed before this one", seen["nights_missed"]
        yield "Repositories judged on (commit)", publication["inventory_commit"]
        yield "Verdicts (commit)", publication["compliance_commit"]
        yield "Program version", publication["program_version"]
        for sheet in sheets:
            yield f"Rows in {sheet.name}", _told_rows(self._count(sheet), sheet)
            if sheet.table == "findings":
                for row in self._rows(_BY_POLICY.format(findings=sheet.query), sheet.parameters):
                    told = f"{row['findings']:,}, {row['incompliant']:,} of them INCOMPLIANT, the others UNDETERMINED"
                    yield f"Findings under {row['policy']}", told

    def sheet(self, sheet: Sheet) -> None:
        page = self._book.add_worksheet(sheet.name)
        rows, header = self._count(sheet), 0
        if rows > MAX_ROWS:
            page.write_string(0, 0, f"{_told_rows(rows, sheet)}. Here are {sheet.order}.", self._cut)
            header = 1
        result = self._database.execute(f"{sheet.query} LIMIT {MAX_ROWS}", dict(sheet.parameters) or None)
        names = [column[0] for column in result.description or ()]
        widths = [_WIDTHS.get(name, max(_LEAST_WIDTH, len(name) + 3)) for name in names]
        page.set_row(header, _LINE_HEIGHT * _HEADER_LINES)
        for index, (name, width) in enumerate(zip(names, widths, strict=True)):
            page.set_column(index, index, width)
            page.write_string(header, index, name, self._header)
        page.freeze_panes(header + 1, 0)
        self._on_paper(page)
        page.repeat_rows(0, header)
        number = header
        while batch := result.fetchmany(_BATCH):
            for values in batch:
                number += 1
                if (lines := _lines(values[: sheet.printed], widths)) > 1:
                    page.set_row(number, _LINE_HEIGHT * lines)
                for index, value in enumerate(values):
                    self._cell(page, number, index, value, self._text if index < sheet.printed else self._line)
        page.autofilter(header, 0, number, len(names) - 1)
        page.print_area(0, 0, number, sheet.printed - 1)

    def _table(self, page: Any, row: int, rows: Sequence[Mapping[str, Any]]) -> int:
        """Write rows under a header of their columns; returns the row after the last."""
        for index, name in enumerate(rows[0] if rows else ()):
            page.write_string(row, index, name, self._header)
        for each in rows:
            row += 1
            for index, value in enumerate(each.values()):
                self._cell(page, row, index, value)
        return row + 1

    def _pairs(self, page: Any, row: int, pairs: Iterable[tuple[str, Any]]) -> int:
        for name, value in pairs:
            page.write_string(row, 0, name)
            self._cell(page, row, 1, value)
            row += 1
        return row

    def _cell(self, page: Any, row: int, column: int, value: Any, text: Any = None) -> None:
        text = text or self._line
        match value:
            case None:
                return
            case str():
                page.write_string(row, column, _short(value), text)
            case bool():
                page.write_string(row, column, "yes" if value else "no", self._line)
            case float():
                page.write_number(row, column, value, self._percent_format(value))
            case int():
                page.write_number(row, column, value, self._line)
            case datetime():
                # Excel knows no time zones; every time that is published is UTC.
                page.write_datetime(row, column, value.replace(tzinfo=None), self._moment)
            case date():
                page.write_datetime(row, column, value, self._day)
            case list():
                page.write_string(row, column, _short(", ".join(map(str, value))), text)
            case _:
                raise TypeError(f"A {type(value).__name__} has no form in a workbook: {value!r}")

    def _percent_format(self, value: float) -> Any:
        if 99.9 < value < 100:
            return self._nearly_all
        return self._nearly_nothing if 0 < value < 0.1 else self._percent

    def _on_paper(self, page: Any) -> None:
        """On paper: landscape, A4, as wide as one page; each page says whose it is, of which night, and its number."""
        page.set_landscape()
        page.set_paper(9)
        page.fit_to_pages(1, 0)
        page.set_margins(left=0.4, right=0.4)
        night = f"{self._publication['organization_id'] or ''} {self._publication['snapshot_date']}".strip()
        page.set_header("&LECR image-tag mutability&R&A")
        page.set_footer(f"&L{night}, commit {self._publication['compliance_commit']}&RPage &P of &N")

    def _count(self, sheet: Sheet) -> int:
        query = f"SELECT count(*) FROM ({sheet.query})"
        [(rows,)] = self._database.execute(query, dict(sheet.parameters) or None).fetchall()
        return int(rows)

    def _rows(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[Mapping[str, Any]]:
        result = self._database.execute(query, dict(parameters or {}) or None)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _told(excerpt: Excerpt) -> Iterator[tuple[str, Any]]:
    yield "This is a part of the findings", f"{excerpt.findings:,} of {excerpt.all_findings:,} under the policy"
    for name, value in excerpt.filters.items():
        yield f"Filter: {name}", value
    yield "Coverage of the accounts and regions in this part, %", excerpt.coverage_percent


def _short(text: str) -> str:
    """Text as a cell holds it: on one line, since a break would be drawn over the next row."""
    if not text.isprintable():
        text = " ".join(text.splitlines())
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"


def _lines(values: Sequence[Any], widths: Sequence[int]) -> int:
    """How many lines the longest text of a row takes in its column; not every place is one to break at."""
    texts = ((len(value), width) for value, width in zip(values, widths, strict=False) if isinstance(value, str))
    return max((-(-length * 5 // (4 * width)) if length > width else 1 for length, width in texts), default=1)


def _told_rows(rows: int, sheet: Sheet) -> str:
    return f"{rows:,}" if rows <= MAX_ROWS else f"{MAX_ROWS:,} of {rows:,} rows; all are in {sheet.table}.csv"
