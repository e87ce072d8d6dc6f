"""The templates of deploy/, deployed to an emulated CloudFormation (moto's), and what roles come of them."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

HUB_ROLE_ARN = "arn:aws:iam::111111111111:role/ecr-audit-hub"
EXTERNAL_ID = "sesame-2026"


@dataclass(frozen=True)
class Role:
    """A role as it came to be: who may assume it, and what it may do, as the JSON of IAM has it."""

    arn: str
    trusts: tuple[dict[str, Any], ...]
    statements: tuple[dict[str, Any], ...]

    @property
    def trust(self) -> dict[str, Any]:
        """The statement by which it may be assumed."""
        [statement] = [each for each in self.trusts if "sts:AssumeRole" in as_list(each["Action"])]
        return statement

    def may(self, action: str, resource: str) -> bool:
        """Whether its policies allow an action on a resource, but for conditions."""
        return any(
            action in as_list(each["Action"]) and any(fnmatchcase(resource, arn) for arn in as_list(each["Resource"]))
            for each in self.statements
        )

    @property
    def actions(self) -> set[str]:
        return {action for statement in self.statements for action in as_list(statement["Action"])}


Deploy = Callable[..., Role]


def as_list(value: Any) -> list[Any]:
    """IAM takes one thing for a list of one."""
    return value if isinstance(value, list) else [value]


def parameters(**given: str) -> list[Any]:
    """As CloudFormation's API has them."""
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials, profile, settings or metadata service of this machine."""
    for name in list(os.environ):
        if name.startswith(("ECR_AUDIT_", "AWS_")):
            monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def aws() -> Iterator[None]:
    """An empty AWS of moto's."""
    with mock_aws():
        yield


@pytest.fixture
def deploy(aws: None) -> Deploy:
    """Makes a stack of a template, and gives the role that it made."""
    return make_stack


def make_stack(template: str, **given: str) -> Role:
    body = (DEPLOY / "cloudformation" / f"{template}.yaml").read_text(encoding="utf-8")
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(
        StackName=template, TemplateBody=body, Parameters=parameters(**given), Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    [stack] = cloudformation.describe_stacks(StackName=template)["Stacks"]
    [arn] = [output["OutputValue"] for output in stack["Outputs"]]
    return deployed_role(arn)


def deployed_role(arn: str) -> Role:
    """The role of an ARN, with the statements of all its policies."""
    iam = boto3.client("iam")
    name = arn.rpartition("/")[2]
    statements: list[dict[str, Any]] = []
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document: Any = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        # moto keeps an inline policy of a template as the text of a Python dict.
        document = ast.literal_eval(document) if isinstance(document, str) else document
        # And what AWS::NoValue takes out of a list as None.
        statements += [each for each in document["Statement"] if each is not None]
    trust: Any = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    return Role(arn, tuple(trust["Statement"]), tuple(statements))


@pytest.fixture
def audit_role(deploy: Deploy) -> Role:
    return deploy("audit-role", HubRoleArn=HUB_ROLE_ARN, ExternalId=EXTERNAL_ID)


@pytest.fixture
def hub_role(deploy: Deploy) -> Role:
    return deploy("hub-role", TrustedService="ecs-tasks.amazonaws.com", LakeBucket="the-lake")
