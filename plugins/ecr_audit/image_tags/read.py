"""Read the image tags of one batch of a plan: all its registries concurrently, into one part."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ecr_audit.aws.accounts import Entry, HubIdentity, MemberIdentity, enter_account, session_name
from ecr_audit.aws.connections import Connections
from ecr_audit.aws.dispatcher import Dispatcher, Effort
from ecr_audit.aws.ecr.facet import Fault, Registry
from ecr_audit.aws.ecr.image_tags import TagRead, read_image_tags
from ecr_audit.aws.outcomes import Outcome, error_code, error_message, outcome_of_assume_role
from ecr_audit.aws.session import Hub
from ecr_audit.image_tags.parts import PartWriter, write_part
from ecr_audit.image_tags.plan import TagPlan
from ecr_audit.inventory.scan import LOOK_SECONDS, gc_frozen
from ecr_audit.lake.lake import Lake
from ecr_audit.settings import Settings

log = logging.getLogger(__name__)

_PLANNED = ["account_id", "region", "repository_name", "repository_arn", "last_read_at"]


@dataclass(frozen=True)
class TagsSummary:
    """The results of a batch."""

    repositories: int
    tags: int
    outcomes: Mapping[str, int]


def read_batch(lake: Lake, hub: Hub, plan: TagPlan, batch: int, settings: Settings, run_id: str) -> TagsSummary:
    """Read the repositories of a batch and write its part, replacing an earlier one of the same batch.

    Raises only when the part cannot be written: whatever AWS answers, or fails to, is some repository's outcome.
    """
    hub = replace(hub, session_name=session_name(run_id))
    planned = _planned(lake, plan, batch)
    with write_part(lake, plan, batch) as part, gc_frozen():
        asyncio.run(_read(hub, planned, settings, part))
    rows = part.read_rows()
    return TagsSummary(rows.num_rows, part.tags, Counter(rows["outcome"].to_pylist()))


def _planned(lake: Lake, plan: TagPlan, batch: int) -> list[dict[str, Any]]:
    """The repositories of a batch in the order of reading: those first whose turn was longest ago, or never."""
    with lake.storage.local(f"{plan.folder}/{plan.file}") as path:
        read = (pc.field("batch") == batch) & pc.field("is_read")
        rows = pq.read_table(path, columns=_PLANNED, filters=read).to_pylist()
    return sorted(rows, key=lambda row: (row["last_read_at"] is not None, row["last_read_at"], row["repository_arn"]))


@dataclass
class _Registry:
    """A registry of the batch, and its repositories in the order of reading."""

    account_id: str
    region: str
    reads: list[TagRead] = field(default_factory=list)
    # ARN and last time by the name of each, the time None where it was never read.
    known: dict[str, tuple[str, datetime | None]] = field(default_factory=dict)
    # Why the rest was left out.
    fault: tuple[Outcome, Fault] | None = None

    def take_ended(self) -> Iterator[tuple[str, TagRead]]:
        """The repositories whose reads have ended since, with their ARNs; it lets go of them."""
        ended = [read for read in self.reads if read.outcome is not None]
        if ended:
            self.reads = [read for read in self.reads if read.outcome is None]
        return ((self.known[read.repository_name][0], read) for read in ended)

    def end_rest(self, time_up: Fault) -> None:
        """End what is left, with the reason why it was not read."""
        outcome, fault = self.fault or (Outcome.FAILED, time_up)
        for read in self.reads:
            if read.outcome is None:
                read.end(outcome, fault.error_code, fault.error_message)
                # It keeps its place, also one that was begun: it is to be among the first the next time.
                read.read_at = self.known[read.repository_name][1]


async def _read(hub: Hub, planned: Sequence[Mapping[str, Any]], settings: Settings, part: PartWriter) -> None:
    """Read repositories until each has an outcome or the batch's time is up."""
    registries: dict[str, dict[str, _Registry]] = {}
    for row in planned:
        account = registries.setdefault(row["account_id"], {})
        registry = account.setdefault(row["region"], _Registry(row["account_id"], row["region"]))
        registry.reads.append(TagRead(row["repository_name"]))
        registry.known[row["repository_name"]] = (row["repository_arn"], row["last_read_at"])
    everything = [registry for account in registries.values() for registry in account.values()]
    pending = {id(registry) for registry in everything}
    deadline = time.monotonic() + settings.batch_seconds
    in_flight = settings.concurrency
    async with Connections(hub.access, in_flight) as connections, Dispatcher(connections, in_flight) as dispatcher:
        for account_id, its_registries in registries.items():
            _Account(dispatcher, settings, list(its_registries.values()), pending.discard).start(
                hub, connections, account_id
            )
        while pending and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            for registry in everything:
                part.add(registry.account_id, registry.take_ended())
    time_up = Fault(
        "BatchTimeUp",
        f"Not finished within the batch's time limit (ECR_AUDIT_BATCH_SECONDS, {settings.batch_seconds:g} s);"
        " it is read first in the next night",
    )
    for registry in everything:
        registry.end_rest(time_up)
        part.add(registry.account_id, registry.take_ended())


class _Account:
    """Enters one account, then has each of its registries read."""

    def __init__(
        self, dispatcher: Dispatcher, settings: Settings, registries: list[_Registry], on_end: Callable[[int], None]
    ) -> None:
        self._dispatcher = dispatcher
        self._settings = settings
        self._registries = registries
        self._on_end = on_end

    def start(self, hub: Hub, connections: Connections, account_id: str) -> None:
        role, external_id = self._settings.role_name, self._settings.external_id
        identity = (
            HubIdentity(hub)
            if account_id == hub.account_id
            else MemberIdentity(hub, connections, account_id, role, external_id)
        )
        flow = enter_account(hub, identity, ask_regions=False)
        self._dispatcher.submit(flow, seconds=self._settings.target_seconds, on_done=self._entered, priority=1)

    def _entered(self, entry: Entry | Exception, _: Effort) -> None:
        error = entry if isinstance(entry, Exception) else entry.error
        settings = self._settings
        for registry in self._registries:
            if error is not None:
                registry.fault = outcome_of_assume_role(error), Fault(error_code(error), error_message(error))
                self._on_end(id(registry))
                continue
            assert isinstance(entry, Entry)  # noqa: S101 - an exception is an error
            flow = read_image_tags(
                Registry(entry.identity, registry.account_id, registry.region, settings.calls_per_registry),
                registry.reads,
            )
            # The largest first, so that it does not go on alone at the end.
            self._dispatcher.submit(
                flow,
                seconds=settings.target_seconds,
                on_done=partial(self._read, registry),
                priority=-len(registry.reads),
            )

    def _read(self, registry: _Registry, ended: TagRead | Exception | None, _: Effort) -> None:
        if isinstance(ended, Exception):
            registry.fault = Outcome.FAILED, Fault(error_code(ended), error_message(ended))
        elif ended is not None and ended.outcome is not None:
            registry.fault = ended.outcome, Fault(ended.error_code or "", ended.error_message or "")
        self._on_end(id(registry))
