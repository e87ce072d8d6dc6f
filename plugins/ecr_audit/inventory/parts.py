"""The part that a batch of a scan leaves: its scan_targets, and files with its repositories and registries, which these
name."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ecr_audit.aws.dispatcher import Effort
from ecr_audit.aws.ecr.target import TargetScan
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.inventory.last_known import completed_repositories
from ecr_audit.inventory.plan_files import Plan, read_plan_table, write_plan_table
from ecr_audit.inventory.rows import ScannedRows, registry_rows, repository_rows, target_rows
from ecr_audit.lake.lake import PARQUET_OPTIONS, Lake
from ecr_audit.lake.schemas import REGISTRIES, REPOSITORIES, SCAN_TARGETS
from ecr_audit.lake.storage import LakeError

# Repositories that are written at a time.
ROWS_A_WRITE = 5_000

# The name, in the metadata of a part's scan_targets, of the file with its repositories. It makes the two one part.
REPOSITORIES_FILE = b"ecr_audit.repositories_file"

# Targets that a retry of a batch does not scan again.
SETTLED = (Outcome.COLLECTED.value, Outcome.REGION_DISABLED.value)


def targets_name(batch: int) -> str:
    """File name of a batch's scan_targets."""
    return f"scan_targets-{batch:04d}.parquet"


@contextmanager
def write_part(lake: Lake, plan: Plan, batch: int) -> Iterator[PartWriter]:
    """A writer of a batch's part, which takes the place of an earlier one when the block ends, unless it raises."""
    with lake.storage.scratch(f"{plan.plan_id}-batch-{batch}") as folder:
        with PartWriter(folder / "repositories.parquet") as part:
            yield part
        repositories_file = f"repositories-{batch:04d}-{uuid.uuid4().hex[:8]}.parquet"
        lake.storage.move_in(folder / "repositories.parquet", f"{plan.folder}/{repositories_file}")
        write_plan_table(lake, plan, _registries_file(repositories_file), part.registry_rows())
    rows = part.target_rows().replace_schema_metadata({REPOSITORIES_FILE: repositories_file.encode()})
    # Written last: a part is there once its targets are, and they name the repositories that belong to them.
    write_plan_table(lake, plan, targets_name(batch), rows)


def read_part(lake: Lake, plan: Plan, batch: int) -> ScannedRows | None:
    """The scanned rows of a batch; None when it has no part."""
    if not lake.storage.exists(f"{plan.folder}/{targets_name(batch)}"):
        return None
    targets = read_plan_table(lake, plan, targets_name(batch))
    repositories_file = (targets.schema.metadata or {}).get(REPOSITORIES_FILE, b"").decode(errors="replace")
    if not re.fullmatch(rf"repositories-{batch:04d}-[0-9a-f]{{8}}\.parquet", repositories_file):
        raise LakeError(
            f"{plan.folder}/{targets_name(batch)}: {repositories_file[:100]!r} is not the name of its repositories'"
            " file. Trigger a new run"
        )
    repositories = completed_repositories(read_plan_table(lake, plan, repositories_file))
    return ScannedRows(
        SCAN_TARGETS.completed(targets.replace_schema_metadata(None)),
        repositories,
        _registries(lake, plan, repositories_file),
    )


def _registries(lake: Lake, plan: Plan, repositories_file: str) -> pa.Table:
    """The registries of a part; a version before 7, whose batch is scanned again, wrote none."""
    name = _registries_file(repositories_file)
    if not lake.storage.exists(f"{plan.folder}/{name}"):
        return REGISTRIES.schema.empty_table()
    return read_plan_table(lake, plan, name)


def _registries_file(repositories_file: str) -> str:
    return repositories_file.replace("repositories", "registries", 1)


class PartWriter:
    """The part under way: outcomes in memory, repositories written as they come."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, REPOSITORIES.schema, **PARQUET_OPTIONS)
        self._waiting: list[pa.Table] = []
        self._targets: list[pa.Table] = []
        self._registries: list[pa.Table] = []
        # How many there are so far.
        self.repositories = 0

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def keep(self, targets: pa.Table, part: ScannedRows) -> pa.Table:
        """Take over what an earlier part has settled; returns the targets that are still to be scanned."""
        settled = part.targets.filter(pc.is_in(part.targets["outcome"], pa.array(SETTLED)))
        self._targets.append(settled)
        self._registries.append(part.registries)
        self._writer.write_table(part.repositories)
        self.repositories += part.repositories.num_rows
        return targets.join(settled.select(["account_id", "region"]), ["account_id", "region"], join_type="left anti")

    def add(self, ended: Sequence[tuple[TargetScan, Effort | None]]) -> None:
        """Take the scans of some targets, and what each cost; None: that is not known."""
        self._targets.append(target_rows(ended))
        scans, collected_at = [scan for scan, _ in ended], datetime.now(UTC)
        self._registries.append(registry_rows(scans, collected_at))
        rows = repository_rows(scans, collected_at)
        self.repositories += rows.num_rows
        self._waiting.append(rows)
        if sum(each.num_rows for each in self._waiting) >= ROWS_A_WRITE:
            self._flush()

    def target_rows(self) -> pa.Table:
        """The rows of scan_targets so far."""
        return pa.concat_tables([SCAN_TARGETS.schema.empty_table(), *self._targets]).combine_chunks()

    def registry_rows(self) -> pa.Table:
        """The rows of registries so far."""
        return pa.concat_tables([REGISTRIES.schema.empty_table(), *self._registries]).combine_chunks()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks())
        self._waiting = []
