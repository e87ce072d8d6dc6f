"""The steps of evaluating, as the tasks of the compliance DAG call them: settings in, small values out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date

from ecr_audit.catalog import Catalog, load_catalog
from ecr_audit.compliance import ComplianceError, KnownWaivers, known_waivers, later_dates
from ecr_audit.compliance import evaluate as evaluate_snapshot
from ecr_audit.compliance import roll_up as roll_up_snapshot
from ecr_audit.hidden_modules import hidden_modules
from ecr_audit.lake.lake import Lake, open_lake
from ecr_audit.settings import SQL_ROOT, load_settings

log = logging.getLogger(__name__)


@hidden_modules("pyarrow.dataset")
def evaluate(wanted: str | None, committed: Sequence[str]) -> str:
    """Evaluate a snapshot: the wanted one, or the oldest that was just committed, or the newest. Returns its date."""
    settings = load_settings()
    lake = open_lake(settings)
    dates = (
        [wanted] if wanted else sorted(committed) or [day.isoformat() for day in lake.snapshot_dates("inventory")[-1:]]
    )
    if not dates:
        raise ComplianceError(f"{lake.root} has no snapshots yet: run ecr_inventory first.")
    snapshot_date = dates[0]
    catalog = load_catalog(SQL_ROOT)
    # Not needed for the verdicts: a faulty file is reported before all the work, not after it.
    known_waivers(lake, catalog, settings)
    evaluate_snapshot(lake, catalog, date.fromisoformat(snapshot_date), owner_tags=settings.owner_tags)
    log.info("Snapshot %s evaluated", snapshot_date)
    return snapshot_date


@hidden_modules("pyarrow.dataset")
def roll_up(snapshot_date: str) -> str:
    """Roll up and commit a snapshot's verdicts; then evaluate and roll up each one after it. Returns the newest's
    date."""
    settings = load_settings()
    lake, catalog = open_lake(settings), load_catalog(SQL_ROOT)
    waivers = known_waivers(lake, catalog, settings)
    newest = date.fromisoformat(snapshot_date)
    _roll_up(lake, catalog, newest, waivers)
    for later in later_dates(lake, newest):
        evaluate_snapshot(lake, catalog, later, owner_tags=settings.owner_tags)
        _roll_up(lake, catalog, later, waivers)
        newest = later
    return newest.isoformat()


def _roll_up(lake: Lake, catalog: Catalog, day: date, waivers: KnownWaivers) -> None:
    commit, warnings = roll_up_snapshot(lake, catalog, day, waivers=waivers)
    log.info("Snapshot %s rolled up and checked: %s verdicts", day, f"{commit.rows['policy_output']:,}")
    for warning in warnings:
        log.warning("%s", warning)
