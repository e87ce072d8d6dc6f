"""A plan as its tasks share it: they pass its id around, and read the rest from the lake.

It lives under `_parts/<plan id>/`, with the parts of its batches beside it:

    plan.json  accounts.parquet  targets.parquet  scan_targets-0001.parquet  repositories-0001-<attempt>.parquet
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from ecr_audit.errors import FinalError
from ecr_audit.inventory.missing import LeftOut, Missing
from ecr_audit.lake.lake import PARQUET_OPTIONS, PARTS, Lake
from ecr_audit.lake.storage import LakeError, MissingFileError
from ecr_audit.lake.tables import Collected

TARGET_KEY = ["account_id", "region"]

# Keys of notes in the metadata of the plan's targets (JSON), see `with_notes`.
_MISSING = b"ecr_audit.missing"
_LEFT_OUT = b"ecr_audit.left_out"
_COLLECTED = b"ecr_audit.collected"

# Written with one more column, `last_duration_ms`: the target's last duration, null if unknown.
TARGETS = pa.schema(
    [
        ("account_id", pa.string()),
        ("region", pa.string()),
        ("opt_in", pa.bool_()),
        # Null: the account is inactive, so the target has its outcome without being scanned.
        ("batch", pa.int32()),
    ]
)


class PlanError(FinalError):
    """The run's limits or settings name something that does not exist; the message names it and the valid values."""


@dataclass(frozen=True)
class Plan:
    """A scan to be."""

    plan_id: str
    snapshot_date: date
    run_id: str
    organization_id: str
    hub_account_id: str
    partition: str
    # The run reads part of the organization: the rest stays as in that day's snapshot.
    limited: bool
    # The regions in which ECR is offered, and whether each is opt-in; see KnownRegions.
    regions: Mapping[str, bool] = field(default_factory=dict)
    regions_read_at: str | None = None
    regions_error: str | None = None
    # Why the tree of units could not be read.
    units_error: str | None = None

    @property
    def folder(self) -> str:
        """Where the plan and the parts of its batches are, relative to the lake."""
        return f"{PARTS}/{self.plan_id}"


_PLAN = TypeAdapter(Plan)
_PLAN_ID = re.compile(r"[0-9]{8}T[0-9]{12}-[0-9a-f]{6}")  # as `discover` makes them


def with_notes(targets: pa.Table, missing: Missing, left_out: LeftOut, collected: Collected) -> pa.Table:
    """Targets with what the settings name and AWS does not have, what they leave out, and the facets that they name."""
    notes: dict[bytes, Missing | LeftOut | Collected] = {_MISSING: missing, _LEFT_OUT: left_out, _COLLECTED: collected}
    return targets.replace_schema_metadata({key: json.dumps(asdict(note)).encode() for key, note in notes.items()})


def read_missing(targets: pa.Table) -> Missing:
    """Accounts and regions in the settings that AWS did not have when these targets were planned."""
    return Missing(**json.loads((targets.schema.metadata or {}).get(_MISSING, b"{}")))


def read_left_out(targets: pa.Table) -> LeftOut:
    """Accounts and regions that the settings left out when these targets were planned."""
    return LeftOut(**json.loads((targets.schema.metadata or {}).get(_LEFT_OUT, b"{}")))


def read_collected(targets: pa.Table) -> Collected:
    """The facets and image tags that the settings named when these targets were planned."""
    return Collected(**json.loads((targets.schema.metadata or {}).get(_COLLECTED, b"{}")))


def write_plan(lake: Lake, plan: Plan) -> None:
    """Write a plan, in one step."""
    with lake.storage.scratch(f"{plan.plan_id}-plan") as folder:
        local = folder / "plan.json"
        local.write_text(json.dumps(asdict(plan), default=str), encoding="utf-8")
        lake.storage.move_in(local, f"{plan.folder}/plan.json")


def read_plan(lake: Lake, plan_id: str) -> Plan:
    """The plan of an id. Raises PlanError when the lake has none, LakeError when its file is damaged."""
    if not _PLAN_ID.fullmatch(plan_id):
        raise PlanError(f"{plan_id[:100]!r} is not the id of a plan.")
    plan = lake.storage.read_document(f"{PARTS}/{plan_id}/plan.json", _PLAN)
    if plan is None:
        raise PlanError(f"{lake.root} has no plan {plan_id}: a newer run removed it, or it was never written.")
    if plan.plan_id != plan_id:
        raise LakeError(f"{lake.root}: the plan.json of {plan_id} is of another plan, {plan.plan_id[:100]!r}.")
    return plan


def read_plan_table(lake: Lake, plan: Plan, name: str) -> pa.Table:
    """A table that was written for the plan.

    Raises PlanError if the step that writes it has not finished, LakeError if it is damaged.
    """
    try:
        with lake.storage.local(f"{plan.folder}/{name}") as path:
            return pq.read_table(path)
    except MissingFileError as fault:
        raise PlanError(f"Plan {plan.plan_id} has no {name}: the task that writes it did not finish.") from fault
    except (OSError, pa.ArrowInvalid) as fault:
        raise LakeError(
            f"{lake.storage.absolute(f'{plan.folder}/{name}')}: cannot be read as Parquet ({fault})"
        ) from fault


def write_plan_table(lake: Lake, plan: Plan, name: str, table: pa.Table) -> None:
    """Write a table for the plan, replacing one of that name, in one step."""
    with lake.storage.scratch(f"{plan.plan_id}-{name}") as folder:
        pq.write_table(table, folder / name, **PARQUET_OPTIONS)
        lake.storage.move_in(folder / name, f"{plan.folder}/{name}")
