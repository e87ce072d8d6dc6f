"""The steps of reading image tags: which night, and the sentences on it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ecr_audit.image_tags import steps
from support.small_lake import SmallLake


def test_moves_and_repositories_without_a_comparison(
    small_lake: SmallLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first night has nothing to compare with; in the second that is so for a new repository."""
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))

    def committed(day: date, **image_tags: dict[str, str]) -> str:
        rows: list[dict[str, Any]] = [{"repository_name": name, "tags": tags} for name, tags in image_tags.items()]
        small_lake.scan(day, repositories=[{"repository_name": row["repository_name"]} for row in rows])
        small_lake.read_tags(day, rows)
        return steps.commit(day.isoformat())

    assert committed(date(2026, 11, 1), app={"latest": "a", "old": "a"}) == (
        "Image tags of 2026-11-01: 1 repository of 1 read, 0 compared with an earlier night: 0 tags overwritten,"
        " 0 added, 0 removed. There is nothing yet to compare the other 1 with."
    )
    assert committed(date(2026, 11, 2), app={"latest": "b", "new": "b"}, young={"latest": "a"}) == (
        "Image tags of 2026-11-02: 2 repositories of 2 read, 1 compared with an earlier night: 1 tag overwritten,"
        " 1 added, 1 removed. There is nothing yet to compare the other 1 with."
    )


def test_the_night_of_the_settings_is_read_unless_a_later_one_is_committed(
    small_lake: SmallLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    first, second = date(2026, 11, 1), date(2026, 11, 2)
    for day in (first, second):
        small_lake.scan(day, repositories=[{}])
    assert steps.choose_snapshot([]) is None  # off by default
    monkeypatch.setenv("ECR_AUDIT_IMAGE_TAGS", "all")
    assert steps.choose_snapshot([]) == "2026-11-02"
    monkeypatch.setenv("ECR_AUDIT_SNAPSHOT_DATE", "2026-11-01")
    assert steps.choose_snapshot([]) == "2026-11-01"
    assert steps.choose_snapshot(["2026-11-02"]) == "2026-11-02"
    small_lake.read_tags(second, [])
    assert steps.choose_snapshot([]) is None
    assert steps.choose_snapshot(["2026-11-02"]) == "2026-11-02"
