"""Retention: which snapshots go, that it can be killed, and that what remains still works."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_audit import retention
from ecr_audit.lake import Lake
from ecr_audit.publish import PublishError, publish
from ecr_audit.schemas import STAGES

TODAY = date(2026, 3, 10)
# Under 30 days the cutoff is 2026-02-08, in the middle of a month.
DAYS = 30

STARTED = date(2026, 1, 5)
NIGHTS = [date(2026, 1, 4), STARTED, date(2026, 1, 31), date(2026, 2, 3), date(2026, 2, 28), date(2026, 3, 9)]
THINNED = [date(2026, 1, 4), STARTED, date(2026, 2, 3)]
KEPT = [day for day in NIGHTS if day not in THINNED]


@pytest.fixture
def nights(small_lake: Any) -> Any:
    """A repository that is MUTABLE from the second night on."""
    for day in NIGHTS:
        value = "MUTABLE" if day >= STARTED else "IMMUTABLE"
        small_lake.scan(day, repositories=[{"image_tag_mutability": value}])
        small_lake.judge(day)
    return small_lake


def dates(lake: Lake) -> list[date]:
    """The dates of the lake, which both stages must agree on."""
    assert lake.snapshot_dates("inventory") == lake.snapshot_dates("compliance")
    return lake.snapshot_dates("inventory")


def files(lake: Lake) -> set[str]:
    return {name for name in lake.staged("") if not name.endswith(".lock")}


def named(lake: Lake) -> set[str]:
    """The files that a lake of whole snapshots and nothing else consists of."""
    commits = [
        lake.read_commit(stage, day) for stage in ("inventory", "compliance") for day in lake.snapshot_dates(stage)
    ]
    own = {f"_commits/{commit.stage}/{commit.snapshot_date}.json" for commit in commits if commit}
    return own | {name for commit in commits if commit for name in commit.files.values()}


def test_the_last_of_each_month_and_all_recent_ones_stay(nights: Any) -> None:
    assert retention.thin(nights.lake, TODAY, DAYS, dry_run=False) == THINNED
    assert dates(nights.lake) == KEPT
    assert files(nights.lake) == named(nights.lake)
    assert retention.thin(nights.lake, TODAY, DAYS, dry_run=False) == []


def test_a_dry_run_tells_the_same_and_removes_nothing(nights: Any) -> None:
    before = files(nights.lake)
    assert retention.thin(nights.lake, TODAY, DAYS, dry_run=True) == THINNED
    assert files(nights.lake) == before


@pytest.mark.parametrize(("days", "oldest_kept"), [(30, date(2026, 2, 8)), (29, date(2026, 2, 9))])
def test_the_day_of_the_limit_stays(small_lake: Any, days: int, oldest_kept: date) -> None:
    month = [date(2026, 2, day) for day in (7, 8, 9, 28)]
    for day in month:
        small_lake.scan(day)
        small_lake.judge(day)
    thinned = retention.thin(small_lake.lake, TODAY, days, dry_run=False)
    assert thinned == [day for day in month if day < oldest_kept]


def test_the_newest_stays_however_old(nights: Any) -> None:
    retention.thin(nights.lake, TODAY + timedelta(days=5000), DAYS, dry_run=False)
    assert dates(nights.lake) == [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 9)]


def test_a_judged_snapshot_is_not_given_up_for_a_later_one_that_never_was(small_lake: Any) -> None:
    judged, unjudged = date(2026, 1, 10), date(2026, 1, 11)
    small_lake.scan(judged)
    small_lake.judge(judged)
    small_lake.scan(unjudged)
    assert retention.thin(small_lake.lake, TODAY, DAYS, dry_run=False) == []


def test_history_and_publication_go_on(nights: Any, tmp_path: Path) -> None:
    retention.thin(nights.lake, TODAY, DAYS, dry_run=False)
    nights.scan(TODAY, repositories=[{}])
    nights.judge(TODAY)
    path = publish(nights.lake, nights.catalog, tmp_path, owner_tags=()).database
    with duckdb.connect(path, read_only=True) as database:
        starts = database.execute("SELECT DISTINCT incompliant_start_date FROM policy_output").fetchall()
        published = database.execute("SELECT DISTINCT snapshot_date FROM policy_run ORDER BY ALL").fetchall()
    assert starts == [(STARTED,)], "the night on which the stretch began is gone, its date is not"
    assert [day for (day,) in published] == [*KEPT, TODAY]


@pytest.mark.parametrize("anew", KEPT[:2])
def test_a_remaining_snapshot_that_is_judged_anew_still_asks_for_those_after_it(
    nights: Any, tmp_path: Path, anew: date
) -> None:
    """The one after it continues from a snapshot that is gone, or from the one judged anew: only that is a fault."""
    retention.thin(nights.lake, TODAY, DAYS, dry_run=False)
    nights.judge(anew)
    follows_directly = NIGHTS[NIGHTS.index(anew) + 1] in KEPT
    if follows_directly:
        with pytest.raises(PublishError, match=r"Evaluate 2026-03-09 and all later dates again"):
            publish(nights.lake, nights.catalog, tmp_path, owner_tags=())
    else:
        assert publish(nights.lake, nights.catalog, tmp_path, owner_tags=()).snapshot_date == NIGHTS[-1]


def test_a_night_put_in_between_asks_for_those_after_it(nights: Any, tmp_path: Path) -> None:
    between = date(2026, 3, 1)
    nights.scan(between, repositories=[{}])
    nights.judge(between)
    with pytest.raises(PublishError, match=r"Evaluate 2026-03-09 and all later dates again"):
        publish(nights.lake, nights.catalog, tmp_path, owner_tags=())


class Killed(BaseException):
    """Ends the program at a point of the test's choosing."""


class DyingFileSystem:
    """A file system whose process is killed before its n-th removal."""

    def __init__(self, real: Any, removals: int) -> None:
        self._real = real
        self._left = removals

    def __getattr__(self, name: str) -> Any:
        if name in ("delete_file", "delete_dir"):
            if self._left == 0:
                raise Killed
            self._left -= 1
        return getattr(self._real, name)


def whole(lake: Lake, days: Iterable[date]) -> bool:
    """Whether every commit of these dates has all its files."""
    commits = [lake.read_commit(stage, day) for stage in ("inventory", "compliance") for day in days]
    return {name for commit in commits if commit for name in commit.files.values()} <= files(lake)


def test_killed_at_any_moment_it_leaves_whole_snapshots_and_the_next_run_finishes(
    small_lake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, old, kept = small_lake.lake, date(2026, 1, 30), [date(2026, 1, 31), date(2026, 3, 9)]
    for day in (old, *kept):
        small_lake.scan(day, repositories=[{}])
        small_lake.judge(day)
    real, killed = lake._fs, 0
    thinned = [old]
    while thinned:
        monkeypatch.setattr(lake, "_fs", DyingFileSystem(real, 1))
        try:
            thinned = retention.thin(lake, TODAY, DAYS, dry_run=False)
        except Killed:
            killed += 1
            monkeypatch.setattr(lake, "_fs", real)
            assert whole(lake, [old, *kept])
            assert set(lake.snapshot_dates("compliance")) <= set(lake.snapshot_dates("inventory"))
    # A removal a run: a stage's commit file, a table's folder; the last one ends its run.
    assert killed == len(STAGES) + sum(map(len, STAGES.values())) - 1
    monkeypatch.setattr(lake, "_fs", real)
    assert dates(lake) == kept
    assert files(lake) == named(lake)
    assert publish(lake, small_lake.catalog, tmp_path, owner_tags=()).snapshot_date == kept[-1]


def test_scratch_folders_go_a_day_after_they_were_last_touched(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert lake.remove_scratch(datetime.now(UTC)) == 0, "there is none yet"
    now = datetime(2026, 3, 10, 5, tzinfo=UTC)
    for name, age in (("old.x", timedelta(hours=25)), ("busy.x", timedelta(hours=23))):
        folder = tmp_path / "_scratch" / name
        folder.mkdir(parents=True)
        (folder / "part").touch()
        os.utime(folder, times=((now - age).timestamp(),) * 2)
    assert lake.remove_scratch(now - timedelta(days=1)) == 1
    assert [path.name for path in (tmp_path / "_scratch").iterdir()] == ["busy.x"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_task_takes_the_days_from_the_settings(
    nights: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, dry_run: bool
) -> None:
    monkeypatch.setenv("ECR_AUDIT_LAKE", nights.lake.root)
    monkeypatch.setenv("ECR_AUDIT_RETENTION_DAYS", "36500")
    assert retention.maintain(dry_run=dry_run) == []
    monkeypatch.setenv("ECR_AUDIT_RETENTION_DAYS", "1")
    with caplog.at_level("INFO"):
        told = retention.maintain(dry_run=dry_run)
    # Long after these nights: of each month only the last is kept.
    assert told == [day.isoformat() for day in THINNED]
    assert ("To be thinned out" if dry_run else "Thinned out") in caplog.text
    assert dates(nights.lake) == (NIGHTS if dry_run else KEPT)
