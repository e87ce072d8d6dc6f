"""Each fault that can be injected into the emulated AWS, as a client meets it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from demo.emulated_aws.faults import (
    Delay,
    EmptyPage,
    Fault,
    Faults,
    Hang,
    RateLimit,
    Refuse,
    Reset,
    ServerError,
    Throttle,
    TruncatedBody,
)
from demo.emulated_aws.server import EmulatedAws
from support.clients import ErrorOf, MakeClient

HUB, OPEN, FENCED = "1" * 12, "2" * 12, "5" * 12
CALLS = {
    "sts": "get_caller_identity",
    "ec2": "describe_regions",
    "ecr": "describe_repositories",
    "organizations": "list_accounts",
    "resourcegroupstaggingapi": "get_resources",
}


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("sts", "Throttling", 400),
        ("ec2", "RequestLimitExceeded", 503),
        ("ecr", "ThrottlingException", 400),
        ("organizations", "TooManyRequestsException", 400),
        ("resourcegroupstaggingapi", "ThrottledException", 400),
    ],
)
def test_each_service_throttles_in_its_own_words(
    aws: EmulatedAws, client: MakeClient, error_of: ErrorOf, service: str, code: str, status: int
) -> None:
    aws.faults = Faults([Fault(Throttle())])
    got, _, got_status = error_of(getattr(client(service), CALLS[service]))
    assert (got, got_status) == (code, status)


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("sts", "InternalFailure"),
        ("ec2", "InternalError"),
        ("ecr", "ServerException"),
        ("organizations", "ServiceException"),
        ("resourcegroupstaggingapi", "InternalServiceException"),
    ],
)
def test_each_service_fails_in_its_own_words(
    aws: EmulatedAws, client: MakeClient, error_of: ErrorOf, service: str, code: str
) -> None:
    aws.faults = Faults([Fault(ServerError(503))])
    got, _, got_status = error_of(getattr(client(service), CALLS[service]))
    assert (got, got_status) == (code, 503)


def test_a_burst_ends_after_its_number_of_calls_in_each_account_and_region(
    aws: EmulatedAws, client: MakeClient, error_of: ErrorOf
) -> None:
    aws.faults = Faults([Fault(ServerError(), operation="DescribeRepositories", times=2)])
    for region in ("us-east-1", "eu-west-1"):
        ecr = client("ecr", region)
        for _ in range(2):
            assert error_of(ecr.describe_repositories)[0] == "ServerException"
        assert ecr.describe_repositories()["repositories"] == []


@pytest.mark.parametrize("where", [{"account": FENCED}, {"region": "eu-west-1"}, {"service": "sts"}])
def test_a_fault_strikes_only_where_it_is_set(aws: EmulatedAws, client: MakeClient, where: dict[str, Any]) -> None:
    ecr = client("ecr", account=OPEN)
    aws.faults = Faults([Fault(Throttle(), **where)])
    assert len(ecr.describe_repositories()["repositories"]) == 5


def test_a_share_of_the_calls_and_the_same_share_with_the_same_seed() -> None:
    def struck(seed: int) -> list[bool]:
        faults = Faults([Fault(Throttle(), probability=0.3)], seed)
        return [any(faults.strike("ecr", "DescribeRepositories", OPEN, "us-east-1")) for _ in range(1000)]

    assert struck(1) == struck(1) != struck(2)
    assert 250 < sum(struck(1)) < 350


def test_a_rate_limit_counts_per_account_and_region(aws: EmulatedAws, client: MakeClient, error_of: ErrorOf) -> None:
    # So slow a rate that no token comes back during the test: the burst is all there is.
    limit = Fault(RateLimit(rate=1e-6, burst=3), service="ecr")
    here, there, other = client("ecr"), client("ecr", "eu-west-1"), client("ecr", account=OPEN)
    aws.faults = Faults([limit])
    for ecr in (here, there, other):
        for _ in range(3):
            assert "repositories" in ecr.describe_repositories(maxResults=1)
        assert error_of(ecr.describe_repositories)[0] == "ThrottlingException"


def test_a_rate_limit_refills(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("demo.emulated_aws.faults.time.monotonic", lambda: now)
    limit = RateLimit(rate=2, burst=2)
    assert [limit.admits(OPEN, "us-east-1") for _ in range(3)] == [True, True, False]
    now += 0.5
    assert [limit.admits(OPEN, "us-east-1") for _ in range(2)] == [True, False]
    now += 3600
    assert [limit.admits(OPEN, "us-east-1") for _ in range(3)] == [True, True, False]


def test_a_chosen_error(aws: EmulatedAws, client: MakeClient, error_of: ErrorOf) -> None:
    aws.faults = Faults([Fault(Refuse("AWSOrganizationsNotInUseException", "Not a member."), service="organizations")])
    assert error_of(client("organizations").describe_organization)[:2] == (
        "AWSOrganizationsNotInUseException",
        "Not a member.",
    )


def test_a_connection_is_reset_and_the_next_one_works(aws: EmulatedAws, client: MakeClient) -> None:
    aws.faults = Faults([Fault(Reset(), times=1)])
    ecr = client("ecr")
    with pytest.raises(ConnectionClosedError) as caught:
        ecr.describe_repositories()
    assert "Connection reset by peer" in str(caught.value.kwargs["error"])
    assert ecr.describe_repositories()["repositories"] == []


def test_a_call_that_hangs_holds_up_neither_others_nor_the_end(aws: EmulatedAws, client: MakeClient) -> None:
    aws.faults = Faults([Fault(Hang(), operation="DescribeRepositories")])
    ecr, sts = client("ecr", timeout=0.5), client("sts")
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(ecr.describe_repositories)
        assert sts.get_caller_identity()["Account"] == HUB
        with pytest.raises(ReadTimeoutError):
            hanging.result()


def test_a_delay_holds_up_only_the_call_that_it_strikes(
    aws: EmulatedAws, client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The delay ends when four calls are in it: four calls that had to wait for each other would never end.
    sleep, meeting = asyncio.sleep, asyncio.Barrier(4)

    async def meet(seconds: float) -> None:
        await (meeting.wait() if seconds == 7.5 else sleep(seconds))

    monkeypatch.setattr(asyncio, "sleep", meet)
    ecr = client("ecr")
    aws.faults = Faults([Fault(Delay(7.5))])
    with ThreadPoolExecutor(4) as pool:
        answers = [call.result() for call in [pool.submit(ecr.describe_repositories) for _ in range(4)]]
    assert [answer["repositories"] for answer in answers] == [[]] * 4
    assert aws.counters.max_in_flight == 4


def test_botocore_takes_a_truncated_json_body_for_an_answer_without_members(
    aws: EmulatedAws, client: MakeClient
) -> None:
    # The trap in this fault: nothing is raised, and who reads with .get() sees an account without repositories.
    ecr = client("ecr", account=OPEN)
    aws.faults = Faults([Fault(TruncatedBody())])
    assert ecr.describe_repositories().keys() == {"ResponseMetadata"}


def test_a_truncated_xml_body_cannot_be_parsed(aws: EmulatedAws, client: MakeClient) -> None:
    aws.faults = Faults([Fault(TruncatedBody())])
    with pytest.raises(ResponseParserError):
        client("ec2").describe_regions()


@pytest.mark.parametrize(
    ("service", "operation", "items"),
    [
        ("organizations", "list_accounts", "Accounts"),
        ("ecr", "describe_repositories", "repositories"),
        ("resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList"),
    ],
)
def test_an_empty_page_goes_on_where_it_stood(
    aws: EmulatedAws, client: MakeClient, service: str, operation: str, items: str
) -> None:
    account = "" if service == "organizations" else OPEN
    made = client(service, "eu-west-1", account=account)

    def listing() -> list[list[object]]:
        return [page[items] for page in made.get_paginator(operation).paginate()]

    whole = listing()
    aws.faults = Faults([Fault(EmptyPage(), times=1)])
    broken = listing()
    assert broken[0] == []
    assert broken[1:] == whole


def test_an_empty_page_strikes_listings_only(aws: EmulatedAws, client: MakeClient) -> None:
    aws.faults = Faults([Fault(EmptyPage())])
    assert client("sts").get_caller_identity()["Account"] == HUB


def test_counters(aws: EmulatedAws, client: MakeClient) -> None:
    ecr = client("ecr", "eu-west-1", account=OPEN)
    list(ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 1000}))
    assert aws.counters.operations == {"sts:AssumeRole": 1, "ecr:DescribeRepositories": 3}
    assert aws.counters.targets == {(OPEN, "eu-west-1"): 3}
    assert aws.counters.connections == 2
