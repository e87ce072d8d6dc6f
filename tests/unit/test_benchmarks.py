"""The organization that most benchmarks judge is one that a scan could have read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecr_audit.lake.lake import Lake

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_their_nights_have_the_columns_of_the_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Committing refuses others."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    from compliance import NIGHTS, organization, scan

    lake = Lake(str(tmp_path / "lake"))
    with organization(str(tmp_path), accounts=2, per_region=3) as database:
        for number, night in enumerate(NIGHTS, 1):
            scan(database, lake, number, night)
    for night in NIGHTS:
        commit = lake.read_commit("inventory", night)
        assert commit is not None
        assert commit.rows["scan_targets"] == 20
        assert commit.rows["repositories"] >= 50
