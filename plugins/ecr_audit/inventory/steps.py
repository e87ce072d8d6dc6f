"""The steps of the nightly inventory, as the tasks of the DAG call them: settings in, small values out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from ecr_audit.aws.outcomes import is_enough
from ecr_audit.aws.session import Hub
from ecr_audit.errors import FinalError
from ecr_audit.hidden_modules import hidden_modules
from ecr_audit.inventory import plan as planning
from ecr_audit.inventory.commit import commit_snapshot
from ecr_audit.inventory.coverage import coverage
from ecr_audit.inventory.plan import ScanScope
from ecr_audit.inventory.plan_files import PlanError, read_plan
from ecr_audit.inventory.scan import scan_batch
from ecr_audit.lake.lake import Lake, open_lake
from ecr_audit.settings import load_settings
from ecr_audit.text import percent, plural

log = logging.getLogger(__name__)


class CoverageError(FinalError):
    """Coverage is under the minimum; what was read is committed all the same."""


@hidden_modules("pandas")
def discover(hub: Hub, params: Mapping[str, Sequence[str]], run_after: datetime, run_id: str) -> str:
    """Read the organization and start a plan for the day of the run (UTC). Returns the plan's id.

    A limited run goes on with yesterday's snapshot as long as today has none, so before the night: it would begin a day
    of which all else is not read. Raises PlanError for a run of a past day: AWS returns only the present state.
    """
    settings, scope = load_settings(), _scope(params)
    log.info("Lake: %s; publications: %s", settings.lake_root, settings.publish_root)
    lake = open_lake(settings)
    snapshot_date = settings.snapshot_date or _day_of(run_after)
    if scope and not settings.snapshot_date:
        snapshot_date = _begun_day(lake, snapshot_date)
    plan = planning.discover(lake, hub, snapshot_date=snapshot_date, run_id=run_id, scope=scope)
    log.info("Snapshot %s: organization read, plan %s", snapshot_date, plan.plan_id)
    return plan.plan_id


@hidden_modules("pandas")
def plan(hub: Hub, plan_id: str, params: Mapping[str, Sequence[str]]) -> list[int]:
    """Plan all targets and cut them into batches. Returns the batches' numbers."""
    settings = load_settings()
    batches = planning.cut_batches(open_lake(settings), hub, plan_id, settings, _scope(params))
    log.info("Planned %s of accounts", plural(len(batches), "batch", "batches"))
    return batches


@hidden_modules("pandas")
def scan(hub: Hub, plan_id: str, batch: int) -> None:
    """Scan one batch and write its part."""
    settings = load_settings()
    summary = scan_batch(open_lake(settings), hub, plan_id, batch, settings)
    outcomes = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(summary.outcomes.items()))
    log.info("Batch %d: %s repositories, targets: %s", batch, f"{summary.repositories:,}", outcomes)


@hidden_modules("pandas")
def commit(plan_id: str) -> str:
    """Commit the snapshot. Returns its date, YYYY-MM-DD."""
    committed = commit_snapshot(open_lake(load_settings()), plan_id)
    rows = ", ".join(f"{number:,} {table.replace('_', ' ')}" for table, number in committed.rows.items())
    log.info("Snapshot %s committed: %s", committed.snapshot_date, rows)
    return committed.snapshot_date.isoformat()


@hidden_modules("pandas")
def check_coverage(plan_id: str) -> None:
    """Raise CoverageError when less than ECR_AUDIT_MIN_COVERAGE of what can be seen was seen."""
    settings = load_settings()
    lake = open_lake(settings)
    committed = lake.read_commit("inventory", read_plan(lake, plan_id).snapshot_date)
    if committed is None:
        raise CoverageError(f"Plan {plan_id} has committed no snapshot.")
    seen = coverage(lake, committed)
    if not seen.countable:
        log.warning(
            "Snapshot %s has no targets to read: its accounts are inactive, or have not enabled its regions.",
            committed.snapshot_date,
        )
        return
    share, minimum = 100 * seen.share, 100 * settings.min_coverage
    message = (
        f"{seen.collected} of {seen.countable} targets of snapshot {committed.snapshot_date} were collected "
        f"({percent(share, minimum)})"
        + "".join(f", {number} {outcome}" for outcome, number in seen.not_collected.items())
        + "."
    )
    if not is_enough(seen.collected, seen.countable, settings.min_coverage):
        raise CoverageError(
            f"{message} That is under ECR_AUDIT_MIN_COVERAGE ({percent(minimum, share)}). The snapshot is committed; "
            "the table scan_targets has the reason for each target that could not be read."
        )
    log.info("%s", message)


def _day_of(run_after: datetime) -> date:
    day = run_after.astimezone(UTC).date()
    # A run may begin before midnight, and end or be cleared after it.
    if day < today() - timedelta(days=1):
        raise PlanError(
            f"The run is for {day}, but AWS returns only the present state, which would be recorded for that day. "
            "A missed night stays missed: trigger a new run for today."
        )
    return day


def _begun_day(lake: Lake, day: date) -> date:
    """The day, or today's day before if that alone has a snapshot."""
    before = today() - timedelta(days=1)
    begun = [each for each in (day, before) if lake.read_commit("inventory", each) is not None]
    return begun[0] if begun else day


def today() -> date:
    return datetime.now(UTC).date()


def _scope(params: Mapping[str, Sequence[str]]) -> ScanScope:
    return ScanScope(accounts=params["accounts"], ous=params["ous"], regions=params["regions"])
