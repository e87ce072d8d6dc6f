"""The demo's waivers: one of each kind, on whatever day the demo is run."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from demo.history import write_history
from demo.story import NIGHTS
from demo.waivers import write_waivers
from ecr_audit.catalog import Catalog
from ecr_audit.catalog.waivers import load_waivers
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import SCOPE_COMPLIANCE, WAIVERS
from support.lakes import committed


@pytest.mark.parametrize("today", [date(2026, 11, 23), date(2028, 2, 29)])
def test_an_audit_of_that_day_distinguishes_every_kind(tmp_path: Path, catalog: Catalog, today: date) -> None:
    lake = Lake(str(tmp_path / "lake"))
    write_history(lake, catalog, today, owner_tags=("owner",), nights=[0, NIGHTS - 1])
    commit = committed(lake, "compliance", today - timedelta(days=2))
    waivers = lake.read_table(commit, WAIVERS).to_pylist()
    assert {row["status"] for row in waivers} == {"active", "expires_soon", "expired", "unmatched"}
    assert {row["policy_id"].rpartition("-")[2] for row in waivers} == {"mutability", "strict"}
    first = committed(lake, "compliance", lake.snapshot_dates("compliance")[0])
    assert lake.read_table(first, WAIVERS).num_rows == 0, "they begin in the course of the history"
    for scope in lake.read_table(commit, SCOPE_COMPLIANCE).to_pylist():
        if scope["scope_type"] == "organization":
            assert scope["waived"] > 0
            assert scope["compliance_percent_with_waivers"] > scope["compliance_percent"]


def test_the_file_is_a_valid_one(tmp_path: Path, catalog: Catalog) -> None:
    path = write_waivers(tmp_path / "not there yet" / "waivers.yaml", date(2026, 11, 23))
    assert load_waivers(str(path), catalog, 365).num_rows == 5
