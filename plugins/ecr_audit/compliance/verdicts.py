"""Judges every repository of a snapshot under every policy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from ecr_audit.catalog import Catalog
from ecr_audit.compliance.evaluation import Evaluation, stage
from ecr_audit.compliance.policies import refuse_invalid, show_verdicts
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import POLICY_OUTPUT
from ecr_audit.parquet_parts import join_parts
from ecr_audit.warehouse import Warehouse, WarehouseError, open_warehouse, read_statement

# Repositories that are judged at a time: it bounds memory, since what is joined with its history is held there.
SLICE_REPOSITORIES = 2_000_000


def evaluate(
    lake: Lake,
    catalog: Catalog,
    snapshot_date: date,
    *,
    owner_tags: tuple[str, ...],
    run_time: datetime | None = None,
) -> Evaluation:
    """Judge every repository of a snapshot under every policy, and stage the verdicts for `roll_up`.

    `run_time` is when the verdicts say they were reached (default: now, UTC).
    Raises PolicyError for a policy whose logic.sql breaks its contract, LakeError for a missing or damaged snapshot.
    """
    run_time = run_time or datetime.now(UTC)
    # Before anything is read: what is committed from here on makes the verdicts outdated.
    evaluation = Evaluation.of(lake, catalog, snapshot_date, run_time, owner_tags)
    with (
        open_warehouse(lake, catalog, snapshot_date, purpose="evaluate", owner_tags=owner_tags) as warehouse,
        lake.scratch(f"verdicts-{snapshot_date}") as scratch,
    ):
        warehouse.confine(scratch)
        verdicts = scratch / f"{POLICY_OUTPUT.name}.parquet"
        join_parts(list(_parts(warehouse, catalog, run_time, scratch)), verdicts)
        stage(lake, evaluation, verdicts)
    return evaluation


def _parts(warehouse: Warehouse, catalog: Catalog, run_time: datetime, folder: Path) -> Iterator[Path]:
    """Write policy_output policy by policy and slice by slice, each as a file.

    So who looks for an account finds it in few row groups.
    """
    statement = read_statement("marts/policy_output")
    slices = list(_slices(warehouse))
    for policy in catalog.policies:
        warehouse.show_accounts()
        show_verdicts(warehouse, policy)
        for number, (after, up_to) in enumerate(slices):
            part = folder / f"{policy.hash}-{number}.parquet"
            warehouse.show_accounts(after, up_to)
            try:
                warehouse.write(
                    statement, part, policy_id=policy.id, snapshot_date=warehouse.snapshot_date, run_time=run_time
                )
            except WarehouseError:
                warehouse.show_accounts()
                refuse_invalid(warehouse, policy)
                raise
            yield part


def _slices(warehouse: Warehouse) -> Iterator[tuple[str, str]]:
    """Cut the accounts into runs of some SLICE_REPOSITORIES: (after, up to and including). Together they are all."""
    after, repositories = "", 0
    for account_id, count in warehouse.connection.execute(
        "SELECT account_id, count(*) FROM lake.repositories GROUP BY ALL ORDER BY account_id"
    ).fetchall():
        repositories += count
        if repositories >= SLICE_REPOSITORIES:
            yield after, account_id
            after, repositories = account_id, 0
    yield after, "~"
