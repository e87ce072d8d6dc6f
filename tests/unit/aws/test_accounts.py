"""Entering an account: the role is assumed once, its credentials renewed in time, and opt-in regions asked for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import EllipsisType, SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.parsers import ResponseParserError

from ecr_audit.aws import accounts
from ecr_audit.aws.access import AwsAccess
from ecr_audit.aws.accounts import ASSUME_ROLE_PACE, Entry, HubIdentity, MemberIdentity, enter_account
from ecr_audit.aws.dispatcher import Call, Flow, Identity
from ecr_audit.aws.session import Hub

from .conftest import FakeClients, MakeError

Member = Callable[..., MemberIdentity]

START = datetime(2026, 3, 1, 2, tzinfo=UTC)
MEMBER = "222222222222"


class Clock:
    """Stands for `datetime` in accounts.py."""

    def __init__(self) -> None:
        self.minutes = 0.0

    def now(self, zone: object) -> datetime:
        return START + timedelta(minutes=self.minutes)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(accounts, "datetime", fake)
    return fake


@pytest.fixture
def hub() -> Hub:
    access = AwsAccess(boto3.Session("hub-key", "secret", region_name="us-gov-west-1"))
    return Hub(access, "111111111111", "aws-us-gov", "us-gov-west-1")


@pytest.fixture
def member(hub: Hub, clients: FakeClients) -> Member:
    """The identity of a member; each AssumeRole gives numbered credentials for an hour."""
    numbers = iter(range(1, 100))
    clients.script = {"assume_role": lambda **_: answer(next(numbers))}

    def make(external_id: str | None = None) -> MemberIdentity:
        return MemberIdentity(hub, clients, MEMBER, "team/ecr-audit", external_id)

    return make


def answer(number: int = 1, expires: object = START + timedelta(hours=1)) -> dict[str, Any]:
    keys = {"AccessKeyId": f"member-{number}", "SecretAccessKey": "secret", "SessionToken": f"token-{number}"}
    return {"Credentials": {**keys, "Expiration": expires}}


def credentials_of(identity: Identity) -> ReadOnlyCredentials:
    return asyncio.run(identity.credentials())


def key_of(identity: Identity) -> str | None:
    return credentials_of(identity).access_key


def drive(flow: Flow, *answers: object) -> tuple[list[Call], Entry]:
    calls = []
    try:
        calls.append(next(flow))
        for each in answers:
            calls.append(flow.throw(each) if isinstance(each, Exception) else flow.send(each))
    except StopIteration as end:
        return [call for call in calls if isinstance(call, Call)], end.value
    raise AssertionError(f"still asks for {calls[-1]}")


def test_the_role_is_assumed_in_the_hubs_partition_and_region_for_an_hour(
    hub: Hub, member: Member, clock: Clock
) -> None:
    calls, entry = drive(enter_account(hub, member(), ask_regions=False), answer())
    (call,) = calls
    assert (call.service, call.region, call.method, call.pacer) == (
        "sts",
        "us-gov-west-1",
        "assume_role",
        ASSUME_ROLE_PACE,
    )
    assert call.parameters == {
        "RoleArn": "arn:aws-us-gov:iam::222222222222:role/team/ecr-audit",
        "RoleSessionName": "ecr-audit",
        "DurationSeconds": 3600,
    }
    assert key_of(call.identity) == "hub-key"
    assert key_of(entry.identity) == "member-1"
    assert (entry.enabled_regions, entry.error) == (None, None)


def test_the_external_id_is_given_when_there_is_one(hub: Hub, member: Member, clock: Clock) -> None:
    calls, _ = drive(enter_account(hub, member("s3cret"), ask_regions=False), answer())
    assert calls[0].parameters["ExternalId"] == "s3cret"


def test_the_hubs_own_account_is_entered_with_its_own_credentials(hub: Hub) -> None:
    calls, entry = drive(enter_account(hub, HubIdentity(hub), ask_regions=False))
    assert calls == []
    assert key_of(entry.identity) == "hub-key"


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling", "InternalFailure"])
def test_a_role_that_cannot_be_assumed_is_reported(hub: Hub, member: Member, aws_error: MakeError, code: str) -> None:
    error = aws_error(code)
    calls, entry = drive(enter_account(hub, member(), ask_regions=True), error)
    assert len(calls) == 1
    assert entry.error is error


def test_enabled_regions_are_asked_for_as_the_member(hub: Hub, member: Member, clock: Clock) -> None:
    identity = member()
    regions = {"Regions": [{"RegionName": "us-gov-east-1"}, {"RegionName": "us-gov-west-1"}]}
    calls, entry = drive(enter_account(hub, identity, ask_regions=True), answer(), regions)
    assert (calls[1].service, calls[1].method, calls[1].identity) == ("ec2", "describe_regions", identity)
    # Without AllRegions, which would name the disabled ones too.
    assert calls[1].parameters == {}
    assert entry.enabled_regions == frozenset({"us-gov-east-1", "us-gov-west-1"})


def test_an_account_that_denies_its_regions_is_still_entered(
    hub: Hub, member: Member, clock: Clock, aws_error: MakeError
) -> None:
    refused = aws_error("UnauthorizedOperation")
    _, entry = drive(enter_account(hub, member(), ask_regions=True), answer(), refused)
    assert (entry.enabled_regions, entry.error, entry.regions_error) == (None, None, refused)
    assert (entry.has_enabled("eu-west-1", opt_in=False), entry.has_enabled("me-south-1", opt_in=True)) == (True, None)


@pytest.mark.parametrize(
    ("regions", "enabled"),
    [
        ([{"RegionName": "me-south-1", "OptInStatus": "opted-in"}], True),
        ([{"RegionName": "eu-west-1"}, {"RegionName": "me-south-1", "OptInStatus": "not-opted-in"}], False),
        ([{"RegionName": "eu-west-1"}], False),
        # No account is without any region.
        ([], None),
    ],
)
def test_only_the_account_itself_can_report_a_region_disabled(
    hub: Hub, member: Member, clock: Clock, regions: list[dict[str, str]], enabled: bool | None
) -> None:
    _, entry = drive(enter_account(hub, member(), ask_regions=True), answer(), {"Regions": regions})
    assert entry.has_enabled("me-south-1", opt_in=True) is enabled


def test_credentials_are_kept_for_nine_tenths_of_their_time(
    hub: Hub, member: Member, clients: FakeClients, clock: Clock
) -> None:
    identity = member()
    drive(enter_account(hub, identity, ask_regions=False), answer())
    clock.minutes = 53.9
    assert key_of(identity) == "member-1"
    assert clients.made == []
    clients.script = {"assume_role": lambda **_: answer(2, START + timedelta(hours=2))}
    clock.minutes = 54
    assert key_of(identity) == "member-2"
    assert clients.made == [("assume_role", identity.request, "hub-key")]


def test_expired_credentials_are_renewed_once_however_many_meet_it(
    member: Member, clients: FakeClients, clock: Clock
) -> None:
    identity = member()

    async def renewed() -> dict[str, Any]:
        await asyncio.sleep(0)  # all others come while this call is on its way
        return answer(2)

    async def main() -> list[ReadOnlyCredentials]:
        used = await identity.credentials()
        clients.script = {"assume_role": lambda **_: renewed()}
        identity.expire(used)
        return await asyncio.gather(*(identity.credentials() for _ in range(16)))

    assert [each.access_key for each in asyncio.run(main())] == ["member-2"] * 16
    assert len(clients.made) == 2


def test_a_late_report_does_not_expire_fresh_credentials(member: Member, clock: Clock) -> None:
    identity = member()
    old = credentials_of(identity)
    identity.expire(old)
    fresh = credentials_of(identity)
    identity.expire(old)
    assert credentials_of(identity) is fresh


def test_a_renewal_that_is_refused_is_tried_again_at_the_next_call(
    member: Member, clients: FakeClients, clock: Clock, aws_error: MakeError
) -> None:
    identity = member()
    identity.expire(credentials_of(identity))
    works, clients.script = clients.script, {"assume_role": lambda **_: aws_error("Throttling")}
    with pytest.raises(Exception, match="Throttling"):
        credentials_of(identity)
    clients.script = works
    assert key_of(identity) == "member-2"


@pytest.mark.parametrize(("token", "valid"), [(None, True), ("", True), ("of-some-endpoint", False)])
def test_the_hubs_credentials_show_regions_only_without_a_token(token: str | None, valid: bool) -> None:
    found = SimpleNamespace(get_frozen_credentials=lambda: SimpleNamespace(token=token))
    session: Any = SimpleNamespace(get_credentials=lambda: found)
    identity = HubIdentity(Hub(AwsAccess(session), "111111111111", "aws", "us-east-1"))
    entry = Entry(identity, None)
    assert not entry.may_tell("me-south-1", opt_in=True)
    credentials_of(identity)
    assert entry.may_tell("me-south-1", opt_in=True) is valid
    assert not entry.may_tell("eu-west-1", opt_in=False)
    assert not Entry(identity, frozenset({"me-south-1"})).may_tell("me-south-1", opt_in=True)


def test_the_hubs_credentials_are_looked_up_at_every_use() -> None:
    keys = iter(["first", "renewed"])

    def frozen() -> SimpleNamespace:
        return SimpleNamespace(access_key=next(keys), token=None)

    session: Any = SimpleNamespace(get_credentials=lambda: SimpleNamespace(get_frozen_credentials=frozen))
    identity = HubIdentity(Hub(AwsAccess(session), "111111111111", "aws", "us-east-1"))
    used = credentials_of(identity)
    identity.expire(used)
    assert (used.access_key, key_of(identity)) == ("first", "renewed")


@pytest.mark.parametrize(
    "expiration", [..., None, START - timedelta(hours=1), START, START + timedelta(days=9)], ids=str
)
def test_credentials_without_an_expiration_in_time_count_as_given_for_the_time_that_was_asked_for(
    hub: Hub, member: Member, clients: FakeClients, clock: Clock, expiration: EllipsisType | datetime | None
) -> None:
    identity = member()
    given = answer(expires=expiration)
    if expiration is ...:
        del given["Credentials"]["Expiration"]
    _, entry = drive(enter_account(hub, identity, ask_regions=False), given)
    assert entry.error is None
    clock.minutes = 53.9
    assert key_of(identity) == "member-1"
    assert clients.made == []
    clock.minutes = 54.1
    assert key_of(identity)
    assert [method for method, *_ in clients.made] == ["assume_role"]


@pytest.mark.parametrize("missing", ["AccessKeyId", "SecretAccessKey", "SessionToken", "all"])
def test_an_answer_without_credentials_is_the_accounts_fault_and_reported(
    hub: Hub, member: Member, clock: Clock, missing: str
) -> None:
    given = answer()["Credentials"]
    given = {} if missing == "all" else given | {missing: ""}
    _, entry = drive(enter_account(hub, member(), ask_regions=True), {"Credentials": given})
    assert (type(entry.error), str(entry.error)) == (
        ResponseParserError,
        "assume_role returned no key, secret or session token",
    )


def test_a_renewal_that_is_answered_without_credentials_is_an_answer_that_cannot_be_read(
    member: Member, clients: FakeClients, clock: Clock
) -> None:
    clients.script = {"assume_role": lambda **_: {}}
    with pytest.raises(ResponseParserError):
        credentials_of(member())


@pytest.mark.parametrize("regions", [[], [{}], [{"RegionName": ""}, {"RegionName": "us-gov-west-1"}]])
def test_regions_without_a_name_disable_none(
    hub: Hub, member: Member, clock: Clock, regions: list[dict[str, str]]
) -> None:
    """A region that is left out of the list leaves coverage; one that has no name may be any of them."""
    _, entry = drive(enter_account(hub, member(), ask_regions=True), answer(), {"Regions": regions})
    assert (entry.enabled_regions, entry.error) == (None, None)


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        ("scheduled__2026-11-23T02:00:00+00:00", "ecr-audit@scheduled__2026-11-23T02.00.00+00.00"),
        ("doctor", "ecr-audit@doctor"),
        ("nächtlicher Lauf/1", "ecr-audit@n.chtlicher.Lauf.1"),
        ("x" * 250, "ecr-audit@" + "x" * 54),
    ],
)
def test_a_session_is_named_after_its_run_in_valid_characters(run_id: str, name: str) -> None:
    assert accounts.session_name(run_id) == name
    shape = boto3.client("sts", region_name="us-east-1").meta.service_model.operation_model("AssumeRole").input_shape
    limits = shape.members["RoleSessionName"].metadata
    assert limits["min"] <= len(name) <= limits["max"]
    assert re.fullmatch(limits["pattern"], name, flags=re.ASCII)


def test_sts_is_asked_by_that_name(hub: Hub) -> None:
    request = accounts.assume_role_request(replace(hub, session_name="ecr-audit@doctor"), MEMBER, "ecr-audit", None)
    assert request["RoleSessionName"] == "ecr-audit@doctor"
