"""Retention: which snapshots go, that it can be killed, and that what remains still works."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_audit.lake import retention
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import STAGES
from ecr_audit.lake.storage import LakeError
from ecr_audit.publish.build import publish
from ecr_audit.publish.publication import PublishError
from support.small_lake import SmallLake

pytestmark = [pytest.mark.usefixtures("database_alone"), pytest.mark.slow]

TODAY = date(2026, 3, 10)
# Under 30 days the cutoff is 2026-02-08, in the middle of a month.
DAYS = 30

STARTED = date(2026, 1, 5)
NIGHTS = [date(2026, 1, 4), STARTED, date(2026, 1, 31), date(2026, 2, 3), date(2026, 2, 28), date(2026, 3, 9)]
THINNED = [date(2026, 1, 4), STARTED, date(2026, 2, 3)]
KEPT = [day for day in NIGHTS if day not in THINNED]


@pytest.fixture
def nights(once: Callable[..., None], small_lake: SmallLake) -> SmallLake:
    """A repository that is MUTABLE from the second night on."""

    def audit() -> None:
        for day in NIGHTS:
            value = "MUTABLE" if day >= STARTED else "IMMUTABLE"
            small_lake.night(day, repositories=[{"image_tag_mutability": value}])

    once(audit)
    return small_lake


def dates(lake: Lake) -> list[date]:
    """The dates of the whole snapshots, which both stages must agree on."""
    commits = [lake.read_commit("compliance", day) for day in lake.snapshot_dates("compliance")]
    whole = [commit.snapshot_date for commit in commits if commit and commit.is_whole]
    assert lake.snapshot_dates("inventory") == whole
    return whole


def files(lake: Lake) -> set[str]:
    return {name for name in lake.storage.files("") if not name.endswith(".lock")}


def named(lake: Lake) -> set[str]:
    """The files that a lake consists of which has what its commits name, and nothing else."""
    commits = [
        lake.read_commit(stage, day) for stage in ("inventory", "compliance") for day in lake.snapshot_dates(stage)
    ]
    own = {f"_commits/{commit.stage}/{commit.snapshot_date}.json" for commit in commits if commit}
    return own | {name for commit in commits if commit for names in commit.files.values() for name in names}


def test_the_last_of_each_month_and_all_recent_ones_stay(nights: SmallLake) -> None:
    assert retention.thin(nights.lake, TODAY, DAYS, dry_run=False) == THINNED
    assert dates(nights.lake) == KEPT
    assert files(nights.lake) == named(nights.lake)
    assert retention.thin(nights.lake, TODAY, DAYS, dry_run=False) == []


def test_a_dry_run_reports_the_same_and_removes_nothing(nights: SmallLake) -> None:
    before = files(nights.lake)
    assert retention.thin(nights.lake, TODAY, DAYS, dry_run=True) == THINNED
    assert files(nights.lake) == before


@pytest.mark.parametrize(("days", "oldest_kept"), [(30, date(2026, 2, 8)), (29, date(2026, 2, 9))])
def test_the_day_of_the_limit_stays(small_lake: SmallLake, days: int, oldest_kept: date) -> None:
    month = [date(2026, 2, day) for day in (7, 8, 9, 28)]
    for day in month:
        small_lake.night(day)
    thinned = retention.thin(small_lake.lake, TODAY, days, dry_run=False)
    assert thinned == [day for day in month if day < oldest_kept]


def test_the_newest_stays_however_old(nights: SmallLake) -> None:
    retention.thin(nights.lake, TODAY + timedelta(days=5000), DAYS, dry_run=False)
    assert dates(nights.lake) == [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 9)]


def test_an_evaluated_snapshot_is_not_given_up_for_a_later_one_that_never_was(small_lake: SmallLake) -> None:
    evaluated, unevaluated = date(2026, 1, 10), date(2026, 1, 11)
    small_lake.night(evaluated)
    small_lake.scan(unevaluated)
    assert retention.thin(small_lake.lake, TODAY, DAYS, dry_run=False) == []


def published(nights: SmallLake, folder: Path) -> dict[str, list[Any]]:
    """The published histories; findings_history without the findings that are open, and age."""
    path = publish(nights.lake, nights.catalog, folder, owner_tags=()).database
    with duckdb.connect(path, read_only=True) as database:
        histories = ("policy_run", "compliance_daily", "changes", "findings_history", "time_to_fix")
        return {table: database.execute(f"FROM {table} ORDER BY ALL").fetchall() for table in histories}


def test_every_history_goes_back_to_the_first_night(small_lake: SmallLake, tmp_path: Path) -> None:
    """Also what began, ended and changed in nights that were thinned."""
    for day, value in zip(NIGHTS, ("MUTABLE", "IMMUTABLE", "MUTABLE", "IMMUTABLE", "MUTABLE", "MUTABLE"), strict=True):
        small_lake.night(day, repositories=[{"image_tag_mutability": value}])
    before = published(small_lake, tmp_path)
    assert [row for row in before["changes"] if row[0] == STARTED], "something changed on a night that is thinned"
    assert all(before.values())
    assert retention.thin(small_lake.lake, TODAY, DAYS, dry_run=False) == THINNED
    assert published(small_lake, tmp_path) == before


def test_verdicts_keep_their_dates(nights: SmallLake, tmp_path: Path) -> None:
    retention.thin(nights.lake, TODAY, DAYS, dry_run=False)
    nights.scan(TODAY, repositories=[{}])
    nights.evaluate(TODAY)
    path = publish(nights.lake, nights.catalog, tmp_path, owner_tags=()).database
    with duckdb.connect(path, read_only=True) as database:
        starts = database.execute("SELECT DISTINCT incompliant_start_date FROM policy_output").fetchall()
    assert starts == [(STARTED,)], "the night on which the stretch began was thinned"


def test_a_night_that_was_thinned_cannot_be_evaluated_again(nights: SmallLake) -> None:
    retention.thin(nights.lake, TODAY, DAYS, dry_run=False)
    with pytest.raises(LakeError, match=r"no inventory of 2026-02-03"):
        nights.evaluate(THINNED[-1])


def test_a_whole_night_that_is_evaluated_again_replaces_the_thinned_ones_before_it(
    nights: SmallLake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """2026-02-28 then continues from 2026-01-31, and 2026-02-03 between them no longer belongs to the history."""
    retention.thin(nights.lake, TODAY, DAYS, dry_run=False)
    nights.evaluate(date(2026, 2, 28))
    with pytest.raises(PublishError, match=r"Evaluate 2026-03-09 and all later dates again"):
        published(nights, tmp_path)
    nights.evaluate(date(2026, 3, 9))
    runs = published(nights, tmp_path)["policy_run"]
    assert {row[0] for row in runs} == set(NIGHTS) - {date(2026, 2, 3)}
    assert "1 thinned nights from 2026-02-03 on are left out" in caplog.text


def test_the_nights_after_one_that_was_evaluated_again_have_to_be_evaluated(nights: SmallLake, tmp_path: Path) -> None:
    """Not the thinned one that follows it at once, which can no longer be evaluated."""
    retention.thin(nights.lake, TODAY, DAYS, dry_run=False)
    nights.evaluate(date(2026, 1, 31))
    with pytest.raises(PublishError, match=r"Evaluate 2026-02-28 and all later dates again"):
        published(nights, tmp_path)


def test_a_night_put_in_between_asks_for_those_after_it(nights: SmallLake, tmp_path: Path) -> None:
    between = date(2026, 3, 1)
    nights.scan(between, repositories=[{}])
    nights.evaluate(between)
    with pytest.raises(PublishError, match=r"Evaluate 2026-03-09 and all later dates again"):
        publish(nights.lake, nights.catalog, tmp_path, owner_tags=())


def whole(lake: Lake, days: Iterable[date]) -> bool:
    """Whether every commit of these dates has all its files."""
    commits = [lake.read_commit(stage, day) for stage in ("inventory", "compliance") for day in days]
    return {name for commit in commits if commit for names in commit.files.values() for name in names} <= files(lake)


def test_killed_at_any_moment_it_leaves_whole_snapshots_and_the_next_run_finishes(
    small_lake: SmallLake, tmp_path: Path, is_killed_after: Callable[..., bool]
) -> None:
    old, kept = date(2026, 1, 30), [date(2026, 1, 31), date(2026, 3, 9)]
    for day in (old, *kept):
        small_lake.night(day, repositories=[{}])
    killed, changes = True, 0
    while killed:
        changes += 1
        root = tmp_path / f"{changes}" / "lake"
        shutil.copytree(small_lake.lake.root, root)
        lake = Lake(str(root))
        killed = is_killed_after(changes, root, lambda lake=lake: retention.thin(lake, TODAY, DAYS, dry_run=False))
        assert whole(lake, [old, *kept])
        evaluated = lake.read_commit("compliance", old)
        assert evaluated is not None
        assert not evaluated.is_whole or old in lake.snapshot_dates("inventory")
        retention.thin(lake, TODAY, DAYS, dry_run=False)
        assert retention.thin(lake, TODAY, DAYS, dry_run=True) == []
        assert dates(lake) == kept
        assert files(lake) == named(lake)
    # A scratch folder, the commit files of both stages, a folder of each large table.
    assert changes > 3 + len(STAGES["inventory"]) + 1
    path = publish(lake, small_lake.catalog, tmp_path / "publish", owner_tags=()).database
    with duckdb.connect(path, read_only=True) as database:
        runs = database.execute("SELECT DISTINCT snapshot_date FROM policy_run ORDER BY ALL").fetchall()
    assert [day for (day,) in runs] == [old, *kept]


def test_scratch_folders_go_a_day_after_they_were_last_touched(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert lake.storage.remove_scratch(datetime.now(UTC)) == 0, "there is none yet"
    now = datetime(2026, 3, 10, 5, tzinfo=UTC)
    for name, age in (("old.x", timedelta(hours=25)), ("busy.x", timedelta(hours=23))):
        folder = tmp_path / "_scratch" / name
        folder.mkdir(parents=True)
        (folder / "part").touch()
        os.utime(folder, times=((now - age).timestamp(),) * 2)
    assert lake.storage.remove_scratch(now - timedelta(days=1)) == 1
    assert [path.name for path in (tmp_path / "_scratch").iterdir()] == ["busy.x"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_task_takes_the_days_from_the_settings(
    nights: SmallLake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, dry_run: bool
) -> None:
    monkeypatch.setenv("ECR_AUDIT_LAKE", nights.lake.root)
    monkeypatch.setenv("ECR_AUDIT_RETENTION_DAYS", "36500")
    assert retention.maintain(dry_run=dry_run) == []
    monkeypatch.setenv("ECR_AUDIT_RETENTION_DAYS", "1")
    with caplog.at_level("INFO"):
        reported = retention.maintain(dry_run=dry_run)
    # Long after these nights, only the last of each month is kept.
    assert reported == [day.isoformat() for day in THINNED]
    assert ("To be thinned out" if dry_run else "Thinned out") in caplog.text
    assert dates(nights.lake) == (NIGHTS if dry_run else KEPT)
