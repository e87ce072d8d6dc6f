"""Commit files: their content, the versions that can be read, and the only file names that they may hold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter

from ecr_audit.errors import FinalError
from ecr_audit.lake.schemas import STAGES, stage_tables
from ecr_audit.lake.storage import LakeError
from ecr_audit.lake.tables import Collected
from ecr_audit.untrusted_files import parse_json

# Raised when a table's columns change, or the form of a commit file: a column that is added says so in its table's
# `added`, so that earlier lakes can be read. Before raising it keep one of them, see tests/fixtures/write_lake.py.
SCHEMA_VERSION = 7
OLDEST_READABLE = 2

# In the details of commits, see `Commit.hashes`.
SHA256 = "sha256"

# In the details of commits of both stages, see `Commit.inventory_checks`.
INVENTORY_CHECKS = "inventory_checks"

# In the details of an inventory's commit, see `Commit.collected`.
FACETS = "facets"
ROTATION_NIGHTS = "rotation_nights"
IMAGE_TAGS = "image_tags"

# In the details of a compliance's commit, see `Commit.image_tags_date`.
IMAGE_TAGS_DATE = "image_tags_date"

# The check that finds keys with several rows; every inventory has passed it since version 5.
_KEY_CHECK = "one_row_per_repository"

_TABLE_NAMES = frozenset(table.name for tables in STAGES.values() for table in tables)
_COMMIT_ID = re.compile(r"[0-9a-f]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _as_tuple(names: Any) -> Any:
    """Before version 6 a table had one file, and the commit named it as text."""
    return (names,) if isinstance(names, str) else tuple(names) if isinstance(names, list) else names


@dataclass(frozen=True)
class Commit:
    """One committed stage of one snapshot: the names of its files, relative to the lake, by table.

    A thinned one names fewer tables; `rows` still counts what there was.
    """

    stage: str
    snapshot_date: date
    commit_id: str
    committed_at: datetime
    # The files of a table, in the order of its rows.
    files: Mapping[str, Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]]
    # How many rows each table has in all its files.
    rows: Mapping[str, int]
    # For those who read the commit later: the run, the inventory commit that was evaluated, and the like.
    details: Mapping[str, Any]
    # The version of the schema that its files were written with.
    schema_version: int

    def detail(self, name: str) -> Any:
        """A detail that the writer noted. Raises LakeError when the commit file lacks it."""
        if name not in self.details:
            raise LakeError(
                f"_commits/{self.stage}/{self.snapshot_date}.json: not a readable commit file (its details have no"
                f" {name!r}); restore it, or scan that date again"
            )
        return self.details[name]

    @property
    def is_whole(self) -> bool:
        """False for one that was thinned: it names the small tables only, see `Lake.thin_snapshot`."""
        return len(self.files) == len(stage_tables(self.stage, self.schema_version))

    @property
    def hashes(self) -> dict[str, str]:
        """The SHA-256 (hex) of each of its files, by name, as when it was committed; earlier versions noted none."""
        noted = self.details.get(SHA256, {})
        is_readable = isinstance(noted, dict) and all(
            isinstance(each, str) and _SHA256.fullmatch(each) for each in noted.values()
        )
        if not is_readable:
            raise LakeError(
                f"{commit_name(self.stage, self.snapshot_date)}: not a readable commit file (its details have"
                f" {SHA256} {noted!r:.100}); restore it, or scan that date again"
            )
        return dict(noted)

    @property
    def inventory_checks(self) -> list[str]:
        """Checks that the night's inventory passed before it was committed; older versions ran none of them then."""
        return list(self.details.get(INVENTORY_CHECKS, ()))

    @property
    def collected(self) -> Collected:
        """The reads that the night was to make beyond the list of repositories; versions before 7 read tags alone."""
        facets, nights = self.details.get(FACETS, ["tags"]), self.details.get(ROTATION_NIGHTS, 1)
        image_tags = self.details.get(IMAGE_TAGS, "off")
        is_readable = isinstance(facets, list) and all(isinstance(each, str) for each in facets)
        if not is_readable or type(nights) is not int or nights < 1 or not isinstance(image_tags, str):
            raise LakeError(
                f"{commit_name(self.stage, self.snapshot_date)}: not a readable commit file (its details have"
                f" {FACETS} {facets!r:.100}, {ROTATION_NIGHTS} {nights!r:.100} and {IMAGE_TAGS} {image_tags!r:.100});"
                " restore it, or scan that date again"
            )
        return Collected(tuple(facets), nights, image_tags)

    @property
    def image_tags_date(self) -> date | None:
        """The night whose image tags the evaluation used; None if there was none, as in versions that read none."""
        noted = self.details.get(IMAGE_TAGS_DATE)
        try:
            return None if noted is None else date.fromisoformat(noted)
        except (TypeError, ValueError) as fault:
            raise LakeError(
                f"{commit_name(self.stage, self.snapshot_date)}: not a readable commit file (its details have"
                f" {IMAGE_TAGS_DATE} {noted!r:.100}); restore it, or evaluate that date again"
            ) from fault

    @property
    def may_repeat_keys(self) -> bool:
        """Whether its tables may have several rows of one key: nothing looked for that before version 5."""
        return _KEY_CHECK not in self.inventory_checks


class LakeVersionError(LakeError, FinalError):
    """Another version of the audit wrote the lake, which this one cannot read."""


@dataclass(frozen=True)
class _Versioned:
    """The one field of a commit file that every version of the audit writes and understands."""

    schema_version: Any


_COMMIT = TypeAdapter(Commit)
_VERSIONED = TypeAdapter(_Versioned)


def parse_commit(content: bytes, path: str, stage: str, snapshot_date: date) -> Commit:
    """The commit of a stage and date that is in a file. Raises LakeError, which names the file by its `path`."""
    try:
        _require_readable(path, parse_json(content, _VERSIONED).schema_version)
        commit = parse_json(content, _COMMIT)
        _require_own_files(commit, stage, snapshot_date)
    except ValueError as fault:
        raise LakeError(f"{path}: not a readable commit file ({fault}); restore it, or scan that date again") from fault
    return commit


def commit_document(commit: Commit) -> str:
    """The content of a commit's file, in the form of its version: an older one is thinned, too."""
    document = asdict(commit)
    if commit.schema_version < 6:
        document["files"] = {table: name for table, [name] in commit.files.items()}
    return json.dumps(document, default=str, indent=1)


def commit_name(stage: str, snapshot_date: date) -> str:
    """Where the commit file of a stage and date is, relative to the lake."""
    return f"_commits/{stage}/{snapshot_date.isoformat()}.json"


def partition(snapshot_date: date | str) -> str:
    """The name of the folder, within that of a table, that the files of a date are in."""
    return f"snapshot_date={snapshot_date}"


def file_names(table: str, snapshot_date: date, commit_id: str, files: int) -> tuple[str, ...]:
    """The names that a commit gives the files of a table, relative to the lake: with a number if there are several."""
    numbers = [""] if files == 1 else [f"-{number:04d}" for number in range(1, files + 1)]
    return tuple(f"{table}/{partition(snapshot_date)}/{commit_id}{number}.parquet" for number in numbers)


def _require_own_files(commit: Commit, stage: str, snapshot_date: date) -> None:
    """Raise ValueError unless the commit is for that stage and date, and names files that it can have written.

    A name becomes part of a path: one with `..` in it would be read, and on S3 downloaded, to anywhere. A table without
    a file, or with a gap in the numbers of its files, would silently lack rows.
    """
    if (commit.stage, commit.snapshot_date) != (stage, snapshot_date):
        raise ValueError(f"it is for {commit.stage[:100]!r} and {commit.snapshot_date}")
    if not _COMMIT_ID.fullmatch(commit.commit_id):
        raise ValueError(f"commit_id: {commit.commit_id[:100]!r}")
    for table, names in commit.files.items():
        if table not in _TABLE_NAMES or table not in commit.rows:
            raise ValueError(f"files: {table[:100]!r}")
        expected = file_names(table, snapshot_date, commit.commit_id, len(names))
        if not names or names != expected:
            wrong = next((name for name, own in zip(names, expected, strict=True) if name != own), "no file")
            raise ValueError(f"files: {table[:100]!r}: {wrong[:100]!r}")


def _require_readable(path: str, version: object) -> None:
    if isinstance(version, int) and OLDEST_READABLE <= version <= SCHEMA_VERSION:
        return
    remedy = (
        "A newer version of the audit wrote it: upgrade this one"
        if isinstance(version, int) and version > SCHEMA_VERSION
        else "No release of the audit wrote it: restore the lake, or set ECR_AUDIT_LAKE to a new location"
    )
    raise LakeVersionError(
        f"{path}: of lake schema version {version!r}; this program reads {OLDEST_READABLE} to {SCHEMA_VERSION}."
        f" {remedy}"
    )
