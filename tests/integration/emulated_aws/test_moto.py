"""Our emulator beside moto, which others wrote: the same call parses to the same members, types and error codes.

The world of each is the same: one account, one unit, two repositories, one key. What only one of the two has is
listed with its reason; anything else that differs is a fault of ours, or news about moto.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from demo.emulated_aws.server import EmulatedAws
from demo.emulated_aws.world import (
    Account,
    Image,
    OrganizationalUnit,
    Region,
    Registry,
    Repository,
    ScanningRule,
    World,
    stored,
)

# The account that moto takes every caller for.
HUB = "123456789012"
KEYS: dict[str, Any] = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "x"}
FILTERS = [{"filterType": "WILDCARD", "filter": "latest"}]
REPOSITORY = {"repositoryName": "app/api", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}
ARN = f"arn:aws:ecr:us-east-1:{HUB}:repository/app/api"
# Without a lifecycle policy and without permissions of its own.
BARE = "app/bare"
SCAN_FILTER = {"filter": "app/*", "filterType": "WILDCARD"}
LIFECYCLE = (
    '{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan",'
    ' "countNumber": 5}, "action": {"type": "expire"}}]}'
)
POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Sid": "Pull", "Effect": "Allow", "Principal": "*",'
    ' "Action": "ecr:BatchGetImage"}]}'
)
# The digest that moto gives every image: that of nothing.
DIGEST = f"sha256:{hashlib.sha256().hexdigest()}"
MANIFESTS = [
    json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"size": size, "digest": f"sha256:{size:064}"},
            "layers": [],
        }
    )
    for size in (1, 2)
]
NO_KEY = f"arn:aws:kms:us-east-1:{HUB}:key/0ea2b5e2-7a09-4f5e-9a4f-3f1d7d1f5a01"

FINDING: dict[str, Any] = {
    "SchemaVersion": "2018-10-08",
    "Id": "1",
    "ProductArn": f"arn:aws:securityhub:us-east-1:{HUB}:product/{HUB}/default",
    "GeneratorId": "policy",
    "AwsAccountId": HUB,
    "CreatedAt": "2026-11-01T00:00:00Z",
    "UpdatedAt": "2026-11-01T00:00:00Z",
    "Severity": {"Label": "HIGH"},
    "Title": "x",
    "Description": "x",
    "Resources": [{"Type": "Other", "Id": "x"}],
}

Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def ours(boto_session: boto3.Session, key: str) -> Iterator[Clients]:
    world = World(
        accounts={HUB: Account(HUB, "master", "r-demo")},
        regions=[Region("us-east-1"), Region("ap-east-1", opt_in=True)],
        hub_account_id=HUB,
        management_account_id=HUB,
        units={"ou-demo-00000001": OrganizationalUnit("ou-demo-00000001", "Workloads", "r-demo")},
        repository_source=stored(
            {
                (HUB, "us-east-1"): [
                    Repository(
                        "app/api",
                        1.5,
                        "IMMUTABLE_WITH_EXCLUSION",
                        ("latest",),
                        tags={"a": "b"},
                        lifecycle_policy=LIFECYCLE,
                        policy=POLICY,
                        images=(Image(DIGEST, ("latest", "1.0.0")),),
                    ),
                    Repository(BARE, images=(Image(DIGEST, ("latest",)), Image(DIGEST))),
                ]
            }
        ),
        registry_source=lambda *_: Registry((ScanningRule("SCAN_ON_PUSH", ("app/*",)),)),
        key_source={key: "CUSTOMER"}.get,
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
        ecr = client("ecr")
        ecr.create_repository(**REPOSITORY, imageTagMutabilityExclusionFilters=FILTERS, tags=tags)
        ecr.create_repository(repositoryName=BARE)
        rule = {"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": [SCAN_FILTER]}
        ecr.put_registry_scanning_configuration(scanType="BASIC", rules=[rule])
        ecr.put_lifecycle_policy(repositoryName="app/api", lifecyclePolicyText=LIFECYCLE)
        ecr.set_repository_policy(repositoryName="app/api", policyText=POLICY)
        for tag in ("latest", "1.0.0"):
            ecr.put_image(repositoryName="app/api", imageManifest=MANIFESTS[0], imageTag=tag)
        ecr.put_image(repositoryName=BARE, imageManifest=MANIFESTS[0], imageTag="latest")
        ecr.put_image(repositoryName=BARE, imageManifest=MANIFESTS[1])
        # It returns nothing for what it was not given.
        client("kms").create_key(KeyUsage="ENCRYPT_DECRYPT", MultiRegion=False)
        yield client
    server.stop()


@pytest.fixture(scope="module")
def key(moto: Clients) -> str:
    """The ARN of moto's key, whose id moto chooses."""
    return str(moto("kms").list_keys()["Keys"][0]["KeyArn"])


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
    "BatchGetRepositoryScanningConfiguration": lambda c: c("ecr").batch_get_repository_scanning_configuration(
        repositoryNames=["app/api", "none"]
    ),
    "ListImages": lambda c: c("ecr").list_images(repositoryName="app/api"),
    "ListImages, tagged": lambda c: c("ecr").list_images(repositoryName="app/api", filter={"tagStatus": "TAGGED"}),
    "GetLifecyclePolicy": lambda c: c("ecr").get_lifecycle_policy(repositoryName="app/api"),
    "GetRepositoryPolicy": lambda c: c("ecr").get_repository_policy(repositoryName="app/api"),
    "PutImageTagMutability": lambda c: c("ecr").put_image_tag_mutability(
        repositoryName="app/api", imageTagMutability="IMMUTABLE"
    ),
    "BatchImportFindings": lambda c: c("securityhub").batch_import_findings(Findings=[FINDING]),
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
    "no such repository to look for a lifecycle policy in": lambda c: c("ecr").get_lifecycle_policy(
        repositoryName="none"
    ),
    "no such repository to list": lambda c: c("ecr").list_images(repositoryName="none"),
    "no lifecycle policy": lambda c: c("ecr").get_lifecycle_policy(repositoryName=BARE),
    "no such repository to look for a policy in": lambda c: c("ecr").get_repository_policy(repositoryName="none"),
    "no repository policy": lambda c: c("ecr").get_repository_policy(repositoryName=BARE),
    "no such key": lambda c: c("kms").describe_key(KeyId=NO_KEY),
    "no key's id": lambda c: c("kms").describe_key(KeyId="none"),
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


def test_settings_of_a_repository_have_the_same_values(ours: Clients, moto: Clients) -> None:
    def read(client: Clients) -> list[Any]:
        ecr = client("ecr")
        found = ecr.batch_get_repository_scanning_configuration(repositoryNames=["app/api", "none", BARE])
        return [
            found["scanningConfigurations"],
            found["failures"],
            ecr.get_lifecycle_policy(repositoryName="app/api")["lifecyclePolicyText"],
            ecr.get_repository_policy(repositoryName="app/api")["policyText"],
        ]

    assert read(ours) == read(moto)


@pytest.mark.parametrize("status", ["TAGGED", "UNTAGGED", "ANY"])
def test_images_are_listed_by_their_tags(ours: Clients, moto: Clients, status: str) -> None:
    listed = [
        client("ecr").list_images(repositoryName=BARE, filter={"tagStatus": status})["imageIds"]
        for client in (ours, moto)
    ]
    assert sorted(listed[0], key=str) == sorted(listed[1], key=str)


def test_a_key_has_the_same_members_types_and_manager(ours: Clients, moto: Clients, key: str) -> None:
    described = [client("kms").describe_key(KeyId=key)["KeyMetadata"] for client in (ours, moto)]
    assert members(described[0]) == members(described[1])
    assert described[0]["KeyManager"] == described[1]["KeyManager"] == "CUSTOMER"


def test_a_session_has_the_same_members_and_types(moto: Clients, ours: Clients) -> None:
    # moto adds PackedPolicySize, which AWS returns only for a session with a policy.
    def assumed(client: Clients) -> set[tuple[str, str]]:
        answer = client("sts").assume_role(RoleArn=f"arn:aws:iam::{HUB}:role/ecr-audit", RoleSessionName="test")
        return members({key: answer[key] for key in ("Credentials", "AssumedRoleUser")})

    assert assumed(ours) == assumed(moto)
