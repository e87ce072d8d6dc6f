"""When the newest published snapshot is older than it should be: a night was missed, whatever the reason."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from ecr_audit.errors import FinalError
from ecr_audit.lake.lake import open_lake
from ecr_audit.publish.store import newest_date
from ecr_audit.settings import Settings
from ecr_audit.text import plural
from ecr_audit.vocabulary import ImageTags

# By when (UTC) the snapshot of a day is to be published. The night begins at 02:00 (dags/ecr_inventory.py); a task of
# it may take an hour at most. dags/ecr_freshness.py looks at this time.
DUE = time(6)


class MissedNightError(FinalError):
    """The newest published snapshot is too old; the message is for people."""


def nights_missed(snapshot_date: date, now: datetime) -> int:
    """How many snapshots are due after this one and are not there. `now` has a time zone."""
    now = now.astimezone(UTC)
    due = now.date() if now.time() >= DUE else now.date() - timedelta(days=1)
    return max(0, (due - snapshot_date).days)


def missed_night(settings: Settings, now: datetime) -> str | None:
    """A message on missed nights, of the publication or of image tags; None if there are none.

    While the first night is under way, nothing has been missed: there is no publication, and no older snapshot in the
    lake. Raises PublicationError or LakeError when the places cannot be read.
    """
    published = newest_date(settings)
    if published is None:
        dates = open_lake(settings).snapshot_dates("inventory")
        is_old = bool(dates) and nights_missed(dates[0], now) > 0
        return f"The lake has snapshots since {dates[0]}, but none are published." if is_old else None
    missed = nights_missed(published, now)
    if not missed:
        return _missed_image_tags(settings, now)
    return (
        f"The newest published snapshot is of {published}: {plural(missed, 'night was', 'nights were')} missed since."
    )


def _missed_image_tags(settings: Settings, now: datetime) -> str | None:
    """The same on image tags, which no publication waits for: their night may last a day longer."""
    if settings.image_tags is ImageTags.OFF:
        return None
    newest = open_lake(settings).snapshot_dates("image_tags")[-1:]
    missed = nights_missed(newest[0], now) - 1 if newest else 0
    if missed < 1:
        return None
    return f"Image tags were last read on {newest[0]}: {plural(missed, 'night was', 'nights were')} missed since."


def check_freshness(settings: Settings, now: datetime) -> None:
    """Raise MissedNightError when the newest published snapshot is older than it should be at a time."""
    if message := missed_night(settings, now):
        raise MissedNightError(message)
