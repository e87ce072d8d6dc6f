"""A table of the lake, and the local files that hold it: what a DuckDB session is opened over.

Below both the lake, which finds and fetches the files, and the warehouse, which shows them: neither knows the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa

# All timestamps are UTC.
TIMESTAMP = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class LakeTable:
    """A table of the lake: its columns and the columns that its files are sorted by, one file after the other."""

    name: str
    schema: pa.Schema
    sort_by: tuple[str, ...]
    # Columns that files of older versions lack, and the version of the lake's schema that brought each.
    added: Mapping[str, int] = field(default_factory=dict)
    # Columns that identify a row, where they are not those that it is sorted by.
    identified_by: tuple[str, ...] = ()
    # The version of the lake's schema that brought the table.
    since: int = 2

    @property
    def key(self) -> tuple[str, ...]:
        """Columns of which no two rows have the same values."""
        return self.identified_by or self.sort_by

    def lacking(self, version: int) -> list[str]:
        """The columns that a file of that version does not have."""
        return [name for name, since in self.added.items() if since > version]

    def schema_of(self, version: int) -> pa.Schema:
        """The columns of a file of that version."""
        lacking = self.lacking(version)
        return pa.schema([column for column in self.schema if column.name not in lacking])

    def completed(self, rows: pa.Table) -> pa.Table:
        """Rows of a file of an older version, with NULL in the columns that it lacks."""
        return pa.concat_tables([self.schema.empty_table(), rows], promote_options="default")


@dataclass(frozen=True)
class TableFiles:
    """The local Parquet files that hold a table of one snapshot, in their order."""

    snapshot_date: date
    paths: Sequence[Path]
    # The version of the lake's schema that they were written with.
    schema_version: int
    # Whether several rows may have the same key, see warehouse/repeated_keys.py.
    may_repeat_keys: bool = False


@dataclass(frozen=True)
class Input:
    """A table of a session, `lake.<name>`: that of one snapshot, or of none, when it is empty; or a history."""

    name: str
    table: LakeTable
    snapshots: Sequence[TableFiles] = ()
    # One or more snapshots, whose dates are in the paths of their files, as those of partitions.
    is_history: bool = False


@dataclass(frozen=True)
class Collected:
    """The facets (vocabulary.Facet) and image tags that a night was to read, as its settings had them."""

    facets: tuple[str, ...] = ()
    # The nights in which each object's rotated facets are read once.
    rotation_nights: int = 1
    # Repositories whose image tags are read after the night's inventory (vocabulary.ImageTags).
    image_tags: str = "off"


@dataclass(frozen=True)
class SnapshotFiles:
    """The inputs of a session over one snapshot."""

    snapshot_date: date
    # The first one may be needed by those after it.
    inputs: Sequence[Input]
    # How many repositories the snapshot has.
    repositories: int
    # A local folder for the session's files; its creator removes it.
    folder: Path
    collected: Collected = Collected()
