"""How pages show each outcome of the scan. What it means and what to do about it is in ecr_audit/aws/advice.py."""

from __future__ import annotations

from dataclasses import dataclass

from ecr_audit.aws.advice import OUTCOMES as ADVICE
from ecr_audit.aws.outcomes import Outcome


@dataclass(frozen=True)
class Explanation:
    """An outcome for people. `letter` stands for it where there is room for one only; `kind` is its colour's name."""

    title: str
    letter: str
    kind: str
    meaning: str
    what_to_do: str


def _explanation(outcome: Outcome, title: str, letter: str, kind: str) -> Explanation:
    return Explanation(title, letter, kind, ADVICE[outcome].meaning, ADVICE[outcome].what_to_do)


OUTCOMES = {
    outcome: _explanation(outcome, *shown)
    for outcome, shown in {
        Outcome.COLLECTED: ("Read", "✓", "ok"),
        Outcome.ASSUME_ROLE_DENIED: ("Role cannot be assumed", "R", "bad"),
        Outcome.ACCESS_DENIED: ("Not allowed to list", "D", "bad"),
        Outcome.THROTTLED: ("Throttled", "T", "warn"),
        Outcome.FAILED: ("Failed", "F", "warn"),
        Outcome.REGION_DISABLED: ("Region not enabled", "-", "muted"),
        Outcome.ACCOUNT_INACTIVE: ("Account inactive", "x", "muted"),
    }.items()
}
