"""Metrics of the newest night, for monitoring.

All are gauges: the numbers of a snapshot as it is committed, so that a task that is run again reports the same. The
values that a tag can have are few and fixed, or as many as there are policies: never an account, a repository or an
owner. docs/observability.md describes each of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

import pyarrow.compute as pc

from ecr_audit.aws.outcomes import Outcome
from ecr_audit.inventory.coverage import coverage
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import IMAGE_TAG_READS, POLICY_RUN, REPOSITORIES, SCAN_TARGETS, STATUS_COUNTS, TAG_MOVES
from ecr_audit.vocabulary import TagMove

# Columns of scan_targets, each a gauge of its sum.
COSTS = ("api_calls", "retries", "throttles")


@dataclass(frozen=True)
class Gauge:
    """A gauge: keeps its value until next reported. The unit is in the name, if it is not a count."""

    name: str
    value: float
    tags: Mapping[str, str] = field(default_factory=dict)


def of_inventory(lake: Lake) -> list[Gauge]:
    """Metrics of the newest snapshot: targets by outcome, coverage, repositories, calls. Empty without a snapshot.

    Also of the outcomes that no target had: an alert on one has to see it go back to 0.
    """
    commit = _newest(lake, "inventory")
    if commit is None:
        return []
    targets = SCAN_TARGETS.completed(lake.read_table(commit, SCAN_TARGETS, columns=["outcome", *COSTS]))
    outcomes = Counter(targets["outcome"].to_pylist())
    return [
        *(Gauge("ecr_audit.targets", outcomes[each.value], {"outcome": each.value}) for each in Outcome),
        Gauge("ecr_audit.coverage_percent", 100 * coverage(lake, commit).share),
        Gauge("ecr_audit.repositories", commit.rows[REPOSITORIES.name]),
        # Unknown, not 0, for a version that did not count one of them.
        *(Gauge(f"ecr_audit.{cost}", total) for cost in COSTS if (total := pc.sum(targets[cost]).as_py()) is not None),
        Gauge("ecr_audit.snapshot_committed_at_seconds", commit.committed_at.timestamp()),
    ]


def of_compliance(lake: Lake) -> list[Gauge]:
    """Metrics of the newest evaluated snapshot, by policy: verdicts by status, and compliance. Empty without one.

    A policy that evaluated nothing compliant or incompliant has no compliance, rather than one of 0.
    """
    commit = _newest(lake, "compliance")
    if commit is None:
        return []
    gauges = []
    for run in lake.read_table(commit, POLICY_RUN).to_pylist():
        policy = {"policy": run["policy_id"].rpartition("/")[2]}
        gauges += [
            Gauge("ecr_audit.verdicts", run[status], {**policy, "status": status.upper()})
            for status, _ in STATUS_COUNTS
        ]
        if evaluated := run["compliant"] + run["incompliant"]:
            gauges.append(Gauge("ecr_audit.compliance_percent", 100 * run["compliant"] / evaluated, policy))
    return gauges


def of_image_tags(lake: Lake) -> list[Gauge]:
    """Metrics of the newest night whose image tags were read: reads by outcome, comparisons, and overwritten tags by
    kind. Empty without one."""
    commit = _newest(lake, "image_tags")
    if commit is None:
        return []
    reads = lake.read_table(commit, IMAGE_TAG_READS, ["outcome", "compared", "tags"])
    moves = lake.read_table(commit, TAG_MOVES, ["kind", "is_release"])
    outcomes, kinds = Counter(reads["outcome"].to_pylist()), Counter(moves["kind"].to_pylist())
    return [
        *(Gauge("ecr_audit.image_tag_reads", outcomes[each.value], {"outcome": each.value}) for each in Outcome),
        Gauge("ecr_audit.image_tags", pc.sum(reads["tags"]).as_py() or 0),
        Gauge("ecr_audit.image_tag_comparisons", pc.sum(reads["compared"]).as_py() or 0),
        *(Gauge("ecr_audit.overwritten_tags", kinds[kind], {"kind": kind}) for kind in get_args(TagMove)),
        Gauge("ecr_audit.overwritten_release_tags", pc.sum(moves["is_release"]).as_py() or 0),
        Gauge("ecr_audit.image_tags_committed_at_seconds", commit.committed_at.timestamp()),
    ]


def _newest(lake: Lake, stage: str) -> Commit | None:
    dates = lake.snapshot_dates(stage)
    return lake.read_commit(stage, dates[-1]) if dates else None
