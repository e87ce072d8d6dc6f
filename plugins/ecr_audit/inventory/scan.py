"""Scan one batch of a plan: all targets concurrently, each with exactly one outcome, into one part."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ecr_audit.aws.accounts import Entry, HubIdentity, MemberIdentity, enter_account, session_name
from ecr_audit.aws.connections import Connections
from ecr_audit.aws.dispatcher import Dispatcher, Effort, Flow, Identity
from ecr_audit.aws.ecr.facet import Fault, Registry
from ecr_audit.aws.ecr.facets import Wanted, collect
from ecr_audit.aws.ecr.target import TargetScan, scan_target, unread_target
from ecr_audit.aws.outcomes import Outcome, error_code, error_message, outcome_of_assume_role
from ecr_audit.aws.session import Hub
from ecr_audit.inventory.parts import PartWriter, read_part, write_part
from ecr_audit.inventory.plan_files import read_collected, read_plan, read_plan_table
from ecr_audit.lake.lake import Lake
from ecr_audit.settings import Settings
from ecr_audit.vocabulary import Facet

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 5
# How often the outcomes that have come in are taken to the part. Making Arrow of many at a time would keep the calls in
# flight waiting; a separate thread would compete with them for the interpreter's lock.
LOOK_SECONDS = 0.05

# The scan of a target, and its calls.
_Ended = tuple[TargetScan, Effort]


@dataclass(frozen=True)
class BatchSummary:
    """The results of a batch."""

    targets: int
    repositories: int
    outcomes: Mapping[str, int]


def scan_batch(lake: Lake, hub: Hub, plan_id: str, batch: int, settings: Settings) -> BatchSummary:
    """Scan the targets of a batch and write its part, replacing an earlier one of the same batch.

    Collected targets of an earlier part are kept and only the rest is scanned again. Raises only when the part cannot
    be written: whatever AWS answers, or fails to, is some target's outcome.
    """
    plan = read_plan(lake, plan_id)
    hub = replace(hub, session_name=session_name(plan.run_id))
    planned = read_plan_table(lake, plan, "targets.parquet")
    collected = read_collected(planned)
    wanted = Wanted([Facet(each) for each in collected.facets], plan.snapshot_date, collected.rotation_nights)
    targets = planned.filter(pc.field("batch") == batch)
    kept = read_part(lake, plan, batch)
    with write_part(lake, plan, batch) as part:
        if kept is not None:
            targets = part.keep(targets, kept)
        with gc_frozen():
            asyncio.run(scan_targets(hub, targets, wanted, settings, part, f"batch {batch}"))
    rows = part.target_rows()
    outcomes = {row["values"]: row["counts"] for row in pc.value_counts(rows["outcome"]).to_pylist()}
    return BatchSummary(rows.num_rows, part.repositories, outcomes)


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


async def scan_targets(
    hub: Hub, targets: pa.Table, wanted: Wanted, settings: Settings, part: PartWriter, name: str
) -> None:
    """Scan targets until each has an outcome or the batch's time is up: then what was read of each counts."""
    by_account: dict[str, list[dict[str, Any]]] = {}
    for target in targets.to_pylist():
        by_account.setdefault(target["account_id"], []).append(target)
    pending = {(target["account_id"], target["region"]) for each in by_account.values() for target in each}
    ended: list[_Ended] = []
    deadline = time.monotonic() + settings.batch_seconds
    progress = _Progress(name, len(pending))
    in_flight = settings.concurrency
    accounts = []
    async with Connections(hub.access, in_flight) as connections, Dispatcher(connections, in_flight) as dispatcher:
        for account_id, its_targets in by_account.items():
            account = AccountScan(dispatcher, settings, wanted, account_id, its_targets, ended.append)
            account.start(hub, connections)
            accounts.append(account)
        while pending and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            taken = ended.copy()
            ended.clear()
            for scan, effort in taken:
                pending.discard((scan.account_id, scan.region))
                progress.count(scan, effort)
            if taken:
                part.add(taken)
            progress.report_now_and_then()
    time_up = Fault(
        "BatchTimeUp",
        f"Not finished within the batch's time limit (ECR_AUDIT_BATCH_SECONDS, {settings.batch_seconds:g} s)",
    )
    listed = {(scan.account_id, scan.region): scan for account in accounts for scan in account.listed.values()}
    cut_off = [
        _cut_off(listed.get(target) or TargetScan(*target, Outcome.FAILED), time_up) for target in sorted(pending)
    ]
    # The calls of targets in progress were not counted.
    part.add([(scan, None) for scan in cut_off])


def _cut_off(scan: TargetScan, fault: Fault) -> TargetScan:
    """A target whose time is up: its repositories, where they were listed, with as many facets as were read."""
    if scan.outcome is Outcome.FAILED:
        scan.error_code, scan.error_message = fault.error_code, fault.error_message
    for read in scan.facets.values():
        read.cut_off(fault)
    return scan


class AccountScan:
    """Enters one account, then has each of its targets listed, and their facets read."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        settings: Settings,
        wanted: Wanted,
        account_id: str,
        targets: list[dict[str, Any]],
        on_end: Callable[[_Ended], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._settings = settings
        self._wanted = wanted
        self._account_id = account_id
        self._targets = targets
        self._on_end = on_end
        # By region: the targets that were listed, and whose facets are being read.
        self.listed: dict[str, TargetScan] = {}

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
        longest = max(last_duration(target) for target in self._targets)
        self._submit(flow, self.entered, priority=1 / (1 + longest))

    def entered(self, entry: Entry | Exception, effort: Effort) -> None:
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
                )
                on_done = partial(self._scanned, entry.identity, target, cost)
                self._submit(flow, on_done, priority=-last_duration(target))

    def _scanned(
        self,
        identity: Identity,
        target: Mapping[str, Any],
        entry_cost: Effort,
        scan: TargetScan | Exception,
        effort: Effort,
    ) -> None:
        region = target["region"]
        effort.include(entry_cost)
        if isinstance(scan, Exception):
            scan = self._unread(region, Outcome.FAILED, scan)
        if not scan.repositories or not self._wanted.facets:
            self._on_end((scan, effort))
            return
        self.listed[region] = scan
        registry = Registry(identity, self._account_id, region, self._settings.calls_per_registry)
        flow = collect(registry, scan.repositories, self._wanted, scan.facets.__setitem__)
        self._submit(flow, partial(self._collected, scan, effort), priority=-last_duration(target))

    def _collected(self, scan: TargetScan, listing: Effort, ended: Exception | None, effort: Effort) -> None:
        if isinstance(ended, Exception):
            fault = Fault(error_code(ended), error_message(ended))
            for read in scan.facets.values():
                read.cut_off(fault)
        listing.include(effort)
        listing.duration_ms += effort.duration_ms
        self._on_end((scan, listing))

    def _submit(self, flow: Flow, on_done: Callable[[Any, Effort], None], *, priority: float) -> None:
        self._dispatcher.submit(flow, seconds=self._settings.target_seconds, on_done=on_done, priority=priority)

    def _unread(self, region: str, outcome: Outcome, error: Exception | None = None) -> TargetScan:
        return unread_target(self._account_id, region, outcome, error)


def last_duration(target: Mapping[str, Any]) -> float:
    """Milliseconds that the target took the last time; 0 when that is not known."""
    return float(target["last_duration_ms"] or 0)


class _Progress:
    """Logs the progress of a batch, every few seconds."""

    def __init__(self, name: str, planned: int) -> None:
        self._name = name
        self._planned = planned
        self._done = self._repositories = self._throttles = 0
        self._started = self._reported_at = time.monotonic()

    def count(self, scan: TargetScan, effort: Effort) -> None:
        self._done += 1
        self._repositories += len(scan.repositories)
        self._throttles += effort.throttles

    def report_now_and_then(self) -> None:
        if time.monotonic() - self._reported_at < PROGRESS_SECONDS:
            return
        self._reported_at = time.monotonic()
        rate = self._done / max(self._reported_at - self._started, 0.001)
        left = f"{(self._planned - self._done) / rate:.0f} s left" if rate else "none done yet"
        log.info(
            "%s: %d of %d targets, %d repositories, %d throttled calls, %.0f targets/s, %s",
            *(self._name, self._done, self._planned, self._repositories, self._throttles, rate, left),
        )
