"""How pages show each outcome of the scan. Its title is in vocabulary.py, its meaning and advice in aws/advice.py."""

from __future__ import annotations

from dataclasses import dataclass

from ecr_audit.aws.advice import OUTCOMES as ADVICE
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.vocabulary import OUTCOME_WORDS


@dataclass(frozen=True)
class Explanation:
    """An outcome for people. `letter` stands for it in the matrix; `kind` is the name of its colour."""

    title: str
    letter: str
    kind: str
    meaning: str
    what_to_do: str


_SIGNS = {
    Outcome.COLLECTED: ("✓", "ok"),
    Outcome.ASSUME_ROLE_DENIED: ("R", "bad"),
    Outcome.ACCESS_DENIED: ("D", "bad"),
    Outcome.THROTTLED: ("T", "warn"),
    Outcome.FAILED: ("F", "warn"),
    Outcome.REGION_DISABLED: ("-", "muted"),
    Outcome.ACCOUNT_INACTIVE: ("x", "muted"),
}

OUTCOMES = {
    outcome: Explanation(OUTCOME_WORDS[outcome], *sign, ADVICE[outcome].meaning, ADVICE[outcome].what_to_do)
    for outcome, sign in _SIGNS.items()
}
