"""The part that a batch leaves: which repositories it read, and a file with their tags, which the reads name."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ecr_audit.image_tags.plan import TagPlan
from ecr_audit.lake.lake import PARQUET_OPTIONS, Lake
from ecr_audit.lake.storage import LakeError
from ecr_audit.lake.tables import TIMESTAMP, LakeTable

if TYPE_CHECKING:
    from ecr_audit.aws.ecr.image_tags import TagRead

# The lake does not keep these two. Tags of repositories that were read completely.
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
