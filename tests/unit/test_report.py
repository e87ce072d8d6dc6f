"""The summary in the terminal tells of the newest night, and of waivers when there are any."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console

from ecr_audit import waivers
from ecr_audit.publication import publications
from ecr_audit.publish import publish
from ecr_audit.report import POLICY, print_summary
from ecr_audit.settings import Settings

DAYS = [date(2026, 11, day) for day in (1, 2, 3)]

WAIVER = {"waiver_id": "W-1", "policy_id": POLICY, "created": DAYS[0], "expires": date(2027, 1, 1)}


@pytest.fixture
def summary(small_lake: Any, tmp_path: Path) -> Any:
    """What is told of three nights: a finding of the first is fixed on the second; nothing changes on the third."""

    def tell() -> str:
        for day, mutability in zip(DAYS, ("MUTABLE", "IMMUTABLE", "IMMUTABLE"), strict=True):
            repositories = [
                {"repository_name": "a"},
                {"repository_name": "b", "image_tag_mutability": mutability},
            ]
            small_lake.scan(day, repositories=repositories)
            small_lake.judge(day)
        settings = Settings(data=tmp_path)
        publish(small_lake.lake, small_lake.catalog, publications(settings), owner_tags=())
        told = io.StringIO()
        print_summary(settings, Console(file=told, width=110))
        return told.getvalue()

    return tell


def test_only_the_newest_nights_changes_are_told(summary: Any) -> None:
    told = summary()
    assert "Since the night before  nothing changed" in told
    assert "Waivers" not in told


def test_waivers_are_told(small_lake: Any, summary: Any) -> None:
    rows = [WAIVER, WAIVER | {"waiver_id": "W-2", "region": "us-east-1"}]
    small_lake.waivers = pa.Table.from_pylist(rows, schema=waivers.SCHEMA)
    assert "Waivers  1 in force, 1 that match nothing; findings waived: 1" in summary()
