"""Judges every repository of a snapshot under every policy."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ecr_audit.catalog import Catalog
from ecr_audit.compliance.evaluation import Evaluation, stage
from ecr_audit.compliance.policies import show_verdicts
from ecr_audit.lake import PARQUET_OPTIONS, ROW_GROUP_ROWS, Lake
from ecr_audit.schemas import POLICY_OUTPUT
from ecr_audit.warehouse import DEFAULT_LIMITS, Limits, Warehouse, open_warehouse, read_statement

# Repositories that are judged at a time. It bounds memory, and small hash tables are the faster ones: a join of all of
# 10 million with their history takes twice as long as twenty joins of their parts.
SLICE_REPOSITORIES = 500_000


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

    `run_time` is when the verdicts say they were reached (default: now, UTC).
    Raises PolicyError for a policy whose logic.sql breaks its contract, LakeError for a missing or damaged snapshot.
    """
    run_time = run_time or datetime.now(UTC)
    # Before anything is read: what is committed from here on makes the verdicts outdated.
    evaluation = Evaluation.of(lake, catalog, snapshot_date, run_time, owner_tags)
    with (
        open_warehouse(
            lake, catalog, snapshot_date, purpose="evaluate", owner_tags=owner_tags, limits=limits
        ) as warehouse,
        lake.scratch(f"verdicts-{snapshot_date}") as scratch,
    ):
        verdicts = scratch / "policy_output.parquet"
        _write_verdicts(warehouse, catalog, run_time, verdicts)
        stage(lake, evaluation, verdicts)
    return evaluation


def _write_verdicts(warehouse: Warehouse, catalog: Catalog, run_time: datetime, path: Path) -> None:
    """Write policy_output policy by policy and slice by slice; a slice while the next is judged.

    So who looks for an account finds it in few row groups; within a slice rows have no order.
    """
    with (
        pq.ParquetWriter(path, POLICY_OUTPUT.schema, **PARQUET_OPTIONS) as writer,
        ThreadPoolExecutor(max_workers=1) as thread,
    ):

        def write(rows: pa.Table) -> None:
            writer.write_table(rows.cast(POLICY_OUTPUT.schema), row_group_size=ROW_GROUP_ROWS)

        writing: Future[None] | None = None
        for rows in _verdicts(warehouse, catalog, run_time):
            if writing is not None:
                writing.result()
            writing = thread.submit(write, rows)
        if writing is not None:
            writing.result()


def _verdicts(warehouse: Warehouse, catalog: Catalog, run_time: datetime) -> Iterator[pa.Table]:
    statement = read_statement("marts/policy_output")
    slices = list(_slices(warehouse))
    for policy in catalog.policies:
        warehouse.show_accounts()
        show_verdicts(warehouse, policy)
        for after, up_to in slices:
            warehouse.show_accounts(after, up_to)
            yield warehouse.query(
                statement, policy_id=policy.id, snapshot_date=warehouse.snapshot_date, run_time=run_time
            )


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
