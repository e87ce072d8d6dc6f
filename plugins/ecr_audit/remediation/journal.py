"""The progress of each change of a plan, as it happens: a small file for each, replaced in one step.

    <lake>/remediation/<plan id>/journal/<number of the change>.json

Before a repository is written its entry says so (`intent_at`) and what it was before; after that, how it ended. So
whoever goes on after a killed worker knows which repositories may have been written, and takes none of them for one
that somebody else has changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from ecr_audit.aws.ecr.mutability import Setting
from ecr_audit.lake.lake import PARALLEL_READS, Lake
from ecr_audit.remediation.outcomes import ActionOutcome
from ecr_audit.remediation.plan import FOLDER, PlannedChange


@dataclass(frozen=True)
class Entry:
    """The known progress of a change."""

    repository_arn: str
    outcome: ActionOutcome | None = None
    error_code: str | None = None
    error_message: str | None = None
    # The setting that was read before anything was written.
    before: Setting | None = None
    # When it was about to be written; None: it was not.
    intent_at: datetime | None = None
    # When the outcome was known.
    acted_at: datetime | None = None
    # The setting when it was read again, after all writes, and when.
    after: Setting | None = None
    verified_at: datetime | None = None


_ENTRY = TypeAdapter(Entry)


class Journal:
    """The journal of a plan."""

    def __init__(self, lake: Lake, plan_id: str) -> None:
        self._lake = lake
        self._plan_id = plan_id
        self._folder = f"{FOLDER}/{plan_id}/journal"

    def read(self, changes: Iterable[PlannedChange]) -> dict[int, Entry]:
        """The entries of those changes that have one, by number. Raises LakeError for one that is damaged."""
        numbers = [change.number for change in changes]
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            found = pool.map(lambda number: self._lake.storage.read_document(self._name(number), _ENTRY), numbers)
            return {number: entry for number, entry in zip(numbers, found, strict=True) if entry is not None}

    def write(self, number: int, entry: Entry) -> None:
        """Replace the entry of a change. Once this returns it is there, whatever happens to this process."""
        with self._lake.storage.scratch(f"journal-{self._plan_id[:12]}-{number}") as folder:
            file = folder / "entry.json"
            file.write_text(json.dumps(asdict(entry), default=_as_text), encoding="utf-8")
            self._lake.storage.move_in(file, self._name(number))

    def _name(self, number: int) -> str:
        return f"{self._folder}/{number:06d}.json"


def _as_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
