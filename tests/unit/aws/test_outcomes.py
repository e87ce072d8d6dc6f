"""Which answer of AWS means which end of a scan."""

from __future__ import annotations

import aiohttp
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from ecr_audit.aws.answers import quoted
from ecr_audit.aws.outcomes import (
    NOT_COUNTABLE,
    Outcome,
    error_code,
    error_message,
    is_expired,
    is_throttle,
    is_transient,
    outcome_of_assume_role,
    outcome_of_describe,
)

from .conftest import MakeError


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("AccessDenied", "ASSUME_ROLE_DENIED"),
        ("Throttling", "THROTTLED"),
        # A fault of the hub or the network: must not pass for a refusal by the account.
        ("InvalidClientTokenId", "FAILED"),
        ("ExpiredToken", "FAILED"),
        ("ValidationError", "FAILED"),
        ("InternalFailure", "FAILED"),
    ],
)
def test_assume_role(aws_error: MakeError, code: str, outcome: str) -> None:
    assert outcome_of_assume_role(aws_error(code)) == outcome


@pytest.mark.parametrize(
    ("code", "known", "may_be_disabled"),
    [
        ("AccessDeniedException", "ACCESS_DENIED", "ACCESS_DENIED"),
        ("ThrottlingException", "THROTTLED", "THROTTLED"),
        ("TooManyRequestsException", "THROTTLED", "THROTTLED"),
        # A token of the global STS endpoint is answered so as well: what may mean something else stays in coverage.
        ("UnrecognizedClientException", "FAILED", "FAILED"),
        ("InvalidClientTokenId", "FAILED", "FAILED"),
        ("AuthFailure", "FAILED", "FAILED"),
        # Where a region cannot be disabled, or is known to be enabled, it is about the account's subscription.
        ("OptInRequired", "FAILED", "REGION_DISABLED"),
        ("ExpiredTokenException", "FAILED", "FAILED"),
        ("ServerException", "FAILED", "FAILED"),
        ("SomethingNew", "FAILED", "FAILED"),
    ],
)
def test_describe_repositories(aws_error: MakeError, code: str, known: str, may_be_disabled: str) -> None:
    assert outcome_of_describe(aws_error(code), may_be_disabled=False) == known
    assert outcome_of_describe(aws_error(code), may_be_disabled=True) == may_be_disabled


@pytest.mark.parametrize("may_be_disabled", [True, False])
def test_a_fault_of_the_network_or_the_program_is_failed(may_be_disabled: bool) -> None:
    for error in (ReadTimeoutError(endpoint_url="https://x"), KeyError("x")):
        assert outcome_of_describe(error, may_be_disabled=may_be_disabled) == "FAILED"
        assert outcome_of_assume_role(error) == "FAILED"


@pytest.mark.parametrize(("code", "outcome"), [("AccessDenied", "ASSUME_ROLE_DENIED"), ("Throttling", "THROTTLED")])
def test_a_role_that_vanishes_between_two_calls_is_reported_as_absent(code: str, outcome: str) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "no"}}, "assume_role")
    assert outcome_of_describe(error, may_be_disabled=False) == outcome


def test_only_disabled_regions_and_inactive_accounts_are_outside_coverage() -> None:
    assert {Outcome.REGION_DISABLED, Outcome.ACCOUNT_INACTIVE} == NOT_COUNTABLE


def test_errors_worth_another_attempt(aws_error: MakeError) -> None:
    assert [is_throttle(aws_error(code)) for code in ("Throttling", "AccessDenied")] == [True, False]
    assert [is_expired(aws_error(code)) for code in ("RequestExpired", "AccessDenied")] == [True, False]
    assert [is_transient(aws_error("x", status)) for status in (400, 403, 500, 503)] == [False, False, True, True]
    assert not is_transient(KeyError("x"))
    assert is_transient(aiohttp.ServerDisconnectedError())
    assert not is_transient(aiohttp.InvalidURL("proxy.corp:3128"))


def test_messages_of_errors(aws_error: MakeError) -> None:
    error = aws_error("AccessDenied", message="User: arn:… is not authorized")
    assert (error_code(error), error_message(error)) == ("AccessDenied", "User: arn:… is not authorized")
    assert (error_code(KeyError("x")), error_message(ValueError("no"))) == ("KeyError", "no")
    error.response["Error"] = {}
    assert error_code(error) == "Unknown"


@pytest.mark.parametrize(
    "held", [None, "", 5, True, [], {"a": "b"}, "\ud800\x00", "x" * 3_000_000, ["y" * 3_000_000]], ids=quoted
)
def test_any_error_can_be_stored_and_is_short(aws_error: MakeError, held: object) -> None:
    for error in (aws_error(held, message=held), ValueError(held)):
        code, message = error_code(error), error_message(error)
        assert code
        assert len(code) <= 100
        assert len(message) <= 2_000
        f"{code}{message}".encode()
        assert "\x00" not in message
