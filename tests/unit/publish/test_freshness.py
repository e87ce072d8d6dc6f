"""When a night counts as missed, and the message on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ecr_audit.publish.build import publish
from ecr_audit.publish.freshness import MissedNightError, check_freshness, missed_night, nights_missed
from ecr_audit.settings import Settings
from ecr_audit.vocabulary import ImageTags
from support.small_lake import SmallLake

DAY = date(2026, 11, 2)


@pytest.mark.parametrize(
    ("now", "missed"),
    [
        ("2026-11-02T23:00:00+00:00", 0),
        ("2026-11-03T05:59:59+00:00", 0),  # the night has until 06:00 UTC
        ("2026-11-03T06:00:00+00:00", 1),
        ("2026-11-03T00:30:00-06:00", 1),  # 06:30 in UTC
        ("2026-11-05T05:00:00+00:00", 2),
        ("2026-11-01T12:00:00+00:00", 0),  # ECR_AUDIT_SNAPSHOT_DATE may be ahead
    ],
)
def test_a_snapshot_is_due_by_six(now: str, missed: int) -> None:
    assert nights_missed(DAY, datetime.fromisoformat(now)) == missed


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path)


@pytest.fixture
def scanned(small_lake: SmallLake) -> Callable[[], None]:
    """A night that is in the lake; evaluated, too."""

    def night() -> None:
        small_lake.night(DAY, repositories=[{}])

    return night


def at(day: int) -> datetime:
    return datetime(2026, 11, day, 6, tzinfo=UTC)


def test_before_the_first_night_nothing_is_missed(settings: Settings) -> None:
    assert missed_night(settings, at(9)) is None


def test_a_lake_that_nobody_publishes_is_reported(settings: Settings, scanned: Callable[[], None]) -> None:
    scanned()
    assert missed_night(settings, at(2)) is None  # it may be on its way
    assert "snapshots since 2026-11-02, but none are published" in (missed_night(settings, at(3)) or "")


def test_a_published_night_is_fresh_until_the_next_is_due(
    settings: Settings, scanned: Callable[[], None], small_lake: SmallLake, tmp_path: Path
) -> None:
    scanned()
    publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=())
    check_freshness(settings, at(2))
    with pytest.raises(MissedNightError, match="is of 2026-11-02: 1 night was missed since"):
        check_freshness(settings, at(3))
    assert "2 nights were missed" in (missed_night(settings, at(4)) or "")


def test_image_tags_have_a_day_more(
    settings: Settings, scanned: Callable[[], None], small_lake: SmallLake, tmp_path: Path
) -> None:
    scanned()
    small_lake.read_tags(DAY, [{"tags": {"latest": "a"}}])
    # Published as of the night that is looked at.
    small_lake.night(DAY + timedelta(days=2), repositories=[{}])
    publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=())
    reading = settings.model_copy(update={"image_tags": ImageTags.ALL})
    assert missed_night(reading, at(3)) is None
    assert missed_night(reading, at(4)) == "Image tags were last read on 2026-11-02: 1 night was missed since."
    assert missed_night(settings, at(4)) is None
