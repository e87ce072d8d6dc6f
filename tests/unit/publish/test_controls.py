"""The sections of all frameworks for GRC tools: the figures of section_compliance, satisfied if all was seen."""

from __future__ import annotations

import csv
from typing import Any

import duckdb
import pytest

from ecr_audit.macros import create_session_macros
from ecr_audit.publish.exports import CONTROLS
from support.exported_nights import ExportedNight


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
