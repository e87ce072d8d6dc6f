"""The CloudFormation templates: valid, and the roles that come of them trust and allow what they should."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ecr_audit.aws.access import AwsAccess
from ecr_audit.aws.accounts import assume_role_request
from ecr_audit.aws.session import Hub
from ecr_audit.settings import Settings, load_settings
from ecr_audit.vocabulary import Facet
from ecr_audit.written import ROLE_NAME, ROLE_PATH
from support.documents import read_template

from .conftest import Deploy, Role

TEMPLATES = Path(__file__).resolve().parents[2] / "deploy" / "cloudformation"
HUB_ROLE_ARN = "arn:aws:iam::111111111111:role/ecr-audit-hub"
EXTERNAL_ID = "sesame-2026"
# One of each partition.
REGIONS = ("eu-west-1", "us-gov-west-1", "cn-north-1")
# Whose stacks moto makes.
ACCOUNT = "123456789012"


def test_cfn_lint_finds_nothing() -> None:
    """In all three partitions; a warning is as bad as an error."""
    cfn_lint = Path(sys.executable).with_name("cfn-lint")
    templates = sorted(TEMPLATES.glob("*.yaml"))
    done = subprocess.run([cfn_lint, "--regions", *REGIONS, "--", *templates], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_audit_role_trusts_the_hub_role_and_only_with_the_external_id(audit_role: Role) -> None:
    """Confused deputy: who makes the hub act for them does not know the external id of the organization."""
    assert audit_role.trust == {
        "Effect": "Allow",
        "Principal": {"AWS": HUB_ROLE_ARN},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
    }


def test_a_hub_that_left_the_organization_is_not_let_in(deploy: Deploy) -> None:
    role = deploy("audit-role", HubRoleArn=HUB_ROLE_ARN, ExternalId=EXTERNAL_ID, OrganizationId="o-a1b2c3d4e5")
    condition = role.trust["Condition"]
    assert condition == {"StringEquals": {"sts:ExternalId": EXTERNAL_ID, "aws:PrincipalOrgID": "o-a1b2c3d4e5"}}


def test_tags_of_a_session_are_taken_from_the_hub_alone(audit_role: Role) -> None:
    """Those of EKS Pod Identity go with every AssumeRole: a role that does not take them refuses the hub."""
    [tags] = [each for each in audit_role.trusts if each is not audit_role.trust]
    assert tags == {"Effect": "Allow", "Principal": {"AWS": HUB_ROLE_ARN}, "Action": "sts:TagSession"}


def test_the_external_id_is_shown_nowhere() -> None:
    parameters = read_template(TEMPLATES / "audit-role.yaml")["Parameters"]
    assert {name for name, each in parameters.items() if each.get("NoEcho")} == {"ExternalId"}


@pytest.mark.parametrize("template", ["audit-role", "hub-role", "reader-role", "bucket", "protect-audit-role"])
def test_arns_are_of_the_partition_that_the_stack_is_in(template: str) -> None:
    """Which moto takes to be `aws` everywhere; so it is the template that is looked at."""
    resources = read_template(TEMPLATES / f"{template}.yaml")["Resources"]
    arns = [text for text in _texts(resources) if text.startswith("arn:")]
    assert arns or template == "bucket"
    assert [arn for arn in arns if not arn.startswith("arn:${AWS::Partition}:")] == []


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for each in node.values() if isinstance(node, dict) else node:
            yield from _texts(each)


def test_the_hub_enters_only_the_audit_roles_of_its_own_organization(hub_role: Role) -> None:
    [enter] = [statement for statement in hub_role.statements if statement["Action"] == "sts:AssumeRole"]
    assert enter["Resource"] == "arn:aws:iam::*:role/ecr-audit"
    assert enter["Condition"] == {"StringEquals": {"aws:ResourceOrgID": "${aws:PrincipalOrgID}"}}


PODS = ["sts:AssumeRole", "sts:TagSession"]


def trusts(service_account: str) -> dict[str, tuple[Any, Any]]:
    """The actions of each service, and their condition."""
    tags = {"kubernetes-namespace": "ecr-audit", "kubernetes-service-account": service_account}
    return {
        "ecs-tasks.amazonaws.com": ("sts:AssumeRole", {"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
        "ec2.amazonaws.com": ("sts:AssumeRole", None),
        "ec2.amazonaws.com.cn": ("sts:AssumeRole", None),
        "pods.eks.amazonaws.com": (PODS, {"StringEquals": {f"aws:RequestTag/{tag}": tags[tag] for tag in tags}}),
    }


READERS = {"LakeBucket": "the-lake"}


@pytest.mark.parametrize("service", trusts(""))
@pytest.mark.parametrize(
    ("template", "given", "service_account"),
    [
        ("hub-role", {}, "ecr-audit-tasks"),
        ("reader-role", READERS, "ecr-audit-pages"),
        ("reader-role", READERS | {"RoleName": "ecr-audit-callbacks"}, "ecr-audit-callbacks"),
    ],
)
def test_a_role_trusts_its_service_for_the_account_and_pods_that_it_names(
    deploy: Deploy, template: str, given: dict[str, str], service_account: str, service: str
) -> None:
    trust = deploy(template, TrustedService=service, **given).trust
    assert trust["Principal"] == {"Service": service}
    assert (trust["Action"], trust.get("Condition")) == trusts(service_account)[service]
    profiles = boto3.client("iam").list_instance_profiles()["InstanceProfiles"]
    assert len(profiles) == (template == "hub-role" and service.startswith("ec2."))


def test_a_hub_in_pods_hands_its_tags_on(deploy: Deploy) -> None:
    hub = deploy("hub-role", TrustedService="pods.eks.amazonaws.com")
    entered = {action: each["Resource"] for each in hub.statements for action in _actions(each) if action in PODS}
    assert entered["sts:TagSession"] == entered["sts:AssumeRole"]


@pytest.mark.parametrize(("template", "given"), [("hub-role", {}), ("reader-role", READERS)])
def test_a_role_may_trust_a_role_instead(deploy: Deploy, template: str, given: dict[str, str]) -> None:
    trust = deploy(template, TrustedArn="arn:aws:iam::111111111111:role/airflow", **given).trust
    assert trust == {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111111111111:role/airflow"},
        "Action": "sts:AssumeRole",
    }


def test_without_a_bucket_and_a_key_none_may_be_used(deploy: Deploy) -> None:
    role = deploy("hub-role", TrustedService="ec2.amazonaws.com")
    assert not any(action.startswith(("s3:", "kms:")) for action in role.actions)


def test_the_hub_reads_the_waivers_and_cannot_write_them(hub_role: Role) -> None:
    """Nor anything else in the bucket beside the lake, publications and logs."""
    bucket = "arn:aws:s3:::the-lake"
    assert hub_role.may("s3:GetObject", f"{bucket}/waivers/waivers.yaml")
    for key in ("waivers/waivers.yaml", "waivers.yaml", "lake", "other/x"):
        assert not hub_role.may("s3:PutObject", f"{bucket}/{key}")
        assert not hub_role.may("s3:DeleteObject", f"{bucket}/{key}")
    for key in ("lake/_commits/inventory/2026-11-01.json", "publish/latest.json", "logs/dag_id=x/1.log"):
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
            assert hub_role.may(action, f"{bucket}/{key}")


def test_a_reader_reads_publications_and_nothing_else(deploy: Deploy) -> None:
    topic = f"arn:aws:sns:eu-west-1:{ACCOUNT}:audit"
    pages = deploy("reader-role", TrustedService="ecs-tasks.amazonaws.com", LogsPrefix="logs", **READERS)
    assert pages.actions == {"s3:ListBucket", "s3:GetObject"}
    bucket = "arn:aws:s3:::the-lake"
    assert pages.may("s3:GetObject", f"{bucket}/publish/latest.json")
    assert pages.may("s3:GetObject", f"{bucket}/logs/dag_id=x/1.log")
    for key in ("lake/accounts/x.parquet", "waivers/waivers.yaml"):
        assert not pages.may("s3:GetObject", f"{bucket}/{key}")
    boto3.client("cloudformation").delete_stack(StackName="reader-role")
    given = READERS | {"RoleName": "ecr-audit-callbacks", "AlertTopicArn": topic}
    callbacks = deploy("reader-role", TrustedService="ecs-tasks.amazonaws.com", **given)
    assert callbacks.actions == {"s3:ListBucket", "s3:GetObject", "sns:Publish"}
    assert not callbacks.may("s3:GetObject", f"{bucket}/logs/dag_id=x/1.log")


def test_the_bucket_is_closed_keeps_versions_and_takes_tls_only() -> None:
    """By the template, for moto's CloudFormation makes a bucket and no more."""
    resources = read_template(TEMPLATES / "bucket.yaml")["Resources"]
    bucket = resources["Bucket"]["Properties"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    closed = bucket["PublicAccessBlockConfiguration"]
    assert len(closed) == 4 and all(closed.values())
    statements = resources["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert [(each["Effect"], each["Principal"], each["Condition"]) for each in statements] == [
        ("Deny", "*", {"Bool": {"aws:SecureTransport": "false"}}),
        ("Deny", "*", {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
    ]
    lock = bucket["ObjectLockConfiguration"]["Fn::If"][1]["Rule"]["DefaultRetention"]
    assert lock["Mode"] == "GOVERNANCE"
    assert resources["Bucket"]["DeletionPolicy"] == resources["Bucket"]["UpdateReplacePolicy"] == "Retain"


def test_nobody_but_the_stack_set_changes_the_audit_role() -> None:
    """Every action on a role that IAM knows, but for those that only read it or hand it on."""
    resources = read_template(TEMPLATES / "protect-audit-role.yaml")["Resources"]
    [statement] = resources["ProtectAuditRole"]["Properties"]["Content"]["Statement"]
    model = boto3.client("iam").meta.service_model
    shapes = {name: model.operation_model(name).input_shape for name in model.operation_names}
    on_a_role = {name for name, shape in shapes.items() if shape and "RoleName" in shape.members}
    changing = {name for name in on_a_role if not name.startswith(("Get", "List", "Create", "AddRole", "RemoveRole"))}
    assert {action.removeprefix("iam:") for action in statement["Action"]} == changing - {"DeleteServiceLinkedRole"}
    assert statement["Effect"] == "Deny"
    assert [*statement["Condition"]] == ["ArnNotLike"]


def test_the_key_of_the_lake(deploy: Deploy) -> None:
    key = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    role = deploy("hub-role", TrustedService="ec2.amazonaws.com", LakeBucket="the-lake", LakeKeyArn=key)
    [statement] = [each for each in role.statements if each["Resource"] == key]
    assert set(statement["Action"]) == {"kms:GenerateDataKey", "kms:Decrypt"}


def test_the_topic_of_alerts(deploy: Deploy) -> None:
    """Unset, nothing may be published: test_least_privilege.py has the role without it."""
    topic = f"arn:aws:sns:eu-west-1:{ACCOUNT}:audit"
    role = deploy("hub-role", TrustedService="ec2.amazonaws.com", AlertTopicArn=topic)
    [statement] = [each for each in role.statements if any("sns:" in action for action in _actions(each))]
    assert (_actions(statement), statement["Resource"]) == (["sns:Publish"], topic)


@pytest.mark.parametrize("template", ["audit-role", "hub-role"])
def test_nothing_is_allowed_by_wildcard(deploy: Deploy, template: str) -> None:
    given = {"HubRoleArn": HUB_ROLE_ARN, "ExternalId": EXTERNAL_ID}
    reads = {f"Read{each.capitalize()}": "true" for each in Facet}
    role = deploy(template, **(given if template == "audit-role" else {"TrustedService": "ec2.amazonaws.com"}), **reads)
    assert not any("*" in action for action in role.actions)
    # Actions without resources of their own (Service Authorization Reference).
    unbound = {action for each in role.statements if each["Resource"] == "*" for action in _actions(each)}
    assert {action for action in unbound if not action.startswith("organizations:")} == {
        "tag:GetResources",
        "ec2:DescribeRegions",
        "ecr:DescribePullThroughCacheRules",
        "ecr:DescribeRepositoryCreationTemplates",
    }


def _actions(statement: dict[str, Any]) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


def test_parameters_take_the_values_of_the_settings() -> None:
    """An external id or a role's name that the template takes must not be refused by the audit, or the other way."""
    given = read_template(TEMPLATES / "audit-role.yaml")["Parameters"]
    valid = Settings.model_fields
    external_id = next(each.pattern for each in valid["external_id"].metadata if hasattr(each, "pattern"))
    assert given["ExternalId"]["AllowedPattern"] == external_id
    assert (given["ExternalId"]["MinLength"], given["ExternalId"]["MaxLength"]) == (2, 1224)
    # A name of up to 64 characters, after a path of up to 512.
    assert f"{given['RoleName']['AllowedPattern'][1:-2]}{{1,64}}" == ROLE_NAME.pattern
    assert given["RolePath"]["AllowedPattern"] == f"^{ROLE_PATH.pattern}$"
    assert (given["RoleName"]["MaxLength"], given["RolePath"]["MaxLength"]) == (64, 512)
    assert given["RolePath"]["Default"] == "/"
    assert given["RoleName"]["Default"] == valid["role_name"].default
    hub = read_template(TEMPLATES / "hub-role.yaml")["Parameters"]
    for name in ("RoleName", "RolePath"):
        assert {**hub[f"Audit{name}"], "Description": ""} == {**given[name], "Description": ""}


def test_the_hub_enters_an_audit_role_with_a_path(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ARN that the audit asks for is the one that the hub's policy allows, and the role's own."""
    path, name = "/security/audit/", "ecr-audit"
    role = deploy("audit-role", HubRoleArn=HUB_ROLE_ARN, ExternalId=EXTERNAL_ID, RolePath=path, RoleName=name)
    hub = deploy("hub-role", TrustedService="ec2.amazonaws.com", AuditRolePath=path, AuditRoleName=name)
    [enter] = [statement for statement in hub.statements if statement["Action"] == "sts:AssumeRole"]
    monkeypatch.setenv("ECR_AUDIT_ROLE_NAME", f"{path}{name}")
    entering = Hub(AwsAccess(boto3.Session()), "", "aws", "")
    asked = assume_role_request(entering, ACCOUNT, load_settings().role_name, None)
    assert role.arn == asked["RoleArn"] == enter["Resource"].replace("*", ACCOUNT)


@pytest.mark.parametrize(
    ("template", "parameter", "bad"),
    [
        ("audit-role", "HubRoleArn", "*"),
        ("audit-role", "HubRoleArn", "arn:aws:iam::111111111111:root"),
        ("audit-role", "ExternalId", "two words"),
        ("audit-role", "RoleName", "team/ecr-audit"),
        ("audit-role", "RolePath", "security/"),
        ("hub-role", "AuditRolePath", "/*/"),
        ("hub-role", "TrustedArn", "*"),
        ("hub-role", "AuditRoleName", "*"),
        ("hub-role", "LakeBucket", "*"),
        ("hub-role", "LakePrefix", "*"),
        ("hub-role", "PublishPrefix", "publish/"),
        ("hub-role", "WaiversPrefix", ""),
        ("hub-role", "PodNamespace", "*"),
        ("hub-role", "PodServiceAccount", "*"),
        ("reader-role", "RoleName", "*"),
        ("reader-role", "LakeBucket", "*"),
        ("reader-role", "PublishPrefix", "*"),
        ("reader-role", "LogsPrefix", "*"),
        ("reader-role", "AlertTopicArn", "arn:aws:sns:*:111111111111:*"),
        ("audit-role", "OrganizationId", "*"),
        ("protect-audit-role", "AuditRoleName", "*"),
        ("hub-role", "LakeKeyArn", "*"),
        ("hub-role", "AlertTopicArn", "arn:aws:sns:*:111111111111:*"),
    ],
)
def test_a_parameter_that_would_open_more_is_refused(template: str, parameter: str, bad: str) -> None:
    """By its pattern, which CloudFormation matches in whole (moto does not look at it)."""
    given = read_template(TEMPLATES / f"{template}.yaml")["Parameters"][parameter]
    assert re.fullmatch(given["AllowedPattern"], bad) is None
    assert given["ConstraintDescription"]


def test_the_stack_set_reaches_the_members_of_the_organization(aws: None) -> None:
    """Service-managed, and with automatic deployment, as docs/deploy.md makes it (test_documents.py)."""
    organizations, cloudformation = boto3.client("organizations"), boto3.client("cloudformation")
    organizations.create_organization(FeatureSet="ALL")
    member = organizations.create_account(Email="member@example.com", AccountName="member")
    root = organizations.list_roots()["Roots"][0]["Id"]
    given = {"HubRoleArn": HUB_ROLE_ARN, "ExternalId": EXTERNAL_ID}
    cloudformation.create_stack_set(
        StackSetName="ecr-audit-role",
        TemplateBody=(TEMPLATES / "audit-role.yaml").read_text(encoding="utf-8"),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        PermissionModel="SERVICE_MANAGED",
        AutoDeployment={"Enabled": True, "RetainStacksOnAccountRemoval": False},
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    targets = {"OrganizationalUnitIds": [root]}
    cloudformation.create_stack_instances(
        StackSetName="ecr-audit-role", DeploymentTargets=targets, Regions=["us-east-1"]
    )
    instances = cloudformation.list_stack_instances(StackSetName="ecr-audit-role")["Summaries"]
    assert member["CreateAccountStatus"]["AccountId"] in {instance["Account"] for instance in instances}


def test_the_template_alone_refuses_nothing_less_than_its_parameters(aws: None) -> None:
    """There is no default for whom to trust, nor for the external id."""
    body = (TEMPLATES / "audit-role.yaml").read_text(encoding="utf-8")
    with pytest.raises(ClientError, match=r"HubRoleArn|ExternalId"):
        boto3.client("cloudformation").create_stack(
            StackName="bare", TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"]
        )
