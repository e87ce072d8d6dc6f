"""The vocabulary of the published tables, and its words for people: statuses, conditions, changes, outcomes.

Pages, the terminal, alerts, the workbook and the API take them from here. What outcomes of the scan mean is in
aws/advice.py; how numbers and dates are written, in text.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

# The emulated organization of `make audit`; AWS gives ids of ten characters after the o-.
DEMO_ORGANIZATION_ID = "o-demo0ecr0audit"


class Status(StrEnum):
    """The verdict on an object. sql/macros.sql has the same five in is_status; a test compares."""

    COMPLIANT = "COMPLIANT"
    INCOMPLIANT = "INCOMPLIANT"
    # Not seen, or a value that the policy does not know: not counted.
    UNDETERMINED = "UNDETERMINED"
    # Outside the scope of the policy, or in an account that is not active.
    INAPPLICABLE = "INAPPLICABLE"
    # Deleted since the night before; given once, and by the engine alone.
    DISAPPEARED = "DISAPPEARED"


class Facet(StrEnum):
    """Values of repositories and registries that are read by calls of their own, by their word in ECR_AUDIT_COLLECT.

    The declarations are in aws/ecr/facets.py. sql/macros.sql has the rotated ones in is_rotated; a test compares.
    """

    TAGS = "tags"
    SCANNING = "scanning"
    KEYS = "keys"
    REGISTRIES = "registries"
    LIFECYCLE = "lifecycle"
    POLICIES = "policies"


# Read of one in ECR_AUDIT_COLLECT_ROTATION_NIGHTS each night, since each takes a call of its own; the others are read
# every night.
ROTATED_FACETS = (Facet.REGISTRIES, Facet.LIFECYCLE, Facet.POLICIES)

# Those that a policy may give, and those that a finding can have.
PolicyStatus = Literal["COMPLIANT", "INCOMPLIANT", "UNDETERMINED", "INAPPLICABLE"]
FindingStatus = Literal["INCOMPLIANT", "UNDETERMINED"]
POLICY_STATUSES: tuple[str, ...] = get_args(PolicyStatus)

# In the order in which people care.
STATUS_MEANINGS = {
    Status.INCOMPLIANT: "Fails the policy; it stays a finding while it is undetermined, until it is found fixed or"
    " deleted",
    Status.COMPLIANT: "Passes the policy",
    Status.UNDETERMINED: "Not seen in this night, or the policy does not know the value: not counted",
    Status.INAPPLICABLE: "Its account is not active or has left the organization, or the policy does not apply: not"
    " counted",
    Status.DISAPPEARED: "Deleted: its account and region were read, and it no longer exists; reported once",
}

STATUS_WORDS = {status: status.capitalize() for status in STATUS_MEANINGS}


def undetermined_reasons(not_seen: int, unknown_value: int) -> str:
    """UNDETERMINED repositories by reason: 31 not seen, 2 with a value that the policy does not know."""
    reasons = {"not seen": not_seen, "with a value that the policy does not know": unknown_value}
    return ", ".join(f"{number:,} {words}" for words, number in reasons.items() if number)


@dataclass(frozen=True)
class EngineCondition:
    """A condition that holds under any policy, before the policy is asked. sql/macros.sql has the same indexes."""

    index: int
    status: Status
    when: str


# In the order in which sql/marts/policy_output.sql tries them.
ENGINE_CONDITIONS = (
    EngineCondition(399, Status.INAPPLICABLE, "Its account is not active, or has left the organization."),
    EngineCondition(599, Status.UNDETERMINED, "Its account and region could not be read."),
    EngineCondition(
        99, Status.DISAPPEARED, "Its account and region were read, and it no longer exists; reported once."
    ),
)
RESERVED_CONDITIONS = tuple(sorted(condition.index for condition in ENGINE_CONDITIONS))

# The outcomes of a scan (aws/outcomes.py) as titles.
OUTCOME_WORDS = {
    "COLLECTED": "Read",
    "ASSUME_ROLE_DENIED": "Role cannot be assumed",
    "ACCESS_DENIED": "Not allowed to list",
    "THROTTLED": "Throttled",
    "FAILED": "Failed",
    "REGION_DISABLED": "Region not enabled",
    "ACCOUNT_INACTIVE": "Account inactive",
}

Change = Literal["new", "reopened", "fixed", "appeared", "disappeared", "lost_sight", "seen_again", "moved"]
OverwritableTags = Literal["all", "all_but_listed", "listed", "none", "unknown"]

# How a list of changes is headed, in the order in which people care.
CHANGE_WORDS: dict[Change, str] = {
    "new": "newly incompliant",
    "reopened": "reopened",
    "fixed": "fixed",
    "appeared": "new and compliant",
    "disappeared": "deleted",
    "lost_sight": "no longer evaluated",
    "seen_again": "evaluated again",
    "moved": "moved to another unit",
}

# An event in a repository's history: a change, or an event known only from its incompliant stretches.
EVENT_WORDS = {
    "new": "New finding",
    "reopened": "Incompliant again",
    "fixed": "Fixed",
    "appeared": "First seen",
    "disappeared": "Deleted",
    "lost_sight": "No longer evaluated",
    "seen_again": "Evaluated again",
    "moved": "Moved with its account",
    "found": "Incompliant when first evaluated",
    "ended": "No longer incompliant:",
}

# Words on waivers in force that need care, as they follow a number of them.
WAIVER_WORDS = {
    "expires_soon": "for at most 30 days",
    "unmatched": "without a finding in its scope",
}

WAIVER_MEANINGS = {
    "active": "In force",
    "expires_soon": "In force, for at most 30 days",
    "unmatched": "In force, with no finding in its scope",
    "expired": "No longer counts; matched_findings are those that it left uncovered",
}

# The values of overwritable_tags, as the end of "can be overwritten: …".
OVERWRITABLE_WORDS: dict[OverwritableTags, str] = {
    "all": "every tag",
    "all_but_listed": "all but those listed",
    "listed": "only those listed",
    "none": "no tag",
    "unknown": "unknown",
}
