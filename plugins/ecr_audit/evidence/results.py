"""The results of a verification: the log as a whole, and each night in seven steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class Outcome(StrEnum):
    """The outcome of a step."""

    OK = "ok"
    # True as far as it goes, but something that a person should know: unsigned, or a key that nobody compared.
    NOTE = "note"
    FAILED = "FAILED"
    NOT_RUN = "not run"


STEPS = {
    1: "signature",
    2: "chain",
    3: "files",
    4: "rows",
    5: "policy text",
    6: "verdicts",
    7: "roll-up",
}


@dataclass(frozen=True)
class StepResult:
    """The result of a step, with a sentence that says what was found."""

    step: int
    outcome: Outcome
    found: str


@dataclass
class NightResult:
    """The results of a night's entry, in the order of the steps."""

    date: date
    sequence: int
    compliance_commit: str
    payload_sha256: str
    superseded: bool
    steps: list[StepResult] = field(default_factory=list)

    def add(self, step: int, faults: list[str], found: str, outcome: Outcome = Outcome.OK) -> bool:
        """Note the faults of a step, or what was found without any. Returns whether there is none."""
        if faults:
            more = f" (and {len(faults) - 3:,} more)" if len(faults) > 3 else ""
            self.steps.append(StepResult(step, Outcome.FAILED, "; ".join(faults[:3]) + more))
        else:
            self.steps.append(StepResult(step, outcome, found))
        return not faults

    def skip(self, steps: range, why: str) -> None:
        """Note steps that were not run."""
        self.steps += [StepResult(step, Outcome.NOT_RUN, why) for step in steps]

    @property
    def failed(self) -> bool:
        """Whether a step failed."""
        return any(step.outcome is Outcome.FAILED for step in self.steps)


@dataclass
class Verification:
    """The result of a verification. `head`: the hash to compare with one that was noted elsewhere."""

    place: str
    verified_at: datetime
    entries: int
    signed: int
    first: date | None
    last: date | None
    head: str | None
    # Faults of the log as a whole; and notes, such as nights without an entry and those that were evaluated again.
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    nights: list[NightResult] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether anything that was verified is not as it was sealed."""
        return bool(self.faults) or any(night.failed for night in self.nights)

    def document(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            "place": self.place,
            "verified_at": self.verified_at.isoformat(),
            "failed": self.failed,
            "entries": self.entries,
            "signed": self.signed,
            "first": str(self.first) if self.first else None,
            "last": str(self.last) if self.last else None,
            "head": self.head,
            "faults": self.faults,
            "notes": self.notes,
            "nights": [
                {
                    "date": str(night.date),
                    "sequence": night.sequence,
                    "compliance_commit": night.compliance_commit,
                    "payload_sha256": night.payload_sha256,
                    "superseded": night.superseded,
                    "failed": night.failed,
                    "steps": [
                        {"step": each.step, "name": STEPS[each.step], "outcome": each.outcome, "found": each.found}
                        for each in night.steps
                    ],
                }
                for night in self.nights
            ],
        }


class LastVerification(BaseModel):
    """The last verification as it is kept beside the log."""

    model_config = ConfigDict(frozen=True)

    verified_at: datetime
    failed: bool
    # The hash of the newest entry then, and the nights that were verified.
    head: str | None
    nights: int
    found: str
