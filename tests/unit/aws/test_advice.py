"""Advice on errors: it fits them, and each that a library or AWS can raise is one that there is."""

from __future__ import annotations

import builtins
from pathlib import Path

import aiohttp
import botocore.exceptions
import botocore.parsers
import pytest
from botocore.exceptions import NoCredentialsError

from docs import errors_page
from ecr_audit.aws.advice import CAUSES, OUTCOMES, advice_on, advice_on_error, distinct_advice
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.vocabulary import OUTCOME_WORDS
from support.paths import ROOT

from .conftest import MakeError

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"
SCP = "User: x is not authorized to perform: y on resource: z with an explicit deny in a service control policy"


def test_every_outcome_has_its_advice() -> None:
    assert set(OUTCOMES) == set(Outcome) == set(OUTCOME_WORDS)
    assert all(advice.meaning.endswith(".") for advice in OUTCOMES.values())


def test_every_cause_has_a_meaning_and_advice() -> None:
    for cause in CAUSES:
        assert cause.codes or cause.words
        for text in (cause.advice.meaning, cause.advice.fix):
            assert text.endswith("."), cause.title


def test_the_committed_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == errors_page(), "run make docs"


def test_no_code_has_two_causes() -> None:
    codes = [code for cause in CAUSES for code in cause.codes]
    assert sorted(codes) == sorted(set(codes))


def test_exceptions_are_named_as_their_libraries_name_them() -> None:
    """A new version that calls one otherwise would leave it without advice."""
    known = {*dir(aiohttp), *dir(botocore.exceptions), *dir(botocore.parsers), *dir(builtins)}
    codes = {code for cause in CAUSES for code in cause.codes if code.endswith(("Error", "InvalidURL"))}
    ours_or_aws = {"InternalError", "AuthorizationError", "ValidationError"}
    assert codes - known - ours_or_aws == set()


@pytest.mark.parametrize(
    ("outcome", "code", "message", "reported"),
    [
        ("ASSUME_ROLE_DENIED", "AccessDenied", "not authorized to perform: sts:AssumeRole", "ECR_AUDIT_ROLE_NAME"),
        ("ASSUME_ROLE_DENIED", "AccessDenied", SCP, "Exempt the audit role in the SCP"),
        ("ACCESS_DENIED", "AccessDeniedException", "no", "Allow ecr:DescribeRepositories"),
        ("ACCESS_DENIED", "AccessDeniedException", "because no identity-based policy allows it", "to the role;"),
        (
            "ACCESS_DENIED",
            "AccessDeniedException",
            "because no permissions boundary allows it",
            "in the policy;",
        ),
        ("THROTTLED", "ThrottlingException", "Rate exceeded", "ECR_AUDIT_TARGET_SECONDS"),
        ("FAILED", "InvalidURL", "proxy.corp:3128", "HTTPS_PROXY with their scheme"),
        ("FAILED", "ValueError", "Invalid endpoint: localhost:5000", "AWS_ENDPOINT_URL"),
        ("FAILED", "ValueError", "cannot be read", "Report it as a bug"),
        ("FAILED", "ClientConnectorDNSError", "Cannot connect to host", "leaves it out for every account"),
        ("FAILED", "ClientConnectorCertificateError", "", "AWS_CA_BUNDLE"),
        ("FAILED", "ClientConnectorError", "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed", "AWS_CA_BUNDLE"),
        ("FAILED", "ClientHttpProxyError", "407", "NO_PROXY"),
        ("FAILED", "ExpiredToken", "expired", "Renew them"),
        ("FAILED", "InvalidSignatureException", "Signature expired: 20261123T100000Z is now earlier", "clock"),
        ("FAILED", "InvalidSignatureException", "does not match", "secret key"),
        ("FAILED", "RegionDisabledException", "STS is not activated", "whose STS is active"),
        ("FAILED", "UnrecognizedClientException", "invalid", "ec2:DescribeRegions"),
        ("FAILED", "OptInRequired", "not subscribed", "sign-up"),
        ("FAILED", "BatchTimeUp", "", "ECR_AUDIT_BATCH_SECONDS"),
        ("FAILED", "BatchLost", "", "clear that task"),
        ("FAILED", "ContradictoryData", "Refused by sql/checks/x.sql", "Report it as a bug"),
        ("FAILED", "NeverPlanned", "", "without limits"),
        ("FAILED", "SomethingNew", "no", "Fix the cause"),
        ("FAILED", None, None, "Fix the cause"),
        # An error of the tags, which costs no target its outcome.
        ("COLLECTED", "Tags.AccessDeniedException", SCP, ""),
    ],
)
def test_the_advice_follows_the_error(outcome: str, code: str | None, message: str | None, reported: str) -> None:
    assert reported in advice_on(outcome, code, message).what_to_do


@pytest.mark.parametrize(
    ("code", "again"),
    [("ServerException", True), ("SocketTimeoutError", True), ("InvalidURL", False), ("KeyError", False)],
)
def test_a_repeat_is_advised_only_for_passing_faults(code: str, again: bool) -> None:
    assert ("the next night" in advice_on("FAILED", code, "").what_to_do) is again


def test_several_errors_with_one_remedy_are_reported_once() -> None:
    met = [
        ("FAILED", "ReadTimeoutError", ""),
        ("ASSUME_ROLE_DENIED", "AccessDenied", ""),
        ("FAILED", "ServerDisconnectedError", ""),
        ("FAILED", "ReadTimeoutError", ""),
        ("FAILED", "SomethingNew", ""),
        ("FAILED", None, None),
    ]
    assert [about for about, _ in distinct_advice(met)] == [
        "FAILED (ReadTimeoutError), FAILED (ServerDisconnectedError)",
        "ASSUME_ROLE_DENIED",
        "FAILED (SomethingNew), FAILED",
    ]


def test_an_error_of_the_hub_has_advice_as_well(aws_error: MakeError) -> None:
    advice = advice_on_error(aws_error("RegionDisabledException"))
    assert advice and "whose STS is active" in advice.fix
    missing = advice_on_error(NoCredentialsError())
    assert missing and "AWS_PROFILE" in missing.fix
    assert advice_on_error(aws_error("SomethingNew")) is None


def test_the_example_of_an_alert_has_the_present_advice() -> None:
    alerts = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    for outcome, code, message in (("ASSUME_ROLE_DENIED", None, None), ("ACCESS_DENIED", "AccessDeniedException", SCP)):
        assert advice_on(outcome, code, message).fix in alerts
