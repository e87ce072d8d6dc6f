"""Judges a snapshot: first every policy on every repository, then what that means for each framework section.

`evaluate` leaves the verdicts under `_staging/compliance/<date>/` of the lake; `roll_up` commits them together with the
sections. Until then nobody sees them. Either can be repeated, and be killed at any moment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.parquet as pq

from ecr_audit.catalog import Catalog
from ecr_audit.checks import Finding, run_checks
from ecr_audit.lake import PARQUET_OPTIONS, Commit, Lake
from ecr_audit.policies import show_verdicts
from ecr_audit.schemas import POLICY_OUTPUT, POLICY_RUN, SECTION_COMPLIANCE
from ecr_audit.warehouse import DEFAULT_LIMITS, Limits, Warehouse, open_warehouse, read_statement

# Repositories that are judged at a time. It bounds memory, and small hash tables are the faster ones: one over all of
# 10 million takes more than twice as long as twenty over their parts.
SLICE_REPOSITORIES = 500_000

# Rows of a row group: what a reader that looks for one account has to decode at least.
_ROW_GROUP = 122_880

_EVALUATION = "evaluation.json"


class ComplianceError(RuntimeError):
    """The snapshot cannot be rolled up as it is; the message says what to run first."""


@dataclass(frozen=True)
class Evaluation:
    """Verdicts that were reached, and what they depend on: if that changes, they have to be reached anew."""

    snapshot_date: str
    run_time: str
    # The compliance commit that the status history continues from; None when it begins with this snapshot.
    previous_commit: str | None
    inventory_commit: str
    # Hash by policy id.
    policies: dict[str, str]


def evaluate(
    lake: Lake,
    catalog: Catalog,
    snapshot_date: date,
    *,
    owner_tags: tuple[str, ...],
    limits: Limits = DEFAULT_LIMITS,
    run_time: datetime | None = None,
) -> Evaluation:
    """Judge every repository of a snapshot under every policy, and stage the verdicts for `roll_up`.

    `run_time` is what the rows say they were judged at (default: now, UTC).
    Raises PolicyError for a policy whose logic.sql breaks its contract, LakeError for a missing or damaged snapshot.
    """
    run_time = run_time or datetime.now(UTC)
    with open_warehouse(
        lake, catalog, snapshot_date, purpose="evaluate", owner_tags=owner_tags, limits=limits
    ) as warehouse:
        evaluation = _evaluation(lake, catalog, snapshot_date, run_time)
        folder = _staging(snapshot_date)
        if lake.staged(folder):
            lake.remove_folder(folder)
        with lake.scratch(f"verdicts-{snapshot_date}") as scratch:
            _write_verdicts(warehouse, catalog, run_time, scratch / "policy_output.parquet")
            note = scratch / _EVALUATION
            note.write_text(json.dumps(asdict(evaluation), indent=1), encoding="utf-8")
            lake.move_in(scratch / "policy_output.parquet", f"{folder}/policy_output.parquet")
            # Last: without it there is no evaluation.
            lake.move_in(note, f"{folder}/{_EVALUATION}")
    return evaluation


def roll_up(
    lake: Lake,
    catalog: Catalog,
    snapshot_date: date,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Commit, list[Finding]]:
    """Roll verdicts up into framework sections, check everything, and commit it; returns what the checks warn of.

    Takes the verdicts that `evaluate` staged, or else those that are committed already: repeating it changes nothing.
    Raises ComplianceError when there are none or what they depend on has changed since, CheckError when a check fails.
    """
    verdicts, evaluation = _verdicts(lake, snapshot_date)
    run_time = datetime.fromisoformat(evaluation.run_time)
    if evaluation != (present := _evaluation(lake, catalog, snapshot_date, run_time)):
        changed = [key for key, value in asdict(present).items() if asdict(evaluation)[key] != value]
        raise ComplianceError(
            f"{snapshot_date}: {', '.join(changed)} changed since its repositories were judged."
            " Evaluate that date again"
        )
    with open_warehouse(lake, catalog, snapshot_date, purpose="roll-up", limits=limits) as warehouse:
        warehouse.add_file("policy_output", POLICY_OUTPUT, verdicts, snapshot_date)
        warehouse.create_view("staging.account_scopes", read_statement("staging/account_scopes"))
        for table in (POLICY_RUN, SECTION_COMPLIANCE):
            statement = read_statement(f"marts/{table.name}")
            warehouse.create_table(f"marts.{table.name}", statement, run_time=run_time)
        warnings = run_checks(warehouse)
        with lake.writer("compliance", snapshot_date) as writer:
            lake.fetch(verdicts, writer.path(POLICY_OUTPUT))
            for table in (POLICY_RUN, SECTION_COMPLIANCE):
                writer.write(table, warehouse.table(f"marts.{table.name}"))
            commit = writer.commit(asdict(evaluation))
    if lake.staged(_staging(snapshot_date)):
        lake.remove_folder(_staging(snapshot_date))
    return commit, warnings


def later_dates(lake: Lake, snapshot_date: date) -> list[date]:
    """Evaluated dates after this one, oldest first: their status history continues from it, so evaluate them again."""
    return [day for day in lake.snapshot_dates("compliance") if day > snapshot_date]


def _evaluation(lake: Lake, catalog: Catalog, snapshot_date: date, run_time: datetime) -> Evaluation:
    """What an evaluation depends on, as it is now."""
    inventory = lake.read_commit("inventory", snapshot_date)
    if inventory is None:
        raise ComplianceError(f"{snapshot_date}: its inventory is gone. Scan that date, or evaluate another")
    previous = lake.previous_commit("compliance", snapshot_date)
    return Evaluation(
        snapshot_date=snapshot_date.isoformat(),
        run_time=run_time.isoformat(),
        previous_commit=previous.commit_id if previous else None,
        inventory_commit=inventory.commit_id,
        policies={policy.id: policy.hash for policy in catalog.policies},
    )


def _verdicts(lake: Lake, snapshot_date: date) -> tuple[str, Evaluation]:
    """Where the verdicts of a date are, relative to the lake, and what they depend on."""
    folder = _staging(snapshot_date)
    if f"{folder}/{_EVALUATION}" in lake.staged(folder):
        with lake.filesystem.open_input_stream(lake.absolute(f"{folder}/{_EVALUATION}")) as stream:
            return f"{folder}/policy_output.parquet", Evaluation(**json.loads(stream.read()))
    commit = lake.read_commit("compliance", snapshot_date)
    if commit is None:
        raise ComplianceError(f"{snapshot_date}: its repositories have not been judged yet. Evaluate that date first")
    return commit.files[POLICY_OUTPUT.name], Evaluation(**commit.details)


def _staging(snapshot_date: date) -> str:
    return f"_staging/compliance/{snapshot_date.isoformat()}"


def _write_verdicts(warehouse: Warehouse, catalog: Catalog, run_time: datetime, path: Path) -> None:
    """Write policy_output in its order: policy by policy, the accounts slice by slice."""
    statement = read_statement("marts/policy_output")
    slices = list(_slices(warehouse))
    with pq.ParquetWriter(path, POLICY_OUTPUT.schema, **PARQUET_OPTIONS) as writer:
        for policy in catalog.policies:
            show_verdicts(warehouse, policy)
            for after, up_to in slices:
                warehouse.show_accounts(after, up_to)
                rows = warehouse.query(
                    statement, policy_id=policy.id, snapshot_date=warehouse.snapshot_date, run_time=run_time
                )
                writer.write_table(rows.cast(POLICY_OUTPUT.schema), row_group_size=_ROW_GROUP)
            warehouse.show_accounts()


def _slices(warehouse: Warehouse) -> Iterator[tuple[str, str]]:
    """Cuts the accounts into runs of some 500,000 repositories: (after, up to and including). Together they are all."""
    counts = warehouse.connection.execute(
        "SELECT account_id, count(*) FROM lake.repositories GROUP BY ALL ORDER BY account_id"
    ).fetchall()
    after, repositories = "", 0
    for account_id, count in counts:
        repositories += count
        if repositories >= SLICE_REPOSITORIES:
            yield after, account_id
            after, repositories = account_id, 0
    yield after, "~"
