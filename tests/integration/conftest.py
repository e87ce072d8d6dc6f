"""A small organization on the emulated AWS, and boto3 clients of whoever calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from demo.emulated_aws.identities import HUB_ACCESS_KEY_ID, HUB_SECRET_ACCESS_KEY
from demo.emulated_aws.server import EmulatedAws
from demo.emulated_aws.world import Account, OrganizationalUnit, Region, Repository, World, stored
from support.clients import ErrorOf, MakeClient
from support.processes import PATIENCE

HUB, OPEN, UNTRUSTING, SUSPENDED, FENCED = (digit * 12 for digit in "12345")


@pytest.fixture
def world() -> World:
    """Five accounts in three regions: the hub, one open, one without the role, one suspended, one behind an SCP."""
    accounts = [
        Account(HUB, "hub", "r-demo"),
        Account(OPEN, "open", "ou-demo-00000002", enabled_opt_in_regions=frozenset({"me-south-1"})),
        Account(UNTRUSTING, "untrusting", "ou-demo-00000002", assumable=False),
        Account(SUSPENDED, "suspended", "ou-demo-00000001", state="SUSPENDED"),
        Account(FENCED, "fenced", "ou-demo-00000001", denied_regions=frozenset({"eu-west-1"})),
    ]
    units = [
        OrganizationalUnit("ou-demo-00000001", "Workloads", "r-demo"),
        OrganizationalUnit("ou-demo-00000002", "Production", "ou-demo-00000001"),
    ]
    repositories = {
        (OPEN, "us-east-1"): [
            Repository("app/api", 1_700_000_000.5, "MUTABLE", scan_on_push=True, tags={"owner": "team-a"}),
            Repository("app/web", 1_700_000_001.0, "IMMUTABLE", tags={}),
            Repository("app/cli", 1_700_000_002.0, "IMMUTABLE_WITH_EXCLUSION", ("latest", "dev-*")),
            Repository("app/job", 1_700_000_003.0, "FROZEN", encryption_type="KMS", kms_key="alias/ecr"),
            Repository("app/old", 1_700_000_004.0, None),
        ],
        (OPEN, "eu-west-1"): [Repository(f"service-{n:04}", tags={"team": f"team-{n % 3}"}) for n in range(2_005)],
    }
    return World(
        accounts={account.id: account for account in accounts},
        regions=[Region("us-east-1"), Region("eu-west-1"), Region("me-south-1", opt_in=True)],
        units={unit.id: unit for unit in units},
        hub_account_id=HUB,
        management_account_id=HUB,
        repository_source=stored(repositories),
    )


@pytest.fixture
def aws(world: World) -> Iterator[EmulatedAws]:
    """The emulated AWS of that organization."""
    with EmulatedAws(world) as running:
        yield running


@pytest.fixture(scope="session")
def boto_session() -> boto3.Session:
    """One session for all tests, since it is the loading of the API models that takes the time."""
    return boto3.Session(aws_access_key_id=HUB_ACCESS_KEY_ID, aws_secret_access_key=HUB_SECRET_ACCESS_KEY)


@pytest.fixture
def client(aws: EmulatedAws, boto_session: boto3.Session) -> Iterator[MakeClient]:
    """Makes clients that never retry: `client("ecr", "eu-west-1", account=OPEN)`.

    With neither `account` nor `keys` (the credentials of an AssumeRole) a client is the hub's own. `timeout` is in
    seconds.
    """
    opened: list[Any] = []

    def make(
        service: str,
        region: str = "us-east-1",
        *,
        account: str = "",
        role: str = "ecr-audit",
        keys: Any = None,
        timeout: float = PATIENCE,
    ) -> Any:
        if account:
            arn = f"arn:{aws.world.partition}:iam::{account}:role/{role}"
            # Where the hub is at home: a region that is not enabled knows no caller.
            keys = make("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        names = {
            "AccessKeyId": "access_key_id",
            "SecretAccessKey": "secret_access_key",
            "SessionToken": "session_token",
        }
        issued = {f"aws_{name}": keys[key] for key, name in names.items()} if keys else {}
        config = Config(retries={"total_max_attempts": 1}, read_timeout=timeout)
        made = boto_session.client(service, region, endpoint_url=aws.endpoint_url, config=config, **issued)
        opened.append(made)
        return made

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def error_of() -> ErrorOf:
    """Calls and returns (code, message, HTTP status) of the ClientError that must come."""

    def call(function: Callable[..., Any], **arguments: Any) -> tuple[str, str, int]:
        with pytest.raises(ClientError) as caught:
            function(**arguments)
        response = caught.value.response
        return (
            response["Error"]["Code"],
            response["Error"]["Message"],
            response["ResponseMetadata"]["HTTPStatusCode"],
        )

    return call


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new bucket, found by whoever follows the environment; the other services stay where they are."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    s3 = boto3.client("s3", endpoint_url=s3_endpoint)
    name = "audit-lake"
    s3.create_bucket(Bucket=name)
    yield name
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)
    s3.close()
