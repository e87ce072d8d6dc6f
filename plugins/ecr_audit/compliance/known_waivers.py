"""The waivers that count for a night: those of the file, or, when it cannot be read, those that were last read."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from ecr_audit.catalog import Catalog
from ecr_audit.catalog.waivers import SCHEMA, WaiversUnreadError, load_waivers
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import WAIVERS
from ecr_audit.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownWaivers:
    """Waivers, as rows of `ecr_audit.catalog.waivers.SCHEMA`, and when their file was read (UTC).

    `error`: why it could not be read tonight, so that they are those of an earlier night.
    """

    rows: pa.Table
    read_at: datetime
    error: str | None = None

    @classmethod
    def none(cls) -> KnownWaivers:
        """No waivers: no risk is accepted."""
        return cls(SCHEMA.empty_table(), datetime.now(UTC))


def known_waivers(lake: Lake, catalog: Catalog, settings: Settings) -> KnownWaivers:
    """The waivers of ECR_AUDIT_WAIVERS; when it cannot be read, those that the newest evaluated snapshot has.

    Raises WaiverError for a file with faults, since somebody has to correct it, and for one that cannot be read as long
    as no waiver is known: a misspelt place must not pass for "no waivers".
    """
    try:
        rows = load_waivers(settings.waivers, catalog, settings.waiver_max_days)
    except WaiversUnreadError as error:
        known = _last_known(lake, str(error))
        if known is None:
            raise
        log.warning("%s. The %d waivers read at %s count.", error, known.rows.num_rows, known.read_at)
        return known
    return KnownWaivers(rows, datetime.now(UTC))


def _last_known(lake: Lake, error: str) -> KnownWaivers | None:
    # Whichever night is evaluated: the newest has all that were ever made, and each night takes those of its day.
    dates = lake.snapshot_dates("compliance")
    commit = lake.read_commit("compliance", dates[-1]) if dates else None
    if commit is None:
        return None
    rows = WAIVERS.completed(lake.read_table(commit, WAIVERS)).select(SCHEMA.names).cast(SCHEMA)
    # An older version did not note it.
    read_at = datetime.fromisoformat(commit.details.get("waivers_read_at") or commit.committed_at.isoformat())
    return KnownWaivers(rows, read_at, error) if rows.num_rows else None
