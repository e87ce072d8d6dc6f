"""Rolls verdicts up into framework sections and the other tables of a night, checks everything, and commits it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime

from ecr_audit.catalog import Catalog
from ecr_audit.compliance.evaluation import Evaluation, find_verdicts, remove_verdicts
from ecr_audit.compliance.known_waivers import KnownWaivers
from ecr_audit.errors import FinalError
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import POLICY_OUTPUT, REPOSITORIES, ROLLED_UP
from ecr_audit.lake.snapshot import fetch_snapshot
from ecr_audit.lake.tables import Input
from ecr_audit.warehouse.checks import Violation, run_checks
from ecr_audit.warehouse.session import Warehouse, open_warehouse
from ecr_audit.warehouse.statements import read_statement

# Few rows each, of many that are thus read once. In this order: one may read those before it.
_STAGING_TABLES = (
    "recreated",
    "object_counts",
    "account_scopes",
    "moved_accounts",
    "verdict_counts",
    "new_verdicts",
    "previous_verdicts",
    "first_readings",
    "waiver_matches",
)


class ComplianceError(FinalError):
    """The snapshot cannot be rolled up as it is; the message says what to run first."""


def roll_up(
    lake: Lake,
    catalog: Catalog,
    snapshot_date: date,
    *,
    waivers: KnownWaivers | None = None,
) -> tuple[Commit, list[Violation]]:
    """Commit the verdicts of a date together with the compliance of each section; returns the warnings of checks.

    Of `waivers`, see `known_waivers`, those in force on that date count (default: there are none).
    Takes the verdicts that `evaluate` kept, or else those that are committed already, so that it can be repeated.
    Raises ComplianceError when there are none or when their inputs have changed, CheckError when a check fails.
    """
    waivers = waivers or KnownWaivers.none()
    verdicts = find_verdicts(lake, snapshot_date)
    if verdicts is None:
        raise ComplianceError(
            f"{snapshot_date}: its repositories have not been evaluated yet. Evaluate that date first"
        )
    evaluation = verdicts.evaluation
    run_time = datetime.fromisoformat(evaluation.run_time)
    owner_tags = tuple(evaluation.owner_tags)
    present = Evaluation.of(lake, catalog, snapshot_date, run_time, owner_tags, None)
    if changed := evaluation.changed_in(present):
        raise ComplianceError(
            f"{snapshot_date}: {', '.join(changed)} changed since its repositories were evaluated."
            " Evaluate that date again"
        )
    with (
        fetch_snapshot(lake, snapshot_date, purpose="roll-up") as snapshot,
        lake.writer("compliance", snapshot_date) as writer,
    ):
        files = verdicts.fetch(lake, snapshot.folder)
        confined_to = [*files.paths, writer.folder]
        with open_warehouse(snapshot, catalog, owner_tags=owner_tags, confined_to=confined_to) as warehouse:
            warehouse.register_input(Input(POLICY_OUTPUT.name, POLICY_OUTPUT, [files]))
            warnings = _roll_up(warehouse, evaluation, waivers)
            for table in ROLLED_UP:
                warehouse.write_table(f"marts.{table.name}", table, writer.path(table))
        writer.take(POLICY_OUTPUT, files.paths)
        commit = writer.commit(
            asdict(evaluation) | {"waivers_read_at": waivers.read_at.isoformat(), "waivers_error": waivers.error}
        )
    remove_verdicts(lake, evaluation.snapshot_date)
    return commit, warnings


def _roll_up(warehouse: Warehouse, evaluation: Evaluation, waivers: KnownWaivers) -> list[Violation]:
    """Make the tables of ROLLED_UP in a session that shows the verdicts, and check everything."""
    snapshot_date, run_time = warehouse.snapshot_date, datetime.fromisoformat(evaluation.run_time)
    warehouse.add_arrow("catalog.waivers", waivers.rows)
    for name in _STAGING_TABLES:
        statement = read_statement(f"staging/{name}", warehouse.sql_root)
        warehouse.create_table(f"staging.{name}", statement, snapshot_date=snapshot_date)
    for table in ROLLED_UP:
        statement = read_statement(f"marts/{table.name}", warehouse.sql_root)
        warehouse.create_table(f"marts.{table.name}", statement, snapshot_date=snapshot_date, run_time=run_time)
    passed = list(evaluation.inventory_checks)
    if warehouse.left_out[REPOSITORIES.name]:
        passed.append("collected_count_equals_rows")  # it counts the rows that are left out, too
    return run_checks(warehouse, warehouse.sql_root, passed=passed)


def later_dates(lake: Lake, snapshot_date: date) -> list[date]:
    """Dates of the snapshots after this one, oldest first.

    Their status history continues from it: once it is committed again, they are to be evaluated again, in this order.
    """
    return [day for day in lake.snapshot_dates("inventory") if day > snapshot_date]
