"""The frozen plan of a run: its rows in the lake, and the id that is their hash.

    <lake>/remediation/<plan id>/plan.parquet      the changes, see PLANNED_CHANGES
    <lake>/remediation/<plan id>/journal/…         what became of each, see journal.py

A plan is never written again. Whoever reads it computes the id once more: rows that somebody changed, added or removed
since are not the plan that was approved.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ecr_audit.aws.ecr.mutability import Setting
from ecr_audit.errors import FinalError
from ecr_audit.inventory.batches import assign_batches
from ecr_audit.lake.lake import PARQUET_OPTIONS, Lake
from ecr_audit.lake.schemas import PLANNED_CHANGES
from ecr_audit.lake.storage import LakeError

FOLDER = "remediation"
PLAN_ID = re.compile(r"[0-9a-f]{64}")

CANARY = 0


class RemediationError(FinalError):
    """The plan cannot be made or applied; the message says why."""


@dataclass(frozen=True)
class PlannedChange:
    """A row of a plan."""

    row: Mapping[str, Any]
    # Its place in the plan, by which the journal knows it.
    number: int

    @property
    def current(self) -> Setting:
        """The setting that the plan was made for."""
        return Setting.of(self.row["current_setting"], self.row["current_filters"])

    @property
    def proposed(self) -> Setting:
        """The setting to write."""
        return Setting.of(self.row["proposed_setting"], self.row["proposed_filters"])

    @property
    def registry(self) -> tuple[str, str]:
        """Its account and region."""
        return self.row["account_id"], self.row["region"]


@dataclass(frozen=True)
class RemediationPlan:
    """A plan as it is in the lake; it has at least one row."""

    plan_id: str
    rows: Sequence[Mapping[str, Any]]

    @cached_property
    def changes(self) -> tuple[PlannedChange, ...]:
        """Its changes, in the order of the file."""
        return tuple(PlannedChange(row, number) for number, row in enumerate(self.rows))

    @property
    def planned_at(self) -> datetime:
        """When it was made."""
        planned_at: datetime = self.rows[0]["planned_at"]
        return planned_at

    @property
    def policy_id(self) -> str:
        """The policy whose findings it closes, or whose changes it takes back."""
        return str(self.rows[0]["policy_id"])

    @property
    def rollback_of(self) -> str | None:
        """The plan that it takes back."""
        rollback_of: str | None = self.rows[0]["rollback_of"]
        return rollback_of

    @property
    def batches(self) -> list[int]:
        """The numbers of its batches; the canary, if it has one, is the first."""
        return sorted({row["batch"] for row in self.rows})

    def batch(self, number: int) -> list[PlannedChange]:
        """The changes of a batch."""
        return [change for change in self.changes if change.row["batch"] == number]


def plan_id_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """The SHA-256 over the rows in canonical form: JSON of all columns by name, times in UTC, lines sorted."""
    names = PLANNED_CHANGES.schema.names
    lines = sorted(
        json.dumps({name: row[name] for name in names}, sort_keys=True, separators=(",", ":"), default=_as_text)
        for row in rows
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _as_text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    raise TypeError(f"{type(value).__name__} has no canonical form")


def freeze(
    lake: Lake, rows: Sequence[Mapping[str, Any]], *, planned_at: datetime, canary_accounts: int, batch_accounts: int
) -> RemediationPlan:
    """Write a plan of these rows, which lack `planned_at` and `batch`, and return it.

    The canary accounts are those with the fewest changes. Raises RemediationError without rows.
    """
    if not rows:
        raise RemediationError("There is nothing to change.")
    batch_of = _batches([row["account_id"] for row in rows], canary_accounts, batch_accounts)
    complete = [{**row, "planned_at": planned_at, "batch": batch_of[row["account_id"]]} for row in rows]
    order = [(column, "ascending") for column in PLANNED_CHANGES.sort_by]
    table = pa.Table.from_pylist(complete, schema=PLANNED_CHANGES.schema).sort_by(order)
    # As they are read again, so that the id does not depend on what a column's type makes of a value.
    frozen = table.to_pylist()
    plan = RemediationPlan(plan_id_of(frozen), frozen)
    with lake.storage.scratch(f"remediation-{plan.plan_id[:12]}") as folder:
        pq.write_table(table, folder / "plan.parquet", **PARQUET_OPTIONS)
        lake.storage.move_in(folder / "plan.parquet", _file(plan.plan_id))
    return plan


def _batches(accounts: Sequence[str], canary_accounts: int, batch_accounts: int) -> dict[str, int]:
    """The batch of each account, given one entry for each change."""
    changes = Counter(accounts)
    by_size = sorted(changes, key=lambda account: (changes[account], account))
    canary, rest = by_size[:canary_accounts], sorted(by_size[canary_accounts:])
    batches = assign_batches(rest, changes, batch_accounts, 1) if rest else {}
    return dict.fromkeys(canary, CANARY) | {account: batch + 1 for account, batch in batches.items()}


def read_plan(lake: Lake, plan_id: str) -> RemediationPlan:
    """The plan of an id, recomputed from its rows.

    Raises RemediationError when there is none, or its rows are not those that the id was made of; LakeError when the
    file cannot be read.
    """
    if not PLAN_ID.fullmatch(plan_id):
        raise RemediationError(f"{plan_id[:100]!r} is not the id of a plan.")
    if not lake.storage.exists(_file(plan_id)):
        raise RemediationError(f"{lake.root} has no plan {plan_id}.")
    schema = PLANNED_CHANGES.schema
    with lake.storage.local(_file(plan_id)) as path:
        try:
            rows = pq.read_table(path).select(schema.names).cast(schema).to_pylist()
        except (OSError, KeyError, pa.ArrowException) as fault:
            raise LakeError(f"{lake.storage.absolute(_file(plan_id))}: cannot be read as Parquet ({fault})") from fault
    if (found := plan_id_of(rows)) != plan_id:
        raise RemediationError(
            f"{lake.storage.absolute(_file(plan_id))}: its rows were changed since it was frozen; they make plan"
            f" {found}. Nothing is written; trigger a new run."
        )
    return RemediationPlan(plan_id, rows)


def _file(plan_id: str) -> str:
    return f"{FOLDER}/{plan_id}/plan.parquet"
