"""How a change of an approved plan can end."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from ecr_audit.aws.ecr.mutability import NOT_FOUND
from ecr_audit.aws.outcomes import error_code, is_throttle
from ecr_audit.aws.permissions import DENIED


class ActionOutcome(StrEnum):
    """How a change ended. Exactly one per row of an approved plan."""

    DONE = "DONE"
    # It had the proposed setting before anything was written.
    ALREADY = "ALREADY"
    # Its setting, or the repository itself, is no longer the one that the plan was made for.
    SKIPPED_CHANGED = "SKIPPED_CHANGED"
    # A waiver covers it by now.
    SKIPPED_WAIVED = "SKIPPED_WAIVED"
    # The repository was deleted.
    GONE = "GONE"
    # The role cannot be assumed, or is not allowed the call.
    DENIED = "DENIED"
    THROTTLED = "THROTTLED"
    FAILED = "FAILED"
    # Written, but it had another setting when it was read again.
    DIFFERS = "DIFFERS"
    # Not tried: the canary stopped the run, or its batch ended before it.
    NOT_REACHED = "NOT_REACHED"


# These count against ECR_AUDIT_REMEDIATION_MAX_FAILED, and a retry of the batch tries them again.
FAILURES = frozenset({ActionOutcome.DENIED, ActionOutcome.THROTTLED, ActionOutcome.FAILED})


def outcome_of_error(error: BaseException) -> ActionOutcome:
    """The outcome of a repository that could not be read or written."""
    code = error_code(error)
    if code == NOT_FOUND:
        return ActionOutcome.GONE
    if code in DENIED:
        return ActionOutcome.DENIED
    return ActionOutcome.THROTTLED if is_throttle(error) else ActionOutcome.FAILED


def count_outcomes(outcomes: Iterable[str]) -> dict[ActionOutcome, int]:
    """How many ended in each way, in the order of their declaration; none that did not occur."""
    found = list(outcomes)
    return {outcome: found.count(outcome) for outcome in ActionOutcome if outcome in found}
