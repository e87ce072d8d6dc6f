"""The steps of publishing, as the tasks of the compliance DAG call them: settings in, small values out."""

from __future__ import annotations

import logging
from datetime import date

from ecr_audit.catalog import load_catalog
from ecr_audit.hidden_modules import hidden_modules
from ecr_audit.lake.lake import open_lake
from ecr_audit.publish.build import publish as publish_newest
from ecr_audit.publish.changes import describe_changes
from ecr_audit.publish.completion import complete
from ecr_audit.publish.dictionary import load_dictionary
from ecr_audit.publish.policies import shown_policies
from ecr_audit.publish.progress import log_writing
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.sealing import seal_nights
from ecr_audit.publish.store import newest, publication_store
from ecr_audit.publish.tables import TABLES, VIEWS
from ecr_audit.settings import SQL_ROOT, load_settings
from ecr_audit.text import plain

log = logging.getLogger(__name__)


@hidden_modules("pyarrow.dataset")
def publish(rolled_up: str | None = None) -> str:
    """Seal what was evaluated, if ECR_AUDIT_EVIDENCE is set, and publish the newest snapshot. Returns where people find
    it.

    `rolled_up`: the date of the newest snapshot, which `roll_up` returned.
    """
    settings = load_settings()
    lake = open_lake(settings)
    sealed = seal_nights(lake, settings)
    result = publish_newest(
        lake,
        load_catalog(SQL_ROOT),
        publication_store(settings),
        owner_tags=settings.owner_tags,
        retention_days=settings.retention_days,
        rolled_up=date.fromisoformat(rolled_up) if rolled_up else None,
        options=settings,
        plan_settings=settings,
        sealed=sealed,
    )
    log.info("Published snapshot %s: %s", result.snapshot_date, result.address)
    return result.address


@hidden_modules("pandas", "pyarrow.dataset")
def complete_publication() -> None:
    """Add the workbook, files for other tools and whatever else the newest publication lacks. Raises ExportError."""
    settings = load_settings()
    completed = complete(open_lake(settings), publication_store(settings), settings)
    log.info("The publication of snapshot %s has all its files", completed.snapshot_date)


def publish_to_postgres(uri: str) -> None:
    """Replace the tables in PostgreSQL with those of the newest publication, which is only read.

    Repeated after a failure, it publishes the same version, unless there is a newer one by then. Raises what
    `postgres.publish_to_postgres` does.
    """
    from ecr_audit.publish import postgres  # the driver, which no other step needs

    settings = load_settings()
    published = newest(settings)
    with log_writing(f"PostgreSQL's schema {settings.postgres_schema}"):
        rows = postgres.publish_to_postgres(
            published.database, uri, settings.postgres_schema, load_dictionary(TABLES | VIEWS)
        )
    log.info(
        "Published snapshot %s into PostgreSQL's schema %s: %s rows",
        published.snapshot_date,
        settings.postgres_schema,
        f"{sum(rows.values()):,}",
    )


@hidden_modules("pandas")
def announce() -> str:
    """Log what changed since the snapshot before, and return it."""
    with open_published(newest(load_settings()).database) as published:
        changes = describe_changes(published)
        policy = plain(shown_policies(published)[0].name)
    log.info("Since the snapshot before, under %s: %s", policy, changes)
    return changes
