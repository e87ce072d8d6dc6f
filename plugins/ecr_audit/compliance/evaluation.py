"""What verdicts depend on, noted beside them: the hand-over from `evaluate` to `roll_up`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path

from pydantic import TypeAdapter

from ecr_audit.catalog import Catalog
from ecr_audit.lake.lake import SCHEMA_VERSION, Lake
from ecr_audit.lake.schemas import POLICY_OUTPUT
from ecr_audit.lake.storage import LakeError
from ecr_audit.untrusted_files import parse_json

_NOTE = "evaluation.json"


@dataclass(frozen=True)
class Evaluation:
    """An evaluation, and what it depends on: if one of these changes, the verdicts have to be reached anew."""

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
    # Of the lake's schema: verdicts of an older version lack columns. Version 2 did not note its own.
    schema_version: int = 2
    # See `Commit.inventory_checks`.
    inventory_checks: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, lake: Lake, catalog: Catalog, snapshot_date: date, run_time: datetime, owner_tags: tuple[str, ...]
    ) -> Evaluation:
        """What an evaluation of a date would depend on now."""
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
        )


_EVALUATION = TypeAdapter(Evaluation)


def stage(lake: Lake, evaluation: Evaluation, verdicts: Path) -> None:
    """Move a file of verdicts into the lake, in place of what an earlier evaluation of the date left."""
    folder = _folder(evaluation.snapshot_date)
    unstage(lake, evaluation.snapshot_date)
    note = verdicts.with_name(_NOTE)
    note.write_text(json.dumps(asdict(evaluation), indent=1), encoding="utf-8")
    lake.move_in(verdicts, f"{folder}/{POLICY_OUTPUT.name}.parquet")
    # Last: verdicts without a note do not count.
    lake.move_in(note, f"{folder}/{_NOTE}")


def unstage(lake: Lake, snapshot_date: str) -> None:
    """Remove what is staged of a date, if anything is."""
    folder = _folder(snapshot_date)
    # By its name: a listing may be late, and an old note must not vouch for new verdicts.
    if lake.exists(f"{folder}/{_NOTE}"):
        lake.remove_file(f"{folder}/{_NOTE}")
    if lake.files(folder):
        lake.remove_folder(folder)


def read_verdicts(lake: Lake, snapshot_date: date) -> tuple[str, Evaluation] | None:
    """The name in the lake of the verdicts of a date and their evaluation: the staged ones, or else the committed."""
    folder = _folder(snapshot_date.isoformat())
    if note := lake.read_document(f"{folder}/{_NOTE}", _EVALUATION):
        return f"{folder}/{POLICY_OUTPUT.name}.parquet", note
    commit = lake.read_commit("compliance", snapshot_date)
    if commit is None:
        return None
    try:
        return commit.files[POLICY_OUTPUT.name], parse_json(json.dumps(commit.details).encode(), _EVALUATION)
    except ValueError as fault:
        raise LakeError(
            f"{lake.root}: the compliance commit of {snapshot_date} does not say what it was judged on"
            f" ({fault}). Restore it, or evaluate that date again"
        ) from fault


def _folder(snapshot_date: str) -> str:
    return f"_staging/compliance/{snapshot_date}"
