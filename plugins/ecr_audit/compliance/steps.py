"""The steps of the compliance DAG, as its tasks call them: settings in, small values out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date

from ecr_audit.catalog import Catalog, load_catalog
from ecr_audit.compliance import ComplianceError, KnownWaivers, known_waivers, later_dates
from ecr_audit.compliance import evaluate as evaluate_snapshot
from ecr_audit.compliance import roll_up as roll_up_snapshot
from ecr_audit.lake.lake import Lake, open_lake
from ecr_audit.publish.build import publish as publish_newest
from ecr_audit.publish.changes import describe_changes
from ecr_audit.publish.dictionary import load_dictionary
from ecr_audit.publish.postgres import publish_to_postgres
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.store import newest as newest_publication
from ecr_audit.publish.store import publication_store
from ecr_audit.publish.tables import TABLES, VIEWS
from ecr_audit.settings import SQL_ROOT, load_settings

log = logging.getLogger(__name__)


def evaluate(wanted: str | None, committed: Sequence[str]) -> str:
    """Judge a snapshot: the wanted one, or the oldest that was just committed, or the newest. Returns its date."""
    settings = load_settings()
    lake = open_lake(settings)
    dates = (
        [wanted] if wanted else sorted(committed) or [day.isoformat() for day in lake.snapshot_dates("inventory")[-1:]]
    )
    if not dates:
        raise ComplianceError(f"{lake.root} holds no snapshot yet: run ecr_inventory first.")
    snapshot_date = dates[0]
    catalog = load_catalog(SQL_ROOT)
    # Not needed for the verdicts: a faulty file is reported before all the work, not after it.
    known_waivers(lake, catalog, settings)
    evaluate_snapshot(lake, catalog, date.fromisoformat(snapshot_date), owner_tags=settings.owner_tags)
    log.info("Snapshot %s judged", snapshot_date)
    return snapshot_date


def roll_up(snapshot_date: str) -> str:
    """Roll up and commit a snapshot's verdicts; then judge and roll up each one after it. Returns the newest's date."""
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


def publish(rolled_up: str | None = None, postgres_uri: str | None = None) -> str:
    """Publish the newest evaluated snapshot, also to PostgreSQL if told where. Returns where people find it.

    `rolled_up`: the date of the newest snapshot, which `roll_up` returned.

    A PostgreSQL that fails fails the step after the files have been published.
    """
    settings = load_settings()
    publication = publish_newest(
        open_lake(settings),
        load_catalog(SQL_ROOT),
        publication_store(settings),
        owner_tags=settings.owner_tags,
        rolled_up=date.fromisoformat(rolled_up) if rolled_up else None,
    )
    log.info("Published snapshot %s: %s", publication.snapshot_date, publication.address)
    if postgres_uri:
        rows = publish_to_postgres(
            publication.database, postgres_uri, settings.postgres_schema, load_dictionary(TABLES | VIEWS)
        )
        log.info("Published %s rows into PostgreSQL's schema %s", f"{sum(rows.values()):,}", settings.postgres_schema)
    return publication.address


def announce() -> str:
    """Say what changed since the snapshot before. Returns what it says."""
    with open_published(newest_publication(load_settings()).database) as published:
        told = describe_changes(published)
    log.info("Since the snapshot before: %s", told)
    return told
