"""Coverage: how much of what can be seen a snapshot has seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ecr_audit.aws.outcomes import NOT_COUNTABLE, Outcome, share_read
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import SCAN_TARGETS


@dataclass(frozen=True)
class Coverage:
    """How much of what can be seen was seen. `not_collected`: targets by outcome, without those outside coverage."""

    collected: int
    countable: int
    not_collected: dict[str, int]

    @property
    def share(self) -> float:
        """From 0 to 1; 1 when there was nothing to see."""
        return share_read(self.collected, self.countable)


def coverage(lake: Lake, commit: Commit) -> Coverage:
    """The coverage of a committed snapshot: COLLECTED / (all but NOT_COUNTABLE)."""
    outcomes = Counter(lake.read_table(commit, SCAN_TARGETS, columns=["outcome"])["outcome"].to_pylist())
    countable = {outcome: number for outcome, number in outcomes.items() if outcome not in NOT_COUNTABLE}
    collected = countable.pop(Outcome.COLLECTED.value, 0)
    return Coverage(collected, collected + sum(countable.values()), countable)
