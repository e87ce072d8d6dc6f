"""Our emulator beside moto, which others wrote: the same call parses to the same members, types and error codes.

The world of each is the same: one account, one unit, one repository. What only one of the two tells is listed with its
reason; anything else that differs is a fault of ours, or news about moto.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from demo.emulated_aws.server import EmulatedAws
from demo.emulated_aws.world import Account, OrganizationalUnit, Region, Repository, World, stored

# The account that moto takes every caller for.
HUB = "123456789012"
KEYS: dict[str, Any] = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "x"}
FILTERS = [{"filterType": "WILDCARD", "filter": "latest"}]
REPOSITORY = {"repositoryName": "app/api", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}
ARN = f"arn:aws:ecr:us-east-1:{HUB}:repository/app/api"

Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def ours(boto_session: boto3.Session) -> Iterator[Clients]:
    world = World(
        accounts={HUB: Account(HUB, "master", "r-demo")},
        regions=[Region("us-east-1"), Region("ap-east-1", opt_in=True)],
        hub_account_id=HUB,
        management_account_id=HUB,
        units={"ou-demo-00000001": OrganizationalUnit("ou-demo-00000001", "Workloads", "r-demo")},
        repository_source=stored(
            {(HUB, "us-east-1"): [Repository("app/api", 1.5, "IMMUTABLE_WITH_EXCLUSION", ("latest",), tags={"a": "b"})]}
        ),
        has_status=True,
    )
    with EmulatedAws(world) as aws, _clients(boto_session, aws.endpoint_url) as client:
        yield client


@pytest.fixture(scope="module")
def moto(boto_session: boto3.Session) -> Iterator[Clients]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # moto has one AWS a process: that of tests before.
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()
    with _clients(boto_session, f"http://{host}:{port}") as client:
        client("organizations").create_organization(FeatureSet="ALL")
        root = client("organizations").list_roots()["Roots"][0]["Id"]
        client("organizations").create_organizational_unit(ParentId=root, Name="Workloads")
        tags = [{"Key": "a", "Value": "b"}]
        client("ecr").create_repository(**REPOSITORY, imageTagMutabilityExclusionFilters=FILTERS, tags=tags)
        yield client
    server.stop()


@contextmanager
def _clients(session: boto3.Session, url: str) -> Iterator[Clients]:
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            made[service] = session.client(service, "us-east-1", endpoint_url=url, **KEYS)
        return made[service]

    yield client
    for each in made.values():
        each.close()


def members(value: Any, path: str = "") -> set[tuple[str, str]]:
    """Flatten an answer to its members and their types: {("Accounts[].Id", "str"), …}."""
    if isinstance(value, dict):
        return {pair for key, each in value.items() for pair in members(each, f"{path}.{key}".lstrip("."))}
    if isinstance(value, list):
        return {pair for each in value for pair in members(each, f"{path}[]")} or {(path, "empty list")}
    return {(path, type(value).__name__)}


def _root(client: Clients) -> str:
    return str(client("organizations").list_roots()["Roots"][0]["Id"])


def _unit(client: Clients) -> str:
    units = client("organizations").list_organizational_units_for_parent(ParentId=_root(client))
    return str(units["OrganizationalUnits"][0]["Id"])


CALLS: dict[str, Callable[[Clients], Any]] = {
    "GetCallerIdentity": lambda c: c("sts").get_caller_identity(),
    "DescribeRegions": lambda c: c("ec2").describe_regions(AllRegions=True),
    "DescribeOrganization": lambda c: c("organizations").describe_organization(),
    "ListAccounts": lambda c: c("organizations").list_accounts(),
    "ListRoots": lambda c: c("organizations").list_roots(),
    "ListOrganizationalUnitsForParent": lambda c: c("organizations").list_organizational_units_for_parent(
        ParentId=_root(c)
    ),
    "ListAccountsForParent": lambda c: c("organizations").list_accounts_for_parent(ParentId=_root(c)),
    "ListParents": lambda c: c("organizations").list_parents(ChildId=HUB),
    "DescribeOrganizationalUnit": lambda c: c("organizations").describe_organizational_unit(
        OrganizationalUnitId=_unit(c)
    ),
    "DescribeRepositories": lambda c: c("ecr").describe_repositories(),
    "DescribeRepositories by name": lambda c: c("ecr").describe_repositories(repositoryNames=["app/api"]),
    "ListTagsForResource": lambda c: c("ecr").list_tags_for_resource(resourceArn=ARN),
    "PutImageTagMutability": lambda c: c("ecr").put_image_tag_mutability(
        repositoryName="app/api", imageTagMutability="IMMUTABLE"
    ),
}
# Members of the API's model that moto does not know.
MOTO_LACKS = {
    "ListAccounts": {("Accounts[].Paths[]", "str")},
    "ListAccountsForParent": {("Accounts[].Paths[]", "str")},
    "ListOrganizationalUnitsForParent": {("OrganizationalUnits[].Path", "str")},
    "DescribeOrganizationalUnit": {("OrganizationalUnit.Path", "str")},
    # Our organization has service control policies enabled, a new one of moto has none.
    "ListRoots": {("Roots[].PolicyTypes[].Type", "str"), ("Roots[].PolicyTypes[].Status", "str")},
}
# No more than an empty list in moto's answer, see above.
WE_LACK = {"ListRoots": {("Roots[].PolicyTypes", "empty list")}}


@pytest.mark.parametrize("name", CALLS)
def test_an_answer_has_the_same_members_and_types(ours: Clients, moto: Clients, name: str) -> None:
    of_ours, of_moto = members(CALLS[name](ours)), members(CALLS[name](moto))
    bodies = [{pair for pair in each if not pair[0].startswith("ResponseMetadata")} for each in (of_ours, of_moto)]
    assert bodies[0] - bodies[1] == MOTO_LACKS.get(name, set())
    assert bodies[1] - bodies[0] == WE_LACK.get(name, set())


ERRORS: dict[str, Callable[[Clients], Any]] = {
    "no such repository": lambda c: c("ecr").describe_repositories(repositoryNames=["none"]),
    "no such repository to change": lambda c: c("ecr").put_image_tag_mutability(
        repositoryName="none", imageTagMutability="MUTABLE"
    ),
    "no such mutability": lambda c: c("ecr").put_image_tag_mutability(
        repositoryName="app/api", imageTagMutability="FROZEN"
    ),
    "no such type of filter": lambda c: c("ecr").put_image_tag_mutability(
        **REPOSITORY, imageTagMutabilityExclusionFilters=[{**FILTERS[0], "filterType": "REGEX"}]
    ),
    "no such parent": lambda c: c("organizations").list_accounts_for_parent(ParentId="ou-demo-99999999"),
    "no such unit": lambda c: c("organizations").describe_organizational_unit(OrganizationalUnitId="ou-demo-99999999"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_refusal_has_the_same_code_and_status(ours: Clients, moto: Clients, name: str) -> None:
    refusals = []
    for client in (ours, moto):
        with pytest.raises(ClientError) as caught:
            ERRORS[name](client)
        response = caught.value.response
        refusals.append((response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]))
    assert refusals[0] == refusals[1]


def test_a_session_has_the_same_members_and_types(moto: Clients, ours: Clients) -> None:
    # moto adds PackedPolicySize, which AWS returns only for a session with a policy.
    def assumed(client: Clients) -> set[tuple[str, str]]:
        answer = client("sts").assume_role(RoleArn=f"arn:aws:iam::{HUB}:role/ecr-audit", RoleSessionName="test")
        return members({key: answer[key] for key in ("Credentials", "AssumedRoleUser")})

    assert assumed(ours) == assumed(moto)
