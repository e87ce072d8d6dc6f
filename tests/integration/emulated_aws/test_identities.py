"""Who may call the emulated AWS, and what it answers to those who may not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from demo.emulated_aws.faults import Expire, Fault, Faults
from demo.emulated_aws.server import EmulatedAws
from demo.emulated_aws.world import World
from support.clients import ErrorOf, MakeClient

HUB, OPEN, UNTRUSTING, SUSPENDED = (digit * 12 for digit in "1234")
ROLE = "arn:aws:iam::{}:role/ecr-audit"


@pytest.mark.parametrize(
    ("partition", "region"), [("aws", "us-east-1"), ("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-north-1")]
)
def test_the_callers_arn_is_in_the_partition(
    world: World, partition: str, region: str, request: pytest.FixtureRequest
) -> None:
    # In a region that can be disabled, STS knows only sessions of accounts that enabled it.
    world.partition, world.opt_in_regions = partition, {region: False}
    client = request.getfixturevalue("client")
    hub = client("sts", region).get_caller_identity()
    assert (hub["Account"], hub["Arn"]) == (HUB, f"arn:{partition}:iam::{HUB}:user/ecr-audit-hub")
    member = client("sts", region, account=OPEN).get_caller_identity()
    assert (member["Account"], member["Arn"]) == (OPEN, f"arn:{partition}:sts::{OPEN}:assumed-role/ecr-audit/test")


def test_a_session_lasts_as_long_as_asked(client: MakeClient) -> None:
    answer = client("sts").assume_role(RoleArn=ROLE.format(OPEN), RoleSessionName="night", DurationSeconds=900)
    left = answer["Credentials"]["Expiration"] - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{OPEN}:assumed-role/ecr-audit/night"
    assert answer["Credentials"]["AccessKeyId"].startswith("ASIA")


@pytest.mark.parametrize(
    "role_arn",
    [
        ROLE.format(UNTRUSTING),
        ROLE.format(SUSPENDED),
        ROLE.format("9" * 12),
        ROLE.format(OPEN).replace("ecr-audit", "another-role"),
        ROLE.format(OPEN).replace("arn:aws:", "arn:aws-us-gov:"),
    ],
    ids=["does not trust us", "suspended", "no such account", "no such role", "another partition"],
)
def test_a_role_is_refused_the_same_way_whatever_the_reason(
    client: MakeClient, error_of: ErrorOf, role_arn: str
) -> None:
    assert error_of(client("sts").assume_role, RoleArn=role_arn, RoleSessionName="night") == (
        "AccessDenied",
        f"User: arn:aws:iam::{HUB}:user/ecr-audit-hub is not authorized to perform: "
        f"sts:AssumeRole on resource: {role_arn}",
        403,
    )


def test_the_external_id_must_be_the_right_one(client: MakeClient, error_of: ErrorOf, world: World) -> None:
    world.external_id = "secret-handshake"
    assume = client("sts").assume_role
    who = {"RoleArn": ROLE.format(OPEN), "RoleSessionName": "night"}
    assert assume(**who, ExternalId="secret-handshake")["Credentials"]
    assert error_of(assume, **who)[0] == "AccessDenied"
    assert error_of(assume, **who, ExternalId="another")[0] == "AccessDenied"


def test_a_member_cannot_assume_another_members_role(client: MakeClient, error_of: ErrorOf) -> None:
    sts = client("sts", account=OPEN)
    assert error_of(sts.assume_role, RoleArn=ROLE.format("5" * 12), RoleSessionName="night")[0] == "AccessDenied"


@pytest.mark.parametrize(
    "arguments", [{"DurationSeconds": 7200}, {"RoleSessionName": "not a name"}, {"RoleArn": "arn:aws:iam::1:role/x"}]
)
def test_invalid_parameters_of_assume_role(client: MakeClient, error_of: ErrorOf, arguments: dict[str, Any]) -> None:
    call = {"RoleArn": ROLE.format(OPEN), "RoleSessionName": "night", **arguments}
    assert error_of(client("sts").assume_role, **call)[0] == "ValidationError"


# A call of each service, and the code with which the service refuses an unknown key and an expired session.
CALLS = {
    "sts": ("get_caller_identity", "InvalidClientTokenId", "ExpiredToken"),
    "ec2": ("describe_regions", "AuthFailure", "RequestExpired"),
    "ecr": ("describe_repositories", "UnrecognizedClientException", "ExpiredTokenException"),
    "organizations": ("describe_organization", "UnrecognizedClientException", "ExpiredTokenException"),
    "resourcegroupstaggingapi": ("get_resources", "UnrecognizedClientException", "ExpiredTokenException"),
}


@pytest.mark.parametrize("service", CALLS)
def test_keys_that_nobody_issued_are_refused_in_the_words_of_the_service(
    aws: EmulatedAws, boto_session: boto3.Session, error_of: ErrorOf, service: str
) -> None:
    made = boto_session.client(
        service, "us-east-1", endpoint_url=aws.endpoint_url, aws_access_key_id="AKIAUNKNOWN", aws_secret_access_key="x"
    )
    try:
        call, unknown, _ = CALLS[service]
        assert error_of(getattr(made, call))[0] == unknown
    finally:
        made.close()


def test_a_session_key_without_its_token_is_unknown(
    aws: EmulatedAws, boto_session: boto3.Session, client: MakeClient, error_of: ErrorOf
) -> None:
    issued = client("sts").assume_role(RoleArn=ROLE.format(OPEN), RoleSessionName="night")["Credentials"]
    made = boto_session.client(
        "ecr",
        "us-east-1",
        endpoint_url=aws.endpoint_url,
        aws_access_key_id=issued["AccessKeyId"],
        aws_secret_access_key=issued["SecretAccessKey"],
        aws_session_token="the token of somebody else",
    )
    try:
        assert error_of(made.describe_repositories)[0] == "UnrecognizedClientException"
    finally:
        made.close()


@pytest.mark.parametrize("service", CALLS)
def test_an_expired_session_is_an_error(aws: EmulatedAws, client: MakeClient, error_of: ErrorOf, service: str) -> None:
    made = client(service, account=OPEN)
    aws.faults = Faults([Fault(Expire(after=0))])
    call, _, expired = CALLS[service]
    assert error_of(getattr(made, call))[0] == expired


def test_the_hubs_own_keys_do_not_expire(aws: EmulatedAws, client: MakeClient) -> None:
    aws.faults = Faults([Fault(Expire(after=0))])
    assert client("sts").get_caller_identity()["Account"] == HUB
