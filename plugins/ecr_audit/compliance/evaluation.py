"""The hand-over from `evaluate` to `roll_up`: verdicts, and a note of their inputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
from pydantic import Field, TypeAdapter

from ecr_audit.catalog import Catalog
from ecr_audit.catalog.texts import read_texts, texts_hash
from ecr_audit.lake.commits import SCHEMA_VERSION, Commit
from ecr_audit.lake.lake import PARTS, Lake
from ecr_audit.lake.schemas import POLICY_OUTPUT
from ecr_audit.lake.storage import LakeError
from ecr_audit.lake.tables import TableFiles
from ecr_audit.untrusted_files import parse_json

_NOTE_FILE = "evaluation.json"


@dataclass(frozen=True)
class Evaluation:
    """An evaluation, and its inputs: if one of these changes, the date has to be evaluated again."""

    snapshot_date: str
    # When the verdicts say they were reached; the one value here that nothing depends on.
    run_time: str
    inventory_commit: str
    # The compliance commit that the status history continues from; None when it begins with this snapshot.
    previous_commit: str | None
    # Hash by policy id.
    policies: dict[str, str]
    # Keys of the tags that name an owner, best first.
    owner_tags: list[str]
    # The date of that commit, for people: commits are found by date.
    previous_date: str | None
    # The version of the lake's schema: verdicts of an older one lack columns. Version 2 did not note its own.
    schema_version: int = 2
    # See `Commit.inventory_checks`.
    inventory_checks: list[str] = field(default_factory=list)
    # The image tags that policies read, see `find_image_tags`: their commit, and its date. The roll-up does not need
    # them: they may be committed again before it.
    image_tags_commit: str | None = None
    image_tags_date: str | None = None
    # The hash over all texts that verdicts and roll-up rest on, see `catalog.texts`; earlier versions noted none.
    sql_hash: str | None = None

    @classmethod
    def of(
        cls,
        lake: Lake,
        catalog: Catalog,
        snapshot_date: date,
        run_time: datetime,
        owner_tags: tuple[str, ...],
        image_tags: Commit | None,
    ) -> Evaluation:
        """The inputs of an evaluation of a date now, with those image tags."""
        inventory = lake.read_commit("inventory", snapshot_date)
        previous = lake.previous_commit("compliance", snapshot_date)
        return cls(
            snapshot_date=snapshot_date.isoformat(),
            run_time=run_time.isoformat(),
            inventory_commit=inventory.commit_id if inventory else "none",
            previous_commit=previous.commit_id if previous else None,
            policies={policy.id: policy.hash for policy in catalog.policies},
            owner_tags=list(owner_tags),
            previous_date=previous.snapshot_date.isoformat() if previous else None,
            schema_version=SCHEMA_VERSION,
            inventory_checks=inventory.inventory_checks if inventory else [],
            image_tags_commit=image_tags.commit_id if image_tags else None,
            image_tags_date=image_tags.snapshot_date.isoformat() if image_tags else None,
            sql_hash=texts_hash(read_texts(catalog.sql_root)),
        )

    def changed_in(self, present: Evaluation) -> list[str]:
        """The inputs that have other values in the present; image tags, which only evaluating reads, do not count."""
        return [
            name
            for name, value in asdict(present).items()
            if value != getattr(self, name) and name not in ("image_tags_commit", "image_tags_date")
        ]


@dataclass(frozen=True)
class Verdicts:
    """Verdicts of a date that can be rolled up: their inputs, and their files, relative to the lake."""

    evaluation: Evaluation
    files: tuple[str, ...]
    # In all files together.
    rows: int

    def fetch(self, lake: Lake, folder: Path) -> TableFiles:
        """Their files at local paths, see `Lake.fetch_files`."""
        paths = lake.fetch_files(POLICY_OUTPUT, self.files, folder, rows=self.rows)
        return TableFiles(date.fromisoformat(self.evaluation.snapshot_date), paths, SCHEMA_VERSION)


@dataclass(frozen=True)
class _Note:
    """The note beside the parts: the inputs that they were evaluated on."""

    evaluation: Evaluation
    parts: Annotated[int, Field(ge=1, le=9_999)]
    rows: int


_NOTE = TypeAdapter(_Note)
_EVALUATION = TypeAdapter(Evaluation)


def keep_verdicts(lake: Lake, evaluation: Evaluation, parts: Sequence[Path]) -> None:
    """Move the files of verdicts into the lake, in place of what an earlier evaluation of the date left."""
    storage, folder = lake.storage, _folder(evaluation.snapshot_date)
    remove_verdicts(lake, evaluation.snapshot_date)
    note = _Note(evaluation, len(parts), sum(pq.read_metadata(part).num_rows for part in parts))
    file = parts[0].with_name(_NOTE_FILE)
    file.write_text(json.dumps(asdict(note), indent=1), encoding="utf-8")
    for part, name in zip(parts, _names(folder, note.parts), strict=True):
        storage.move_in(part, name)
    # Last: verdicts without a note do not count.
    storage.move_in(file, f"{folder}/{_NOTE_FILE}")


def remove_verdicts(lake: Lake, snapshot_date: str) -> None:
    """Remove what an evaluation of a date left for rolling up, if anything is there."""
    storage, folder = lake.storage, _folder(snapshot_date)
    # By its name: a listing may be late, and an old note must not vouch for new verdicts.
    if storage.exists(f"{folder}/{_NOTE_FILE}"):
        storage.remove_file(f"{folder}/{_NOTE_FILE}")
    if storage.files(folder):
        storage.remove_folder(folder)


def find_verdicts(lake: Lake, snapshot_date: date) -> Verdicts | None:
    """The verdicts of a date: those that wait to be rolled up, or else the committed ones; None: there are none."""
    folder = _folder(snapshot_date.isoformat())
    if note := lake.storage.read_document(f"{folder}/{_NOTE_FILE}", _NOTE):
        return Verdicts(note.evaluation, _names(folder, note.parts), note.rows)
    commit = lake.read_commit("compliance", snapshot_date)
    if commit is None:
        return None
    try:
        evaluation = parse_json(json.dumps(commit.details).encode(), _EVALUATION)
    except ValueError as fault:
        raise LakeError(
            f"{lake.root}: the compliance commit of {snapshot_date} does not name its inputs"
            f" ({fault}). Restore it, or evaluate that date again"
        ) from fault
    return Verdicts(evaluation, commit.files[POLICY_OUTPUT.name], commit.rows[POLICY_OUTPUT.name])


def _folder(snapshot_date: str) -> str:
    return f"{PARTS}/compliance/{snapshot_date}"


def _names(folder: str, parts: int) -> tuple[str, ...]:
    return tuple(f"{folder}/{POLICY_OUTPUT.name}-{number:04d}.parquet" for number in range(1, parts + 1))
