"""How importing the findings of one account in one region can end."""

from __future__ import annotations

from enum import StrEnum

from botocore.exceptions import ClientError

from ecr_audit.aws.outcomes import error_code, is_throttle, outcome_of_assume_role
from ecr_audit.aws.permissions import DENIED
from ecr_audit.aws.security_hub import NOT_SUBSCRIBED


class ImportOutcome(StrEnum):
    """How an account in a region ended that had findings to import. Exactly one each."""

    # All were imported.
    IMPORTED = "IMPORTED"
    # Security Hub took the calls, and refused some of the findings: error_code and error_message are of one of them.
    REFUSED = "REFUSED"
    # Security Hub is not enabled there.
    NOT_SUBSCRIBED = "NOT_SUBSCRIBED"
    # Suspended, closing, closed, or no longer in the organization: cannot be entered.
    ACCOUNT_INACTIVE = "ACCOUNT_INACTIVE"
    # The role is absent, or does not trust the hub.
    ASSUME_ROLE_DENIED = "ASSUME_ROLE_DENIED"
    # The role may not import findings there, such as for an SCP that closes the region.
    ACCESS_DENIED = "ACCESS_DENIED"
    # AWS kept refusing for rate until the time was used up.
    THROTTLED = "THROTTLED"
    # Anything else; error_code and error_message say what.
    FAILED = "FAILED"
    # The time of the run was up.
    NOT_REACHED = "NOT_REACHED"


# Every finding has its answer: what is imported in the nights after is what changed since.
SETTLED = frozenset({ImportOutcome.IMPORTED, ImportOutcome.REFUSED})

# Where there is nothing to import into, as far as the audit knows: they do not count against the share imported.
NOT_COUNTABLE = frozenset({ImportOutcome.NOT_SUBSCRIBED, ImportOutcome.ACCOUNT_INACTIVE})


def outcome_of_error(error: BaseException) -> ImportOutcome:
    """The outcome of an account in a region whose role cannot be assumed, or whose call ended with an error."""
    if isinstance(error, ClientError) and error.operation_name == "assume_role":
        return ImportOutcome(outcome_of_assume_role(error))
    code = error_code(error)
    if code in NOT_SUBSCRIBED:
        return ImportOutcome.NOT_SUBSCRIBED
    if code in DENIED:
        return ImportOutcome.ACCESS_DENIED
    return ImportOutcome.THROTTLED if is_throttle(error) else ImportOutcome.FAILED
