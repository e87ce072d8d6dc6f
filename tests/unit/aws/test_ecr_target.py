"""The flow that reads one account x region, driven by hand: what it asks for, and what it makes of the answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ecr_audit.aws.answers import quoted
from ecr_audit.aws.dispatcher import Call, Flow
from ecr_audit.aws.ecr.repositories import Repository
from ecr_audit.aws.ecr.target import TargetScan, scan_target
from ecr_audit.aws.outcomes import Outcome

from .conftest import FakeIdentity, MakeError

ACCOUNT, REGION = "111111111111", "eu-west-1"


def drive(flow: Flow, *answers: object) -> tuple[list[Call], TargetScan]:
    """Send the answers (an exception is thrown in); return the calls that were asked for, and the flow's result."""
    calls = [next(flow)]
    for answer in answers:
        assert isinstance(calls[-1], Call)
        try:
            calls.append(flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer))
        except StopIteration as end:
            return [call for call in calls if isinstance(call, Call)], end.value
    raise AssertionError(f"still asks for {calls[-1]}")


@pytest.fixture
def scan(identity: type[FakeIdentity]) -> Callable[..., Flow]:
    def start(*, may_be_disabled: bool = False) -> Flow:
        return scan_target(identity("somebody"), ACCOUNT, REGION, may_be_disabled=may_be_disabled)

    return start


def arn(name: str) -> str:
    return f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"


def page(*names: str, **token: object) -> dict[str, Any]:
    return {"repositories": [{"repositoryName": name, "repositoryArn": arn(name)} for name in names], **token}


def names(found: TargetScan) -> list[str]:
    return [each.name for each in found.repositories]


def message_of(found: TargetScan) -> str:
    assert found.error_message is not None
    return found.error_message


def test_a_region_without_repositories_takes_one_call(scan: Callable[..., Flow]) -> None:
    calls, found = drive(scan(), page())
    assert [(each.service, each.region, each.method, each.parameters) for each in calls] == [
        ("ecr", REGION, "describe_repositories", {"maxResults": 1000})
    ]
    assert (found.account_id, found.region, found.outcome) == (ACCOUNT, REGION, Outcome.COLLECTED)
    assert (found.repositories, found.error_code, found.error_message) == ([], None, None)


def test_pages_are_followed_to_the_last(scan: Callable[..., Flow]) -> None:
    calls, found = drive(scan(), page("a", nextToken="1"), page("b", "c", nextToken="2"), page("d"))
    assert [each.parameters.get("nextToken") for each in calls] == [None, "1", "2"]
    assert all(each.parameters["maxResults"] == 1000 for each in calls)
    assert names(found) == ["a", "b", "c", "d"]


def test_an_empty_page_with_a_token_is_not_the_last(scan: Callable[..., Flow]) -> None:
    _, found = drive(scan(), page(nextToken="1"), page("a", nextToken="2"), page("b"))
    assert names(found) == ["a", "b"]


def test_a_token_that_comes_back_ends_in_a_fault_not_in_a_circle(scan: Callable[..., Flow]) -> None:
    _, found = drive(scan(), page("a", nextToken="1"), page("b", nextToken="1"))
    assert (found.outcome, found.error_code, found.repositories) == (Outcome.FAILED, "PaginationError", [])
    assert "returned the same nextToken twice" in message_of(found)


def test_a_list_that_breaks_off_is_thrown_away(scan: Callable[..., Flow], aws_error: MakeError) -> None:
    _, found = drive(scan(), page("a", nextToken="1"), aws_error("AccessDeniedException", message="no more"))
    assert (found.outcome, found.repositories) == (Outcome.ACCESS_DENIED, [])
    assert (found.error_code, found.error_message) == ("AccessDeniedException", "no more")


def test_unknown_credentials_in_a_region_that_is_known_to_be_enabled_are_a_fault(
    scan: Callable[..., Flow], aws_error: MakeError
) -> None:
    calls, found = drive(scan(), aws_error("UnrecognizedClientException"))
    assert len(calls) == 1
    assert found.outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("second", "outcome"),
    [
        ("InvalidClientTokenId", Outcome.REGION_DISABLED),
        # STS there knows the credentials: it is ECR that is at fault.
        (None, Outcome.FAILED),
        # Nothing that says whether the region is enabled.
        ("Throttling", Outcome.FAILED),
        ("InternalFailure", Outcome.FAILED),
        ("AccessDenied", Outcome.FAILED),
    ],
)
def test_a_region_that_may_be_disabled_is_confirmed_by_a_second_service(
    scan: Callable[..., Flow], aws_error: MakeError, second: str | None, outcome: Outcome
) -> None:
    unknown = aws_error("UnrecognizedClientException", message="The security token is invalid")
    answer = {"Account": ACCOUNT} if second is None else aws_error(second)
    calls, found = drive(scan(may_be_disabled=True), unknown, answer)
    assert [(each.service, each.region, each.method) for each in calls[1:]] == [("sts", REGION, "get_caller_identity")]
    assert (found.outcome, found.error_code) == (outcome, "UnrecognizedClientException")


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException", "OptInRequired"])
def test_no_second_service_is_asked_about_another_error(
    scan: Callable[..., Flow], aws_error: MakeError, code: str
) -> None:
    calls, _ = drive(scan(may_be_disabled=True), aws_error(code))
    assert len(calls) == 1


def test_a_fault_of_the_program_is_not_taken_for_an_answer(scan: Callable[..., Flow]) -> None:
    flow = scan()
    next(flow)
    with pytest.raises(KeyError):
        flow.throw(KeyError("x"))


# The content of one answer


def described(**changes: object) -> dict[str, Any]:
    """An answer with one repository, `app`, something of which is not as documented. `...` leaves a field out."""
    whole: dict[str, object] = {
        "repositoryName": "app",
        "repositoryArn": arn("app"),
        "createdAt": 1_700_000_000.0,
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "dev-*"}],
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "key"},
    }
    changed = {key: value for key, value in (whole | changes).items() if value is not ...}
    answer: dict[str, Any] = json.loads(json.dumps({"repositories": [changed]}))
    return answer


SAID_BY_BOTO3 = datetime(2025, 2, 3, 10, tzinfo=UTC)
EMPTY: list[Any] = [[], {}]
ODD: list[Any] = [*EMPTY, 5, 1.5, True, ["x"], {"x": 1}, "\ud800", float("nan")]


@pytest.mark.parametrize(
    ("value", "created_at"),
    [
        ("2025-02-03T10:00:00Z", SAID_BY_BOTO3),
        ("1738576800", SAID_BY_BOTO3),
        (1_738_576_800, SAID_BY_BOTO3),
        (None, None),
        (..., None),
    ],
)
def test_a_time_of_creation_is_read_as_boto3_reads_it(
    scan: Callable[..., Flow], value: object, created_at: datetime | None
) -> None:
    _, found = drive(scan(), described(createdAt=value))
    assert (found.outcome, found.error_code) == (Outcome.COLLECTED, None)
    assert [each.created_at for each in found.repositories] == [created_at]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        *((described(createdAt=value), "createdAt of app: ") for value in (*EMPTY, "soon", float("nan"), 1e300)),
        *((described(repositoryName=value), "for a repositoryName") for value in (..., None, "", "x" * 257, *ODD)),
        *((described(repositoryArn=value), "for a repositoryArn") for value in (..., None, "", *ODD)),
        # Another account's, another region's, another repository's, another service's, and one with something before.
        *(
            (described(repositoryArn=value), "for a repositoryArn")
            for value in (
                arn("app").replace(ACCOUNT, "222222222222"),
                arn("app").replace(REGION, "us-east-1"),
                arn("app2"),
                arn("team/app"),
                arn("app").replace(":ecr:", ":ecs:"),
                f"arn:aws:x:{arn('app')}",
            )
        ),
        *(({"repositories": [value]}, "for a repository") for value in (None, "app", 5, ["app"])),
        *(({"repositories": value}, "for repositories") for value in ("", "app", 0, True)),
        ({"repositories": {}}, "for repositories"),
        *((page("a", nextToken=value), "the nextToken") for value in (*EMPTY, 5, 0, ["1"], True)),
    ],
    ids=lambda value: quoted(value)[-60:],
)
def test_a_required_value_costs_its_target_and_is_reported(scan: Callable[..., Flow], answer: Any, reason: str) -> None:
    _, found = drive(scan(), answer)
    assert (found.outcome, found.error_code) == (Outcome.FAILED, "ResponseParserError")
    assert found.repositories == []
    assert reason in message_of(found)
    assert len(message_of(found)) < 600
    message_of(found).encode()


def value_of(repository: Repository, field: str) -> object:
    return {
        "uri": repository.uri,
        "filters": [each["filter"] for each in repository.exclusion_filters],
        "scan_on_push": repository.scan_on_push,
        "encryption_type": repository.encryption_type,
        "kms_key": repository.kms_key,
    }[field]


@pytest.mark.parametrize(
    ("field", "changes", "read"),
    [
        *(("uri", {"repositoryUri": value}, None) for value in ODD),
        *(("scan_on_push", {"imageScanningConfiguration": value}, None) for value in ("true", 5, ["x"])),
        *(
            ("scan_on_push", {"imageScanningConfiguration": {"scanOnPush": value}}, None)
            for value in (*EMPTY, "yes", 1, "\ud800")
        ),
        *(("encryption_type", {"encryptionConfiguration": value}, None) for value in ("KMS", 5, ["x"])),
        *(("encryption_type", {"encryptionConfiguration": {"encryptionType": value}}, None) for value in ODD),
        *(("kms_key", {"encryptionConfiguration": {"kmsKey": value}}, None) for value in ODD),
        *(("filters", {"imageTagMutabilityExclusionFilters": value}, []) for value in ("*", 5, {"filter": "*"})),
        *(
            ("filters", {"imageTagMutabilityExclusionFilters": [{"filter": "a"}, value, {"filter": "b"}]}, ["a", "b"])
            for value in (None, "*", {}, {"filterType": "WILDCARD"}, *({"filter": value} for value in (None, *ODD)))
        ),
    ],
    ids=lambda value: quoted(value)[-60:],
)
def test_an_optional_value_costs_only_itself_and_is_reported(
    scan: Callable[..., Flow], field: str, changes: dict[str, Any], read: Any
) -> None:
    _, found = drive(scan(), described(**changes))
    assert found.outcome is Outcome.COLLECTED
    [repository] = found.repositories
    assert value_of(repository, field) == read
    assert found.error_code == "Repositories.UnreadableValue"
    assert message_of(found).startswith("1 value of AWS's response could not be read: ")
    assert "of 'app'" in message_of(found)


@pytest.mark.parametrize(
    ("field", "changes", "read"),
    [
        ("scan_on_push", {"imageScanningConfiguration": {"scanOnPush": "true"}}, True),
        ("scan_on_push", {"imageScanningConfiguration": {"scanOnPush": "false"}}, False),
        ("scan_on_push", {"imageScanningConfiguration": {}}, None),
        ("scan_on_push", {"imageScanningConfiguration": None}, None),
        ("encryption_type", {"encryptionConfiguration": None}, None),
        ("filters", {"imageTagMutabilityExclusionFilters": None}, []),
    ],
)
def test_absent_or_plain_values_are_not_reported(
    scan: Callable[..., Flow], field: str, changes: dict[str, Any], read: bool | list[Any] | None
) -> None:
    _, found = drive(scan(), described(**changes))
    assert [value_of(each, field) for each in found.repositories] == [read]
    assert (found.outcome, found.error_code, found.error_message) == (Outcome.COLLECTED, None, None)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        *((value, quoted(value)) for value in (5, True, ["MUTABLE"], {"value": "MUTABLE"})),
        ("MUTABLE\ud800", "MUTABLE\ufffd"),
        ("M" * 1_000_000, "M" * 63 + "…"),
        (None, None),
        (..., None),
    ],
    ids=lambda value: quoted(value)[-40:],
)
def test_a_mutability_that_is_not_text_is_a_value_that_nobody_knows(
    scan: Callable[..., Flow], value: Any, read: Any
) -> None:
    """For the policy, which reports it as UNDETERMINED: the repository is seen."""
    _, found = drive(scan(), described(imageTagMutability=value))
    assert found.outcome is Outcome.COLLECTED
    assert [each.image_tag_mutability for each in found.repositories] == [read]


def test_a_repository_on_two_pages_is_one_as_the_later_page_has_it(scan: Callable[..., Flow]) -> None:
    """A listing is not a snapshot: a repository created meanwhile shifts all that follow to the next page."""
    first, again, other = (
        described(imageTagMutability=value, repositoryName=name, repositoryArn=arn(name))["repositories"][0]
        for value, name in (("MUTABLE", "app"), ("IMMUTABLE", "app"), ("MUTABLE", "web"))
    )
    _, found = drive(
        scan(),
        {"repositories": [first, other], "nextToken": "1"},
        {"repositories": [again]},
    )
    assert [(each.name, each.image_tag_mutability) for each in found.repositories] == [
        ("app", "IMMUTABLE"),
        ("web", "MUTABLE"),
    ]
    assert (found.outcome, found.error_code) == (Outcome.COLLECTED, None)


def test_tokens_that_go_round_end_in_a_fault(scan: Callable[..., Flow]) -> None:
    _, found = drive(scan(), page("a", nextToken="1"), page("b", nextToken="2"), page("c", nextToken="1"))
    assert (found.outcome, found.error_code) == (Outcome.FAILED, "PaginationError")
