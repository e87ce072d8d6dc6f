"""How the scan of an account x region can end, and which answer of AWS means which end."""

from __future__ import annotations

from enum import StrEnum

import aiohttp
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError
from botocore.parsers import ResponseParserError

from ecr_audit.aws.answers import cleaned, request_id
from ecr_audit.aws.permissions import DENIED


class Outcome(StrEnum):
    """How the scan of one account x region ended. Exactly one per planned target."""

    COLLECTED = "COLLECTED"
    # The role is absent, or does not trust us: nothing in this account can be seen.
    ASSUME_ROLE_DENIED = "ASSUME_ROLE_DENIED"
    # The role exists, but a policy (often an SCP that closes the region) denies ecr:DescribeRepositories.
    ACCESS_DENIED = "ACCESS_DENIED"
    # An opt-in region that this account is known not to have enabled: it does not count against coverage.
    REGION_DISABLED = "REGION_DISABLED"
    # Suspended, closing or closed: cannot be entered and runs nothing, so it does not count against coverage.
    ACCOUNT_INACTIVE = "ACCOUNT_INACTIVE"
    # AWS kept refusing for rate until the target's time was used up.
    THROTTLED = "THROTTLED"
    # Anything else; error_code and error_message say what.
    FAILED = "FAILED"


# Outcomes of targets in which no repository can be: they stand outside coverage.
NOT_COUNTABLE = frozenset({Outcome.REGION_DISABLED, Outcome.ACCOUNT_INACTIVE})

# Outcomes of targets that should have been read but were not: their repositories are unknown.
UNREAD = frozenset(Outcome) - NOT_COUNTABLE - {Outcome.COLLECTED}


def share_read(collected: int, countable: int) -> float:
    """The share of the countable targets that were read, from 0 to 1; 1 when there was nothing to read.

    In SQL it is coverage_percent (sql/published_macros.sql).
    """
    return collected / countable if countable else 1.0


def is_enough(collected: int, countable: int, min_coverage: float) -> bool:
    """Whether as much was read as ECR_AUDIT_MIN_COVERAGE asks for, a share from 0 to 1."""
    return share_read(collected, countable) >= min_coverage


# Codes of the services' common errors (API references of ECR, STS, Organizations, EC2, tagging); DENIED is another.
THROTTLES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "SlowDown",
    }
)
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
# A region's errors for credentials that it does not know. A region that is not enabled knows nobody's; but so does
# one that gets the token of the global STS endpoint (IAM User Guide, "Manage AWS STS in an AWS Region").
UNKNOWN_CREDENTIALS = frozenset({"UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure"})
# Unambiguous where a region can be disabled: the account has not opted in.
NOT_OPTED_IN = "OptInRequired"


# The longest code and message that are kept: what an error response holds can be anything, also megabytes.
LONGEST_CODE = 100
LONGEST_MESSAGE = 2_000


def error_code(error: BaseException) -> str:
    """The AWS error code of an exception, or its class name when it is not an answer of AWS."""
    if isinstance(error, ClientError):
        return cleaned(str(error.response.get("Error", {}).get("Code") or "Unknown"), LONGEST_CODE)
    return type(error).__name__


def error_message(error: BaseException) -> str:
    """The message of AWS, or of the exception."""
    message = error.response.get("Error", {}).get("Message") if isinstance(error, ClientError) else None
    return cleaned(str(message or error), LONGEST_MESSAGE)


def error_request_id(error: BaseException) -> str | None:
    """AWS's id of the call that the exception answers; None when it is not an answer of AWS."""
    return request_id(error.response) if isinstance(error, ClientError) else None


def is_throttle(error: BaseException) -> bool:
    """Whether AWS refused for rate, so that the same call may pass later.

    HTTP's own word for it is 429 (RFC 6585): Security Hub answers so with a code that elsewhere means another limit.
    """
    return error_code(error) in THROTTLES or _http_status(error) == 429


def _http_status(error: BaseException) -> int:
    """The HTTP status of an answer of AWS; 0 for anything else."""
    if not isinstance(error, ClientError):
        return 0
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_expired(error: BaseException) -> bool:
    """Whether the call was signed with credentials whose time is over, so that fresh ones may help."""
    return error_code(error) in EXPIRED


def is_transient(error: BaseException) -> bool:
    """Whether the same call may pass when repeated: a fault of a server or of the way to it, not a refusal."""
    if isinstance(error, ClientError):
        return _http_status(error) >= 500 or error_code(error) in {"RequestTimeout", "RequestTimeoutException"}
    # An address that is none, and a certificate that is not trusted, stay so.
    if isinstance(error, aiohttp.InvalidURL | aiohttp.ClientConnectorCertificateError):
        return False
    # Connections refused, reset or timed out (botocore's: those that the hub's credentials come by), and bodies that
    # are not what they should be.
    of_the_way = aiohttp.ClientError | TimeoutError | HTTPClientError | ConnectionError
    return isinstance(error, of_the_way | ResponseParserError)


def outcome_of_assume_role(error: BaseException) -> Outcome:
    """The outcome of all targets of an account whose role could not be assumed."""
    if error_code(error) in DENIED:
        return Outcome.ASSUME_ROLE_DENIED
    return Outcome.THROTTLED if is_throttle(error) else Outcome.FAILED


def knows_no_credentials(error: BaseException) -> bool:
    """Whether a region answered that it does not know the credentials of the call."""
    return error_code(error) in UNKNOWN_CREDENTIALS


def outcome_of_describe(error: BaseException, *, may_be_disabled: bool) -> Outcome:
    """The outcome of a target whose repositories could not be listed.

    `may_be_disabled`: an opt-in region of which the account did not say whether it is enabled. Only an error that can
    mean nothing else makes it REGION_DISABLED, an outcome that coverage leaves out: unknown credentials do not.
    """
    if isinstance(error, ClientError) and error.operation_name == "assume_role":
        # The role's credentials had to be renewed, but it was deleted or no longer trusts the hub.
        return outcome_of_assume_role(error)
    code = error_code(error)
    if code in DENIED:
        return Outcome.ACCESS_DENIED
    if code == NOT_OPTED_IN and may_be_disabled:
        return Outcome.REGION_DISABLED
    return Outcome.THROTTLED if is_throttle(error) else Outcome.FAILED
