"""AWS Security Hub: findings imported into an account, by the account itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.parsers import ResponseParserError

from ecr_audit.aws.answers import quoted, text
from ecr_audit.aws.dispatcher import Call, Flow, Identity, Pacer
from ecr_audit.aws.outcomes import LONGEST_CODE, LONGEST_MESSAGE
from ecr_audit.aws.permissions import Permission, Role

IMPORT_FINDINGS = Permission(
    (Role.SECURITY_HUB,),
    "securityhub:BatchImportFindings",
    "to import the account's findings, under its default product",
    ("arn:{partition}:securityhub:*:{account}:product/{account}/default",),
    without="no finding of the account is imported",
)

PERMISSIONS = (IMPORT_FINDINGS,)

# Of one call, and of an account in a region (BatchImportFindings, AWS Security Hub API Reference). A finding may have
# 240 KB: the lengths in sql/exports/asff_findings.sql come to less, with each character escaped.
MOST_FINDINGS = 100
MOST_BYTES = 6_000_000
CALLS_PER_SECOND = 10

# Half of it: a pacer lets as many calls go at once as it does in a second after that.
PACE = CALLS_PER_SECOND / 2

# Security Hub is not enabled in the account and region: the first is BatchImportFindings' own answer.
NOT_SUBSCRIBED = frozenset({"InvalidAccessException", "ResourceNotFoundException"})


@dataclass(frozen=True)
class Refused:
    """A finding that a call did not import, and why."""

    finding_id: str
    error_code: str
    error_message: str


@dataclass(frozen=True)
class Imported:
    """The result of a call: findings that were imported, and those that were not, with the reasons that AWS gave."""

    count: int
    refused: tuple[Refused, ...]


def batch_import_findings(identity: Identity, region: str, findings: Sequence[Mapping[str, Any]], pacer: Pacer) -> Flow:
    """A flow that imports findings of the caller's account. Returns Imported; raises AWS's errors.

    Importing a finding again replaces it, by its Id. ResponseParserError for an answer whose count cannot be right.
    """
    answer = yield Call(
        identity, "securityhub", region, "batch_import_findings", {"Findings": findings}, "SuccessCount", pacer
    )
    count, failed = answer["SuccessCount"], answer.get("FailedFindings") or []
    if type(count) is not int or not 0 <= count <= len(findings) or not isinstance(failed, list):
        raise ResponseParserError(f"batch_import_findings returned SuccessCount {quoted(count)}, {quoted(failed)}")
    refused = [_refused(each if isinstance(each, dict) else {}) for each in failed]
    # Those that AWS counts, and names or not.
    missing = len(findings) - count - len(refused)
    refused += [_refused({})] * missing
    return Imported(count, tuple(refused[: len(findings) - count]))


def _refused(answer: Mapping[str, Any]) -> Refused:
    return Refused(
        text(answer.get("Id"), 2_048) or "",
        text(answer.get("ErrorCode"), LONGEST_CODE) or "Unknown",
        text(answer.get("ErrorMessage"), LONGEST_MESSAGE) or "AWS gave no reason",
    )
