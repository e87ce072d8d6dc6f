"""Keeps the lake small: old snapshots are thinned, and what killed runs left is removed.

Thinning removes a night's large tables, with a row for every repository: its inventory and its verdicts. What was
rolled up of them stays, so that trends, changes, ended findings and times to fix go back to the first night.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from ecr_audit.lake.lake import Lake, open_lake
from ecr_audit.lake.schemas import KEPT, STAGES
from ecr_audit.settings import load_settings

log = logging.getLogger(__name__)

# A scratch folder unused for this long is abandoned: the time limit of a task is an hour.
_ABANDONED = timedelta(days=1)


def thin(lake: Lake, today: date, retention_days: int, *, dry_run: bool) -> list[date]:
    """Thin the snapshots that are older than `days`, except the last of each month. Returns their dates.

    Both stages of a date are thinned together, and never the newest snapshot of a stage. A run that breaks off leaves
    whole and thinned snapshots; what it left of others goes with the next run. With `dry_run` nothing is removed.

    The status history of what remains stays as it is: each verdict carries its own dates. A night that was thinned
    cannot be evaluated again, for there is nothing left to evaluate; see `publish` for those after it.
    """
    # A stage of which everything stays has no nights to keep.
    thinnable = [stage for stage, tables in STAGES.items() if KEPT[stage] != tables]
    kept = {day for stage in thinnable for day in _last_of_each_month(lake.snapshot_dates(stage))}
    oldest = today - timedelta(days=retention_days)
    thinned = [day for day in lake.unthinned_dates() if day < oldest and day not in kept]
    if not dry_run:
        for day in thinned:
            lake.thin_snapshot(day)
    return thinned


def _last_of_each_month(days: Iterable[date]) -> set[date]:
    return set({(day.year, day.month): day for day in sorted(days)}.values())


def maintain(*, dry_run: bool) -> list[str]:
    """Thin the lake by the settings, and clean up. Returns the dates (to be) thinned."""
    settings = load_settings()
    lake = open_lake(settings)
    now = datetime.now(UTC)
    thinned = [day.isoformat() for day in thin(lake, now.date(), settings.retention_days, dry_run=dry_run)]
    log.info(
        "%s of %s: %s", "To be thinned out" if dry_run else "Thinned out", lake.root, ", ".join(thinned) or "nothing"
    )
    if not dry_run:
        log.info("%d abandoned scratch folders removed", lake.storage.remove_scratch(now - _ABANDONED))
    return thinned
