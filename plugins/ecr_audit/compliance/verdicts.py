"""Evaluates every repository of a snapshot under every policy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from ecr_audit.catalog import Catalog
from ecr_audit.compliance.evaluation import Evaluation, keep_verdicts
from ecr_audit.compliance.policies import refuse_invalid, show_verdicts
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.snapshot import fetch_snapshot, find_image_tags
from ecr_audit.warehouse.session import Warehouse, open_warehouse
from ecr_audit.warehouse.statements import WarehouseError, read_statement

# Few rows each, of many that are thus read once; and DuckDB plans its joins by their number: for a view it would guess
# too many.
_STAGING_TABLES = ("recreated", "young")

# Repositories that are evaluated at a time: it bounds memory, since what is joined with its history is held there.
SLICE_REPOSITORIES = 2_000_000


def evaluate(
    lake: Lake,
    catalog: Catalog,
    snapshot_date: date,
    *,
    owner_tags: tuple[str, ...],
    run_time: datetime | None = None,
) -> Evaluation:
    """Evaluate every repository of a snapshot under every policy, and keep the verdicts for `roll_up`.

    `run_time` is when the verdicts say they were reached (default: now, UTC).
    Raises PolicyError for a policy whose logic.sql breaks its contract, LakeError for a missing or damaged snapshot.
    """
    run_time = run_time or datetime.now(UTC)
    # Before anything is read: a commit from here on makes the verdicts outdated.
    image_tags = find_image_tags(lake, snapshot_date)
    evaluation = Evaluation.of(lake, catalog, snapshot_date, run_time, owner_tags, image_tags)
    with (
        fetch_snapshot(lake, snapshot_date, purpose="evaluate", image_tags=image_tags) as snapshot,
        lake.storage.scratch(f"verdicts-{snapshot_date}") as scratch,
    ):
        with open_warehouse(snapshot, catalog, owner_tags=owner_tags, confined_to=[scratch]) as warehouse:
            for table in _STAGING_TABLES:
                warehouse.create_table(f"staging.{table}", read_statement(f"staging/{table}", catalog.sql_root))
            parts = list(_parts(warehouse, catalog, run_time, scratch))
        keep_verdicts(lake, evaluation, parts)
    return evaluation


def _parts(warehouse: Warehouse, catalog: Catalog, run_time: datetime, folder: Path) -> Iterator[Path]:
    """Write policy_output policy by policy and slice by slice, each as a file.

    In this order they are the table; and who looks for an account finds it in few row groups.
    """
    statement = read_statement("marts/policy_output", catalog.sql_root)
    slices = list(_slices(warehouse))
    for policy in catalog.policies:
        warehouse.show_accounts()
        answers = show_verdicts(warehouse, policy)
        for number, (after, up_to) in enumerate(slices):
            part = folder / f"{policy.hash}-{number}.parquet"
            warehouse.show_accounts(after, up_to)
            try:
                warehouse.write(
                    statement, part, policy_id=policy.id, snapshot_date=warehouse.snapshot_date, run_time=run_time
                )
            except WarehouseError:
                warehouse.show_accounts()
                refuse_invalid(warehouse, policy, answers)
                raise
            yield part


def _slices(warehouse: Warehouse) -> Iterator[tuple[str, str]]:
    """Cut the accounts into runs of some SLICE_REPOSITORIES: (after, up to and including). Together they are all."""
    after, last, repositories = "", "", 0
    for account_id, count in warehouse.connection.execute(
        "SELECT account_id, count(*) FROM lake.repositories GROUP BY ALL ORDER BY account_id"
    ).fetchall():
        if repositories >= SLICE_REPOSITORIES:
            yield after, last
            after, repositories = last, 0
        last, repositories = account_id, repositories + count
    yield after, "~"
