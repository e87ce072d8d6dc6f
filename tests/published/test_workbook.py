"""The auditors' workbook, read back by openpyxl and opened by LibreOffice: nothing is missing, nothing runs."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
import xlsxwriter

from ecr_audit.publish import workbook_sheets
from ecr_audit.publish.build import publish
from ecr_audit.publish.completion import complete
from ecr_audit.publish.workbook import write_workbook
from ecr_audit.publish.workbook_cells import MAX_CHARACTERS, Cells, cell_text
from ecr_audit.publish.workbook_cover import DEFINITIONS
from ecr_audit.publish.workbook_rows import RowSheet
from ecr_audit.publish.workbook_sheets import SHEETS
from support.processes import PATIENCE
from support.small_lake import SmallLake

DAY = date(2026, 11, 1)

HOSTILE = ("=1+1", '=HYPERLINK("https://example.com")', "+1", "-1", "@SUM(1)", "\t=1", "https://example.com", "0123")
# XlsxWriter takes it for the XML of a text with several fonts.
RICH = '<r><t>x</t></r></is></c><c r="Z1"><f>1+1</f></c><c t="inlineStr"><is><r></r>'
VALUES: tuple[Any, ...] = (
    *HOSTILE, RICH, "", " ", " a ", "a\nb\r\nc", "<&>\"'", "_x0041_", "a_xyz", "\x00\x1f\x7f\ufffe", "é\xa0😀",
    "x" * 17_000, "😀" * 17_000, None, True, False, 0, 12, -3, 2**40, 0.0, 100.0, 99.96, 1 / 3, DAY, date(1970, 1, 1),
    datetime(2026, 11, 1, 2, 3, 4, tzinfo=UTC), [], ["a", "b"], ["=1"],
)  # fmt: skip


@pytest.fixture(scope="module")
def book(demo: Path) -> Iterator[Any]:
    book = openpyxl.load_workbook(demo / "publish" / "compliance.xlsx")
    yield book
    book.close()


@pytest.fixture
def database(demo: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(demo / "publish" / "compliance.duckdb", read_only=True) as database:
        yield database


def rows(sheet: Any) -> list[dict[str, Any]]:
    header, *cells = sheet.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in cells]


def test_the_cover_has_scope_date_and_policies(book: Any, database: duckdb.DuckDBPyConnection) -> None:
    lines = list(book["Cover"].iter_rows(values_only=True))
    cover = {name: value for name, value, *_ in lines if name}
    publication = database.table("publication").to_arrow_table().to_pylist()[0]
    assert "ECR audit: evidence" in cover
    assert cover["Organization"] == publication["organization_id"]
    assert cover["Snapshot (UTC date)"].date() == publication["snapshot_date"]
    assert cover["Repositories evaluated on (commit)"] == publication["inventory_commit"]
    assert cover["Coverage of the organization, % of account-regions read"] == pytest.approx(
        publication["coverage_percent"]
    )
    assert cover["Program version"] == publication["program_version"]
    assert dict(publication["policy_hashes"]).items() <= cover.items()
    assert cover.keys() >= DEFINITIONS.keys()


def test_the_cover_counts_each_policy_apart(book: Any, database: duckdb.DuckDBPyConnection) -> None:
    shown = {row[0]: row[1:8] for row in book["Cover"].iter_rows(values_only=True) if row[7] is not None}
    header = shown.pop("Policy")
    assert header[:4] == ("Compliance, %", "With waivers, %", "Compliant", "Incompliant")
    expected = database.execute(
        """
        SELECT contextual_name, compliance_percent, compliant, incompliant, waived
        FROM compliance_daily
        JOIN policies USING (policy_id)
        WHERE scope_type = 'organization' AND snapshot_date = (SELECT snapshot_date FROM publication)
        """
    ).fetchall()
    assert len(shown) == len(expected) == 2
    for policy, percent, *counts in expected:
        row = shown[policy]
        assert (row[0], [row[2], row[3], row[4]]) == (pytest.approx(percent), counts)


def test_the_cover_counts_the_rows_of_findings_for_each_policy(book: Any, database: duckdb.DuckDBPyConnection) -> None:
    cover = {row[0]: row[1] for row in book["Cover"].iter_rows(values_only=True)}
    expected = database.execute(
        """
        SELECT split_part(policy_id, '/', -1), count(*), count(*) FILTER (status = 'INCOMPLIANT')
        FROM findings
        GROUP BY policy_id
        """
    ).fetchall()
    assert len(expected) == 2
    for policy, findings, incompliant in expected:
        reported = f"{findings:,}, {incompliant:,} of them INCOMPLIANT, the others UNDETERMINED"
        assert cover[f"Findings under {policy}"] == reported


def test_the_cover_explains_the_words_that_the_cells_have(book: Any) -> None:
    defined = {row[0] for row in book["Cover"].iter_rows(values_only=True)}
    for name in ("observed", "started_known"):
        assert {row[name] for row in rows(book["Findings"])} <= {"yes", "no"}
        assert f"{name}: no" in defined
    assert {f"Waiver: {row['status']}" for row in rows(book["Waivers"])} <= defined
    assert {row["status"] for row in rows(book["Findings"])} <= defined


def test_printed_sheets_have_the_columns_that_an_auditor_needs(book: Any) -> None:
    """Columns beyond the printed ones are for the screen; each page names its night and its number."""
    needed = {
        "Findings": {"policy", "repository_arn", "owner", "status", "waived", "waiver_id", "overwritable_tags"},
        "Waivers": {"waiver_id", "status", "expires", "tag_key", "tag_value", "reason", "approved_by", "ticket"},
        # Without the targets outside coverage, 5 of 6 at 100 % would look wrong.
        "Coverage": {"account_id", "coverage_percent", "repositories_unseen", "region_disabled", "account_inactive"},
        "Policies": {"policy", "severity", "compliance_percent", "incompliant", "undetermined", "facets"},
        "Tag moves": {
            "snapshot_date",
            "tag",
            "is_release",
            "kind",
            "repository_arn",
            "owner",
            "seen_before",
            "seen_after",
        },
        "Remediation plan": {"action", "rule", "repository_arn", "proposed_setting", "proposed_filters", "moving_tags"},
        "Registries": {"account_id", "region", "creation_templates", "pull_through_rules", "registries_read_at"},
        "Linked sections": {"section_number", "compliance_percent", "waived", "coverage_percent"},
    }
    for sheet in SHEETS:
        page = book[sheet.name]
        printed = {page.cell(1, column).value for column in range(1, sheet.printed + 1)}
        assert needed[sheet.name] <= printed, sheet.name
        assert "2026-" in page.oddFooter.left.text, sheet.name
        assert page.oddFooter.right.text == "Page &P of &N"


def test_every_finding_section_account_and_waiver_is_there(book: Any, database: duckdb.DuckDBPyConnection) -> None:
    assert book.sheetnames == ["Cover", *(sheet.name for sheet in SHEETS)]
    for name, table in (("Findings", "findings"), ("Coverage", "coverage"), ("Waivers", "waivers")):
        assert len(rows(book[name])) == database.table(table).shape[0]
    assert len(rows(book["Linked sections"])) == 10
    arns = {row["repository_arn"] for row in rows(book["Findings"])}
    assert arns == {arn for (arn,) in database.execute("SELECT repository_arn FROM findings").fetchall()}


def test_sheets_have_frozen_headers_filters_and_widths(book: Any) -> None:
    for sheet in SHEETS:
        page = book[sheet.name]
        assert page.freeze_panes == "A2"
        assert page.auto_filter.ref == page.dimensions
        assert all(page.column_dimensions[cell.column_letter].width >= 8 for cell in page[1])


def test_no_cell_is_a_formula_or_a_link(small_lake: SmallLake, tmp_path: Path) -> None:
    names = (*HOSTILE, RICH)
    accounts = [{"account_id": f"{number:012}", "account_name": name} for number, name in enumerate(names)]
    repositories = [
        {"account_id": account["account_id"], "tags": [("owner", account["account_name"])]} for account in accounts
    ]
    for day, digest in ((date(2026, 10, 30), "=1"), (date(2026, 10, 31), "=2")):
        small_lake.scan(day, accounts=accounts, repositories=repositories)
        small_lake.read_tags(day, [repositories[0] | {"tags": dict.fromkeys(names, digest)}])
    small_lake.night(DAY, accounts=accounts, repositories=repositories)
    publish(small_lake.lake, small_lake.catalog, tmp_path, owner_tags=("owner",))
    complete(small_lake.lake, tmp_path)
    book = openpyxl.load_workbook(tmp_path / "compliance.xlsx")
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f" or cell.hyperlink]
    shown = [row["account_name"] for row in sorted(rows(book["Coverage"]), key=lambda row: row["account_id"])]
    assert [name.removesuffix(" ") for name in shown] == list(names)
    moved = [(row["tag"].removesuffix(" "), row["old_digest"], row["new_digest"]) for row in rows(book["Tag moves"])]
    assert sorted(moved) == sorted((" ".join(name.splitlines()), "=1", "=2") for name in names)
    assert {row["account_id"] for row in rows(book["Coverage"])} == {account["account_id"] for account in accounts}


def test_a_cut_sheet_is_marked_in_its_first_line(
    database: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = database.table("findings").shape[0]
    monkeypatch.setattr(workbook_sheets, "MAX_ROWS", 100)
    write_workbook(database, tmp_path / "small.xlsx")
    book = openpyxl.load_workbook(tmp_path / "small.xlsx")
    page = book["Findings"]
    note, header, *cells = page.iter_rows(values_only=True)
    assert note[0] == (
        f"100 of {findings:,} rows; all are in findings.csv."
        " Shown: policies of a framework first, then by severity, then by age."
    )
    assert len(cells) == 100
    assert (page.freeze_panes, page.auto_filter.ref) == ("A3", page.dimensions.replace("A1", "A2"))
    cover = dict(row[:2] for row in book["Cover"].iter_rows(values_only=True))
    assert cover["Rows in Findings"] == f"100 of {findings:,} rows; all are in findings.csv"
    assert cover["Rows in Coverage"] == str(database.table("coverage").shape[0])
    shown = [dict(zip(header, row, strict=True)) for row in cells]
    oldest = database.execute(
        """
        SELECT age_days
        FROM findings
        WHERE policy_id = '/ce/ca/aws/ecr/repository-image-tag-mutability'
        ORDER BY age_days DESC
        LIMIT 100
        """
    ).fetchall()
    assert {row["policy"] for row in shown} == {"repository-image-tag-mutability"}
    assert [(row["age_days"],) for row in shown] == oldest


def test_a_cut_sheet_names_a_file_that_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest tables have no CSV."""
    monkeypatch.setattr(workbook_sheets, "MAX_ROWS", 1)
    files = {sheet.table: sheet.rows_in_words(2).rpartition(" ")[2] for sheet in SHEETS}
    assert files["findings"] == "findings.csv"
    assert files["tag_moves"] == "tag_moves.parquet"


def test_a_sheet_that_has_just_all_rows_is_as_any_other(
    database: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = database.table("findings").shape[0]
    monkeypatch.setattr(workbook_sheets, "MAX_ROWS", findings)
    write_workbook(database, tmp_path / "full.xlsx")
    assert len(rows(openpyxl.load_workbook(tmp_path / "full.xlsx")["Findings"])) == findings


def test_text_longer_than_a_cell_holds_is_cut_visibly() -> None:
    assert cell_text("x" * MAX_CHARACTERS) == "x" * MAX_CHARACTERS
    cut = cell_text("x" * (MAX_CHARACTERS + 1))
    assert (len(cut), cut[-2:]) == (MAX_CHARACTERS, "x…")
    # Excel counts units of UTF-16.
    pairs = cell_text("😀" * MAX_CHARACTERS)
    assert (len(pairs), pairs[-2:]) == (MAX_CHARACTERS // 2 + 1, "😀…")


def sheet_xml(path: Path, fill: Callable[[Any, Cells], None], kind: type | None = None) -> bytes:
    """The XML of a sheet with a header that `fill` has filled further."""
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        cells = Cells(book)
        page = book.add_worksheet("Sheet", kind)
        page.write_string(0, 0, "header", cells.header)
        fill(page, cells)
    with zipfile.ZipFile(path) as file:
        return file.read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize("rows", [[VALUES, VALUES[::-1]], [VALUES], []])
def test_rows_are_written_as_xlsxwriter_writes_their_cells(tmp_path: Path, rows: list[tuple[Any, ...]]) -> None:
    def whole_rows(page: RowSheet, cells: Cells) -> None:
        heights = (None, 45)
        last = page.write_rows(1, zip(heights, rows, strict=False), cells, [cells.line] * len(VALUES))
        assert last == len(rows)

    def cell_by_cell(page: Any, cells: Cells) -> None:
        for number, row in enumerate(rows, 1):
            if number == 2:
                page.set_row(number, 45)
            for column, value in enumerate(row):
                cells.write(page, number, column, value)

    expected = sheet_xml(tmp_path / "cells.xlsx", cell_by_cell)
    assert sheet_xml(tmp_path / "rows.xlsx", whole_rows, RowSheet) == expected
    assert b"<f>" not in expected
    assert expected.count(b"<row ") == 1 + len(rows)


@pytest.mark.slow
def test_libreoffice_opens_it(demo: Path, tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not installed (apt-get install libreoffice-calc-nogui)")
    profile = f"-env:UserInstallation=file://{tmp_path}/profile"
    command = [office, profile, "--headless", "--convert-to", "pdf", "--outdir", str(tmp_path)]
    subprocess.run(
        [*command, str(demo / "publish" / "compliance.xlsx")], check=True, capture_output=True, timeout=PATIENCE
    )
    assert (tmp_path / "compliance.pdf").read_bytes().startswith(b"%PDF-")
