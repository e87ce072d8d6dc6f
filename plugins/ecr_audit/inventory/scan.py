"""Scan one batch of a plan: all its targets at once, each ending in exactly one outcome, into one staged part."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ecr_audit.aws.accounts import Entry, HubIdentity, MemberIdentity, enter_account, session_name
from ecr_audit.aws.connections import Connections
from ecr_audit.aws.dispatcher import Dispatcher, Effort, Flow
from ecr_audit.aws.ecr.target import TargetScan, scan_target
from ecr_audit.aws.outcomes import Outcome, error_code, error_message, outcome_of_assume_role
from ecr_audit.aws.session import Hub
from ecr_audit.inventory.last_known import completed_repositories
from ecr_audit.inventory.plan import Plan, read_plan, stage_table, staged_table
from ecr_audit.inventory.rows import repository_rows, target_rows
from ecr_audit.lake.lake import PARQUET_OPTIONS, Lake
from ecr_audit.lake.schemas import REPOSITORIES, SCAN_TARGETS
from ecr_audit.lake.storage import LakeError
from ecr_audit.settings import Settings

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 5
# How often the outcomes that have come in are taken to the part. Making Arrow of many at a time would keep the calls in
# flight waiting; a thread of its own would take the interpreter's lock from them at each turn.
LOOK_SECONDS = 0.05
# Repositories that are written at a time.
ROWS_A_WRITE = 5_000

# The name, in the metadata of a part's scan_targets, of the file with its repositories. It makes the two one part.
REPOSITORIES_FILE = b"ecr_audit.repositories_file"

# What a retry of a batch does not scan again.
SETTLED = pa.array([Outcome.COLLECTED.value, Outcome.REGION_DISABLED.value])


# The scan of a target, and what it cost.
_Ended = tuple[TargetScan, Effort]


@dataclass(frozen=True)
class BatchSummary:
    """What a batch came to."""

    targets: int
    repositories: int
    outcomes: Mapping[str, int]


def targets_name(batch: int) -> str:
    """File name of a batch's staged scan_targets."""
    return f"scan_targets-{batch:04d}.parquet"


def scan_batch(lake: Lake, hub: Hub, plan_id: str, batch: int, settings: Settings) -> BatchSummary:
    """Scan the targets of a batch and stage its part, replacing an earlier one of the same batch.

    Of an earlier part, what was collected is kept and only the rest is scanned again. Raises only when the part cannot
    be written: whatever AWS answers, or fails to, is some target's outcome.
    """
    plan = read_plan(lake, plan_id)
    hub = replace(hub, session_name=session_name(plan.run_id))
    targets = staged_table(lake, plan, "targets.parquet").filter(pc.field("batch") == batch)
    kept = read_part(lake, plan, batch)
    with lake.scratch(f"{plan_id}-batch-{batch}") as folder:
        with _PartWriter(folder / "repositories.parquet") as part:
            if kept is not None:
                targets = part.keep(targets, *kept)
            with gc_frozen():
                asyncio.run(_scan_targets(hub, targets, settings, part, f"batch {batch}"))
        repositories_file = f"repositories-{batch:04d}-{uuid.uuid4().hex[:8]}.parquet"
        lake.move_in(folder / "repositories.parquet", f"{plan.folder}/{repositories_file}")
    rows = part.target_rows().replace_schema_metadata({REPOSITORIES_FILE: repositories_file.encode()})
    # Written last: a part is there once its targets are, and they name the repositories that belong to them.
    stage_table(lake, plan, targets_name(batch), rows)
    outcomes = {row["values"]: row["counts"] for row in pc.value_counts(rows["outcome"]).to_pylist()}
    return BatchSummary(rows.num_rows, part.repositories, outcomes)


def read_part(lake: Lake, plan: Plan, batch: int) -> tuple[pa.Table, pa.Table] | None:
    """The staged scan_targets and repositories of a batch; None when it has no part."""
    if not lake.exists(f"{plan.folder}/{targets_name(batch)}"):
        return None
    targets = staged_table(lake, plan, targets_name(batch))
    repositories_file = (targets.schema.metadata or {}).get(REPOSITORIES_FILE, b"").decode(errors="replace")
    if not re.fullmatch(rf"repositories-{batch:04d}-[0-9a-f]{{8}}\.parquet", repositories_file):
        raise LakeError(
            f"{plan.folder}/{targets_name(batch)}: {repositories_file[:100]!r} is not the name of its repositories'"
            " file. Trigger a new run"
        )
    repositories = completed_repositories(staged_table(lake, plan, repositories_file))
    return SCAN_TARGETS.completed(targets.replace_schema_metadata(None)), repositories


class _PartWriter:
    """The part under way: outcomes in memory, repositories written as they come."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, REPOSITORIES.schema, **PARQUET_OPTIONS)
        self._waiting: list[pa.Table] = []
        self._targets: list[pa.Table] = []
        self.repositories = 0

    def __enter__(self) -> _PartWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def keep(self, targets: pa.Table, part_targets: pa.Table, part_repositories: pa.Table) -> pa.Table:
        """Take over what an earlier part has settled; returns the targets that are still to be scanned."""
        settled = part_targets.filter(pc.is_in(part_targets["outcome"], SETTLED))
        self._targets.append(settled)
        self._writer.write_table(part_repositories)
        self.repositories += part_repositories.num_rows
        return targets.join(settled.select(["account_id", "region"]), ["account_id", "region"], join_type="left anti")

    def add(self, ended: Sequence[tuple[TargetScan, Effort | None]]) -> None:
        self._targets.append(target_rows(ended))
        rows = repository_rows([scan for scan, _ in ended], datetime.now(UTC))
        self.repositories += rows.num_rows
        self._waiting.append(rows)
        if sum(each.num_rows for each in self._waiting) >= ROWS_A_WRITE:
            self._flush()

    def target_rows(self) -> pa.Table:
        return pa.concat_tables([SCAN_TARGETS.schema.empty_table(), *self._targets]).combine_chunks()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks())
        self._waiting = []


@contextmanager
def gc_frozen() -> Iterator[None]:
    """Python looks for garbage among what is new, not among the objects that all libraries consist of.

    Each such look would stop all calls for a tenth of a second.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def _scan_targets(hub: Hub, targets: pa.Table, settings: Settings, part: _PartWriter, name: str) -> None:
    """Scan targets until each has an outcome or the batch's time is up."""
    by_account: dict[str, list[dict[str, Any]]] = {}
    for target in targets.to_pylist():
        by_account.setdefault(target["account_id"], []).append(target)
    pending = {(target["account_id"], target["region"]) for each in by_account.values() for target in each}
    ended: list[_Ended] = []
    deadline = time.monotonic() + settings.batch_seconds
    progress = _Progress(name, len(pending))
    in_flight = settings.concurrency
    async with Connections(hub.access, in_flight) as connections, Dispatcher(connections, in_flight) as dispatcher:
        for account_id, its_targets in by_account.items():
            _AccountScan(dispatcher, settings, account_id, its_targets, ended.append).start(hub, connections)
        while pending and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            taken = ended.copy()
            ended.clear()
            for scan, effort in taken:
                pending.discard((scan.account_id, scan.region))
                progress.count(scan, effort)
            if taken:
                part.add(taken)
            progress.tell_now_and_then()
    message = f"Not finished when the batch's time was up (ECR_AUDIT_BATCH_SECONDS, {settings.batch_seconds:g} s)"
    unread = [
        TargetScan(account_id, region, Outcome.FAILED, error_code="BatchTimeUp", error_message=message)
        for account_id, region in sorted(pending)
    ]
    # What those that were under way have cost, nobody has counted.
    part.add([(scan, None) for scan in unread])


class _AccountScan:
    """Enters one account, then has each of its targets scanned."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        settings: Settings,
        account_id: str,
        targets: list[dict[str, Any]],
        on_end: Callable[[_Ended], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._settings = settings
        self._account_id = account_id
        self._targets = targets
        self._on_end = on_end

    def start(self, hub: Hub, connections: Connections) -> None:
        identity = (
            HubIdentity(hub)
            if self._account_id == hub.account_id
            else MemberIdentity(
                hub, connections, self._account_id, self._settings.role_name, self._settings.external_id
            )
        )
        ask_regions = any(target["opt_in"] for target in self._targets)
        flow = enter_account(hub, identity, ask_regions=ask_regions)
        # After the targets of accounts that are already open: credentials are fetched when they are about to be used.
        # What takes longest begins first, so that it does not go on alone at the end.
        longest = max(_last_duration(target) for target in self._targets)
        self._submit(flow, self._entered, priority=1 / (1 + longest))

    def _entered(self, entry: Entry | Exception, effort: Effort) -> None:
        # The calls that entering took are counted with the account's first target.
        costs = [effort, *(Effort() for _ in self._targets[1:])]
        for target, cost in zip(self._targets, costs, strict=True):
            region = target["region"]
            if isinstance(entry, Exception):
                self._on_end((self._unread(region, Outcome.FAILED, entry), cost))
            elif entry.error is not None:
                self._on_end((self._unread(region, outcome_of_assume_role(entry.error), entry.error), cost))
            elif entry.has_enabled(region, opt_in=target["opt_in"]) is False:
                self._on_end((self._unread(region, Outcome.REGION_DISABLED), cost))
            else:
                flow = scan_target(
                    entry.identity,
                    self._account_id,
                    region,
                    may_be_disabled=entry.may_tell(region, opt_in=target["opt_in"]),
                    collect_tags=self._settings.collect_tags,
                )
                self._submit(flow, partial(self._scanned, region, cost), priority=-_last_duration(target))

    def _scanned(self, region: str, entry_cost: Effort, scan: TargetScan | Exception, effort: Effort) -> None:
        effort.include(entry_cost)
        if isinstance(scan, Exception):
            scan = self._unread(region, Outcome.FAILED, scan)
        self._on_end((scan, effort))

    def _submit(self, flow: Flow, on_done: Callable[[Any, Effort], None], *, priority: float) -> None:
        self._dispatcher.submit(flow, seconds=self._settings.target_seconds, on_done=on_done, priority=priority)

    def _unread(self, region: str, outcome: Outcome, error: Exception | None = None) -> TargetScan:
        code, message = (error_code(error), error_message(error)) if error else (None, None)
        return TargetScan(self._account_id, region, outcome, error_code=code, error_message=message)


def _last_duration(target: dict[str, Any]) -> float:
    """Milliseconds that the target took the last time; 0 when that is not known."""
    return float(target["last_duration_ms"] or 0)


class _Progress:
    """Says in the log, every few seconds, how far a batch is."""

    def __init__(self, name: str, planned: int) -> None:
        self._name = name
        self._planned = planned
        self._done = self._repositories = self._throttles = 0
        self._started = self._told = time.monotonic()

    def count(self, scan: TargetScan, effort: Effort) -> None:
        self._done += 1
        self._repositories += len(scan.repositories)
        self._throttles += effort.throttles

    def tell_now_and_then(self) -> None:
        if time.monotonic() - self._told < PROGRESS_SECONDS:
            return
        self._told = time.monotonic()
        rate = self._done / max(self._told - self._started, 0.001)
        left = f"{(self._planned - self._done) / rate:.0f} s left" if rate else "none done yet"
        log.info(
            "%s: %d of %d targets, %d repositories, %d throttled calls, %.0f targets/s, %s",
            *(self._name, self._done, self._planned, self._repositories, self._throttles, rate, left),
        )
