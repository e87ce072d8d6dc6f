"""The vocabulary of the published tables, and its words for people: statuses, conditions, changes, outcomes.

Pages, the terminal, alerts, the workbook and the API take them from here. What outcomes of the scan mean is in
aws/advice.py; how numbers and dates are written, in text.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

from ecr_audit.text import plural

# The emulated organization of `make audit`; AWS gives ids of ten characters after the o-.
DEMO_ORGANIZATION_ID = "o-demo0ecr0audit"


class Status(StrEnum):
    """The verdict on an object. sql/macros.sql has the same five in is_status; a test compares."""

    COMPLIANT = "COMPLIANT"
    INCOMPLIANT = "INCOMPLIANT"
    # Not seen, not read, or a value that the policy does not know: not counted.
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


# The image tags among the facets of a policy: they are read by a DAG of its own, with ECR_AUDIT_IMAGE_TAGS.
IMAGE_TAGS_FACET = "image_tags"

# The values of each facet, as a noun.
FACET_WORDS: dict[str, str] = {
    Facet.TAGS: "tags",
    Facet.SCANNING: "scan frequency",
    Facet.KEYS: "manager of the KMS key",
    Facet.REGISTRIES: "creation templates and pull-through cache rules",
    Facet.LIFECYCLE: "lifecycle policy",
    Facet.POLICIES: "permissions policy",
    IMAGE_TAGS_FACET: "image tags",
}

# Read of one in ECR_AUDIT_COLLECT_ROTATION_NIGHTS each night, since each takes a call of its own; the others are read
# every night.
ROTATED_FACETS = (Facet.REGISTRIES, Facet.LIFECYCLE, Facet.POLICIES)


class ExportFormat(StrEnum):
    """Files for other tools, by their word in ECR_AUDIT_EXPORTS (docs/exports.md)."""

    # Findings for a SIEM or a security lake.
    OCSF = "ocsf"
    # Assessment results for auditors, a file for each framework that has an OSCAL catalog.
    OSCAL = "oscal"
    # All sections of all frameworks for GRC tools, as CSV.
    CONTROLS = "controls"
    # Findings for AWS Security Hub CSPM.
    ASFF = "asff"


class ExportedRecords(StrEnum):
    """Which verdicts OCSF and ASFF have a record of, by the word in ECR_AUDIT_EXPORT_RECORDS."""

    # Those that are findings, and those that ended tonight.
    FINDINGS = "findings"
    ALL = "all"


class ImageTags(StrEnum):
    """The repositories whose image tags are read each night, by the word in ECR_AUDIT_IMAGE_TAGS."""

    OFF = "off"
    # Those whose setting lets some tag be overwritten, or is unknown.
    OVERWRITABLE = "overwritable"
    ALL = "all"


def image_tags_offer(repositories: int) -> str:
    """The use and the cost of reading image tags, while it is off; `repositories` have tags that can be overwritten."""
    some = plural(repositories, *OBJECT_WORDS["repositories"])
    return (
        f"Image tags are not read: ECR_AUDIT_IMAGE_TAGS is off. As overwritable, it would show each night which tags"
        f" of {some} were overwritten, for one call a repository and 1,000 tags: at least {repositories:,} a night."
    )


# Those that a policy may give, and those that a finding can have.
PolicyStatus = Literal["COMPLIANT", "INCOMPLIANT", "UNDETERMINED", "INAPPLICABLE"]
FindingStatus = Literal["INCOMPLIANT", "UNDETERMINED"]
POLICY_STATUSES: tuple[str, ...] = get_args(PolicyStatus)

# In the order in which people care.
STATUS_MEANINGS = {
    Status.INCOMPLIANT: "Fails the policy; it stays a finding while it is undetermined, until it is found fixed or"
    " deleted",
    Status.COMPLIANT: "Passes the policy",
    Status.UNDETERMINED: "Not seen in this night, or a value that the policy needs was not read or is unknown to it:"
    " not counted",
    Status.INAPPLICABLE: "Its account is not active or has left the organization, or the policy does not apply: not"
    " counted",
    Status.DISAPPEARED: "Deleted: its account and region were read, and it no longer exists; reported once",
}

STATUS_WORDS = {status: status.capitalize() for status in STATUS_MEANINGS}


# The condition by which a policy says that a value that it needs of an object was not read for the night; other
# conditions that are UNDETERMINED mean a value that the policy does not know. See undetermined_reason in
# sql/published_macros.sql, which a test compares.
NOT_READ = 699

# Why an object is UNDETERMINED, as the words behind their number.
UNDETERMINED_REASONS = {
    "not_seen": "not seen",
    "not_read": "with a value that was not read",
    "unknown_value": "with a value that the policy does not know",
}


def undetermined_reasons(counts: Mapping[str, int]) -> str:
    """UNDETERMINED objects by reason: 31 not seen, 2 with a value that the policy does not know.

    `counts`: by the keys of UNDETERMINED_REASONS; others are ignored.
    """
    return ", ".join(f"{counts[reason]:,} {words}" for reason, words in UNDETERMINED_REASONS.items() if counts[reason])


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

# The objects of each input of policies (policy.yaml), one and several.
OBJECT_WORDS = {"repositories": ("repository", "repositories"), "registries": ("registry", "registries")}


def facet_input(facet: str) -> str:
    """The objects that have a facet, as the input of policies that read it."""
    return "registries" if facet == Facet.REGISTRIES else "repositories"


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

# How a tag was overwritten between two complete reads of its repository.
TagMove = Literal["moved", "moved_though_immutable", "moved_back"]

TAG_MOVE_WORDS: dict[TagMove, str] = {
    "moved": "overwritten",
    "moved_though_immutable": "overwritten though immutable",
    "moved_back": "moved back",
}

# As the rest of "a tag that …".
TAG_MOVE_MEANINGS: dict[TagMove, str] = {
    "moved": "points at another digest, as the setting allowed",
    "moved_though_immutable": "points at another digest, though the setting forbade it at both reads: it was deleted"
    " and pushed again, or the setting was changed and changed back in between",
    "moved_back": "was overwritten with a digest that it had before",
}

# Why the actor of a move is not known, by trail_outcome, as the end of a sentence.
TRAIL_WORDS = {
    "NOT_FOUND": "the trail has no such push",
    "PENDING": "the trail may not have it yet",
    "NOT_READ": "the trail could not be read",
    "LEFT_OUT": "a limit of the night left log files of the trail out",
}

# The limit of comparing two reads.
NOT_SEEN_BETWEEN_READS = (
    "Moves between two reads of a repository are not seen: a tag that was moved and moved back looks untouched, and"
    " several moves count as one."
)

# How a list of changes is headed, in the order in which people care.
CHANGE_WORDS: dict[Change, str] = {
    "new": "newly incompliant",
    "reopened": "reopened",
    "fixed": "fixed",
    "appeared": "new and compliant",
    "disappeared": "deleted",
    "lost_sight": "no longer evaluated",
    "seen_again": "now evaluated",
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
    "seen_again": "Now evaluated",
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

# The proposal of the remediation plan for a finding: the column action of remediation_plan.
PlanAction = Literal["FIX_BY_API", "FIX_IN_CODE", "HOLD"]

PLAN_ACTION_WORDS: dict[PlanAction, str] = {
    "FIX_BY_API": "fix by API",
    "FIX_IN_CODE": "fix in code",
    "HOLD": "hold",
}

# The rules of sql/marts/remediation_plan.sql in their order, which a test compares, each with its reason for people.
PlanRule = Literal[
    "not_seen", "waived", "pull_through", "pull_through_unknown", "code_unknown", "too_little_evidence",
    "release_moved", "filter_frees_release", "filters_do_not_fit", "nothing_to_change", "named_by_owner",
    "nothing_moved", "filters_fit",
]  # fmt: skip

PLAN_RULE_REASONS: dict[PlanRule, str] = {
    "not_seen": "It could not be read in this night, or its setting is not known.",
    "waived": "A waiver accepts another finding on its setting.",
    "pull_through": "A pull-through cache fills it, and a refreshed image overwrites its tag: propose a waiver.",
    "pull_through_unknown": "The pull-through cache rules of its registry were not read.",
    "code_unknown": "Its tags were not read, which say whether code owns the setting.",
    "too_little_evidence": "Its image tags were read in fewer nights than ECR_AUDIT_REMEDIATION_NIGHTS asks for.",
    "release_moved": "A release tag was overwritten: ask its owner why.",
    "filter_frees_release": "An exclusion filter that it has, and that would stay, matches a release tag.",
    "filters_do_not_fit": "The tags that moved take more than the 5 filters that AWS accepts.",
    "nothing_to_change": "It has the setting that its tags need, and the policy wants another.",
    "named_by_owner": "There is little evidence, but its owner names the tags that move.",
    "nothing_moved": "No tag was overwritten.",
    "filters_fit": "The tags that moved fit in filters, none of which matches a release tag.",
}

# How a change of an approved plan ended: the values of remediation/outcomes.py, which a test compares, as words that
# end a sentence about a repository.
ACTION_OUTCOME_WORDS: dict[str, str] = {
    "DONE": "written, and found so afterwards",
    "ALREADY": "had the proposed setting before",
    "SKIPPED_CHANGED": "left alone, no longer as planned",
    "SKIPPED_WAIVED": "left alone, waived by now",
    "GONE": "deleted",
    "DENIED": "the role is missing, or is not allowed the call",
    "THROTTLED": "refused for rate until its time was over",
    "FAILED": "another error",
    "DIFFERS": "written, and found with another setting",
    "NOT_REACHED": "not tried",
}
