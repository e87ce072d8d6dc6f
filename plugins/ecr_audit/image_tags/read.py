"""Read the image tags of one batch of a plan: all its registries concurrently, into one part."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ecr_audit.aws.accounts import Entry, HubIdentity, MemberIdentity, enter_account, session_name
from ecr_audit.aws.connections import Connections
from ecr_audit.aws.dispatcher import Dispatcher, Effort
from ecr_audit.aws.ecr.facet import Fault, Registry
from ecr_audit.aws.ecr.image_tags import TagRead, read_image_tags
from ecr_audit.aws.outcomes import Outcome, error_code, error_message, outcome_of_assume_role
from ecr_audit.aws.session import Hub
from ecr_audit.image_tags.plan import TagPlan
from ecr_audit.inventory.scan import LOOK_SECONDS, gc_frozen
from ecr_audit.lake.lake import PARQUET_OPTIONS, Lake
from ecr_audit.lake.storage import LakeError
from ecr_audit.lake.tables import TIMESTAMP, LakeTable
from ecr_audit.settings import Settings

log = logging.getLogger(__name__)

# Tables of the parts, which the lake does not keep. Tags of repositories that were read completely.
LISTED_TAGS = LakeTable(
    "listed_tags",
    pa.schema(
        [("account_id", pa.string()), ("repository_arn", pa.string()), ("tag", pa.string()), ("digest", pa.string())]
    ),
    ("account_id", "repository_arn", "tag"),
)
# Repositories that had their turn, or did not have it before the time was up.
TAG_READS = LakeTable(
    "tag_reads",
    pa.schema(
        [
            ("repository_arn", pa.string()),
            ("outcome", pa.string()),
            ("error_code", pa.string()),
            ("error_message", pa.string()),
            ("tags", pa.int64()),
            ("calls", pa.int64()),
            ("complete", pa.bool_()),
            ("read_at", TIMESTAMP),
        ]
    ),
    ("repository_arn",),
)

# Tags that are written at a time.
_ROWS_A_WRITE = 50_000

# The name, in the metadata of a part's tag_reads, of the file with its tags. It makes the two one part.
_TAGS_FILE = b"ecr_audit.tags_file"

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


@contextmanager
def write_part(lake: Lake, plan: TagPlan, batch: int) -> Iterator[PartWriter]:
    """A writer of a batch's part, which takes the place of an earlier one when the block ends, unless it raises."""
    with lake.storage.scratch(f"tags-{plan.snapshot_date}-batch-{batch}") as folder:
        with PartWriter(folder / "tags.parquet") as part:
            yield part
        tags_file = f"{LISTED_TAGS.name}-{batch:04d}-{uuid.uuid4().hex[:8]}.parquet"
        lake.storage.move_in(folder / "tags.parquet", f"{plan.folder}/{tags_file}")
        rows = part.read_rows().replace_schema_metadata({_TAGS_FILE: tags_file.encode()})
        pq.write_table(rows, folder / "reads.parquet", **PARQUET_OPTIONS)
        # Written last: a part is there once its reads are, and they name the tags that belong to them.
        lake.storage.move_in(folder / "reads.parquet", _reads_name(plan, batch))


def fetch_part(lake: Lake, plan: TagPlan, batch: int, folder: Path) -> tuple[Path, Path] | None:
    """The local files with the reads and the tags of a batch; None when it has no part."""
    if not lake.storage.exists(_reads_name(plan, batch)):
        return None
    reads = lake.storage.fetched(_reads_name(plan, batch), folder)
    try:
        named = (pq.read_schema(reads).metadata or {}).get(_TAGS_FILE, b"").decode(errors="replace")
    except (OSError, pa.ArrowInvalid) as fault:
        raise LakeError(f"{reads}: cannot be read as Parquet ({fault})") from fault
    if not re.fullmatch(rf"{LISTED_TAGS.name}-{batch:04d}-[0-9a-f]{{8}}\.parquet", named):
        raise LakeError(f"{reads}: {named[:100]!r} is not the name of its tags' file. Trigger a new run")
    return reads, lake.storage.fetched(f"{plan.folder}/{named}", folder)


def _reads_name(plan: TagPlan, batch: int) -> str:
    return f"{plan.folder}/{TAG_READS.name}-{batch:04d}.parquet"


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
                Registry(entry.identity, registry.account_id, registry.region, settings.registry_concurrency),
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


class PartWriter:
    """The part under way: reads in memory, tags written as they come."""

    def __init__(self, path: Path) -> None:
        self._closing = ExitStack()
        self._writer = self._closing.enter_context(pq.ParquetWriter(path, LISTED_TAGS.schema, **PARQUET_OPTIONS))
        self._columns: dict[str, list[str]] = {name: [] for name in LISTED_TAGS.schema.names}
        self._reads: list[dict[str, Any]] = []
        # How many there are so far.
        self.tags = 0

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._closing.close()

    def add(self, account_id: str, ended: Iterable[tuple[str, TagRead]]) -> None:
        """Take repositories of an account whose reads have ended, with their ARNs, and their tags out of them."""
        for arn, read in ended:
            self._add(account_id, arn, read)

    def read_rows(self) -> pa.Table:
        """The rows of the repositories so far."""
        return pa.Table.from_pylist(self._reads, schema=TAG_READS.schema)

    def _add(self, account_id: str, arn: str, read: TagRead) -> None:
        self._reads.append(
            {
                "repository_arn": arn,
                "outcome": read.outcome and read.outcome.value,
                "error_code": read.error_code,
                "error_message": read.error_message,
                "tags": len(read.tags) if read.is_complete else None,
                "calls": read.calls,
                "complete": read.is_complete,
                "read_at": read.read_at,
            }
        )
        if not read.is_complete:
            return
        self.tags += len(read.tags)
        self._columns["account_id"] += [account_id] * len(read.tags)
        self._columns["repository_arn"] += [arn] * len(read.tags)
        self._columns["tag"] += read.tags
        self._columns["digest"] += read.tags.values()
        read.tags.clear()  # its flow may know it for long
        if len(self._columns["tag"]) >= _ROWS_A_WRITE:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.table(self._columns, schema=LISTED_TAGS.schema))
        self._columns = {name: [] for name in self._columns}
