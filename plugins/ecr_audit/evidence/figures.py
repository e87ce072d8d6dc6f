"""The figures of a night that its entry states: the same count when it is sealed and when it is verified."""

from __future__ import annotations

from collections import Counter

from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import POLICY_RUN, SCAN_TARGETS
from ecr_audit.vocabulary import Status


def targets_by_outcome(lake: Lake, inventory: Commit) -> dict[str, int]:
    """Accounts x regions of a night, by their outcome."""
    outcomes = lake.read_table(inventory, SCAN_TARGETS, ["outcome"])["outcome"].to_pylist()
    return dict(sorted(Counter(outcomes).items()))


def verdicts_by_status(lake: Lake, compliance: Commit) -> dict[str, dict[str, int]]:
    """Verdicts of a night, by policy and status."""
    columns = {status: status.lower() for status in Status}
    # Without its times, for which pyarrow would load pandas.
    runs = lake.read_table(compliance, POLICY_RUN, ["policy_id", *columns.values()]).to_pylist()
    return {run["policy_id"]: {status: run[column] for status, column in columns.items()} for run in runs}
