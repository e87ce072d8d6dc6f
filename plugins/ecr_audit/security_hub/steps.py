"""The step of importing findings into Security Hub, as the task of the compliance DAG calls it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from ecr_audit.aws.outcomes import is_enough
from ecr_audit.aws.session import Hub
from ecr_audit.errors import FinalError
from ecr_audit.hidden_modules import hidden_modules
from ecr_audit.lake.lake import open_lake
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.store import newest
from ecr_audit.security_hub.due import Registry, due_batches, inactive_accounts
from ecr_audit.security_hub.imports import Result, import_batches
from ecr_audit.security_hub.outcomes import NOT_COUNTABLE, SETTLED, ImportOutcome
from ecr_audit.security_hub.record import record
from ecr_audit.settings import load_settings
from ecr_audit.text import percent, plural
from ecr_audit.warehouse.session import Resources

log = logging.getLogger(__name__)


class SecurityHubError(FinalError):
    """Too few accounts and regions took their findings; how each ended is recorded."""


@hidden_modules("pandas")
def import_findings(connect: Callable[[], Hub], run_id: str) -> str | None:
    """Import what is due by the newest publication. Returns a sentence on how it ended; None while it is off.

    Repeated, it imports the same findings under the same ids. Raises SecurityHubError, after all is recorded, when
    fewer accounts and regions took their findings than ECR_AUDIT_MIN_COVERAGE asks for.
    """
    settings = load_settings()
    role = settings.security_hub_role_name
    if role is None:
        return None
    lake, published = open_lake(settings), newest(settings)
    # A second thread would only wait: Python cuts the lines into calls.
    resources = Resources(threads=1)
    with lake.storage.scratch(f"security_hub-{published.snapshot_date}") as folder:
        limits = {"memory_limit": resources.memory, "threads": resources.threads, "temp_directory": str(folder)}
        with open_published(published.database, limits=limits, folder=folder) as database:
            batches, inactive = due_batches(database, settings.export_records), inactive_accounts(database)
    results = import_batches(connect(), batches, inactive, settings, role, run_id)
    record(lake, published.snapshot_date, results, datetime.now(UTC))
    _log_failures(results)
    sentence = describe(results)
    settled, countable = share_imported(results)
    if not is_enough(settled, countable, settings.min_coverage):
        took, least = 100 * settled / countable, 100 * settings.min_coverage
        raise SecurityHubError(
            f"{sentence} Accounts and regions with Security Hub that took them all: {percent(took, limit=least)},"
            f" less than ECR_AUDIT_MIN_COVERAGE ({percent(least)})."
        )
    log.info("%s", sentence)
    return sentence


def describe(results: Mapping[Registry, Result]) -> str:
    """A sentence on how all ended."""
    imported, due = (sum(getattr(each, name) for each in results.values()) for name in ("imported", "findings"))
    counts = Counter(result.outcome for result in results.values())
    ends = ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in ImportOutcome if counts[outcome])
    where = f"; accounts and regions: {ends}" if ends else ""
    return f"Security Hub: {imported:,} of {plural(due, 'finding')} that were due imported{where}."


def share_imported(results: Mapping[Registry, Result]) -> tuple[int, int]:
    """Accounts and regions that took their findings, and all that could have."""
    outcomes = [result.outcome for result in results.values()]
    return sum(each in SETTLED for each in outcomes), sum(each not in NOT_COUNTABLE for each in outcomes)


def _log_failures(results: Mapping[Registry, Result]) -> None:
    for (account_id, region), result in results.items():
        if result.outcome is not ImportOutcome.IMPORTED:
            log.warning(
                "%s, %s: %s: %d of %d findings imported: %s: %s",
                account_id,
                region,
                result.outcome,
                result.imported,
                result.findings,
                result.error_code,
                result.error_message,
            )
