"""The sections of all frameworks for GRC tools: the figures of section_compliance, satisfied if all was seen."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_audit.macros import create_session_macros
from ecr_audit.publish.build import publish
from ecr_audit.publish.exports import CONTROLS
from ecr_audit.warehouse.statements import read_statement
from support.exported_nights import ExportedNight
from support.small_lake import SmallLake

# With the columns that the query reads; a temporary table precedes the published one. Half of each 100,000 are waived.
MANY = """
CREATE TEMP TABLE findings AS
SELECT
    policy_id,
    account_id,
    incompliant_start_date - (n % 50)::INTEGER AS incompliant_start_date,
    CASE WHEN n % 2 = 0 THEN 'W-' || n // 100_000 END AS waiver_id
FROM findings, range(500_000) AS many(n)
"""


@pytest.fixture(scope="module")
def rows(nights: list[ExportedNight]) -> list[dict[str, str]]:
    with (nights[1].folder / CONTROLS).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_counts_are_those_of_section_compliance(nights: list[ExportedNight], rows: list[dict[str, str]]) -> None:
    names = "section_id, compliant, incompliant, waived, undetermined, inapplicable, disappeared, policies"
    expected = nights[1].query(
        f"""
        SELECT {names}
        FROM section_compliance
        WHERE scope_type = 'organization' AND snapshot_date = (SELECT snapshot_date FROM publication)
        ORDER BY framework_name, position
        """
    )
    assert [tuple(row[name] for name in names.split(", ")) for row in rows] == [
        tuple(str(value) for value in row) for row in expected
    ]
    assert len(rows) == nights[1].query("SELECT count(*) FROM sections")[0][0]


def test_a_row_names_its_evidence(nights: list[ExportedNight], rows: list[dict[str, str]]) -> None:
    by_control = {(row["framework"], row["control_id"]): row for row in rows}
    held = by_control["NIST SP 800-53 Revision 5", "CM-8(1)"]
    [(inventory, compliance, hashes)] = nights[1].query(
        "SELECT inventory_commit, compliance_commit, policy_hashes FROM publication"
    )
    mutability = "/ce/ca/aws/ecr/repository-image-tag-mutability"
    assert (held["policy_ids"], held["policy_hashes"]) == (mutability, hashes[mutability])
    assert (held["inventory_commit"], held["compliance_commit"]) == (inventory, compliance)
    assert (held["status"], held["reason"], held["waivers"]) == ("not-satisfied", "fail", "W-1")
    assert held["oldest_finding"] == "2026-11-01"
    nothing = by_control["NIST SP 800-53 Revision 5", "CM-2(1)"]
    assert (nothing["status"], nothing["policies"], nothing["compliance_percent"]) == ("", "0", "")


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        # compliant, incompliant, waived, undetermined, coverage
        ((0, 0, 0, 0, 100.0), None),
        ((5, 0, 0, 0, 100.0), "pass"),
        ((5, 1, 0, 0, 100.0), "fail"),
        ((5, 2, 1, 0, 100.0), "fail"),
        ((5, 2, 2, 0, 100.0), "other"),
        ((5, 0, 0, 1, 100.0), "other"),
        ((5, 0, 0, 0, 99.99), "other"),
        ((5, 0, 0, 0, None), "other"),
        ((0, 0, 0, 3, 100.0), "other"),
    ],
)
def test_a_section_passes_only_if_all_was_seen_and_complies(counts: tuple[Any, ...], reason: str | None) -> None:
    with duckdb.connect() as connection:
        create_session_macros(connection)
        assert connection.execute("SELECT assessment_reason(?, ?, ?, ?, ?)", counts).fetchall() == [(reason,)]


def test_a_section_has_the_oldest_and_the_waivers_of_its_findings_however_many(
    small_lake: SmallLake, tmp_path: Path
) -> None:
    """Within memory that a list with a waiver for each finding of each section would not fit into."""
    small_lake.night(date(2026, 11, 23), repositories=[{}])
    database = publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=()).published.database
    with duckdb.connect(
        database, read_only=True, config={"memory_limit": "150MB", "threads": 1, "max_temp_directory_size": "0B"}
    ) as session:
        session.execute(MANY)
        query = f"SELECT DISTINCT oldest_finding, waivers FROM ({read_statement('exports/controls').text}\n)"
        found = session.execute(query, {"account_id": None}).fetchall()
    assert sorted(found, key=str) == [
        (None, None),
        (date(2026, 10, 5), ["W-0", "W-1", "W-2", "W-3", "W-4"]),
    ]
