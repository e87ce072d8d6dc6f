"""The declared permissions: the templates allow exactly them, the calls in the program's text are among them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ecr_audit.aws.permissions import NEEDS_NONE, Option, Permission, Role, action_of
from ecr_audit.doctor.permissions import PERMISSIONS, actions_of, permissions_of, to_markdown
from ecr_audit.settings import Settings
from ecr_audit.vocabulary import Facet
from support.paths import ROOT

# Where moto makes stacks.
ACCOUNT = "123456789012"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TRAIL_KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/5678abcd-12ab-34cd-56ef-1234567890ab"
EVIDENCE_KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/9abc1234-12ab-34cd-56ef-1234567890ab"
TOPIC = f"arn:aws:sns:eu-west-1:{ACCOUNT}:audit"
HUB_ROLE_ARN = "arn:aws:iam::111111111111:role/ecr-audit-hub"

# Values for the parts of ARNs, as the stacks below are given it or have it by default.
CHOSEN = {
    "partition": "aws",
    "account": ACCOUNT,
    "role": "/ecr-audit",
    "bucket": "the-lake",
    "lake": "lake",
    "publish": "publish",
    "logs": "logs",
    "waivers": "waivers",
    "key": KEY,
    "topic": TOPIC,
    "trail_bucket": "the-trail",
    "trail": "the-trail/audit",
    "trail_key": TRAIL_KEY,
    "remediation_role": "/ecr-audit-remediation",
    "security_hub_role": "/ecr-audit-security-hub",
    "evidence_bucket": "the-evidence",
    "evidence": "the-evidence/ecr",
    "evidence_key": EVIDENCE_KEY,
}
OPTIONS = {
    Option.PODS: {"TrustedService": "pods.eks.amazonaws.com"},
    Option.BUCKET: {"LakeBucket": "the-lake"},
    Option.LOGS: {"LogsPrefix": "logs"},
    Option.KEY: {"LakeKeyArn": KEY},
    Option.TOPIC: {"AlertTopicArn": TOPIC},
    Option.IMAGE_TAGS: {"ReadImageTags": "true"},
    Option.TRAIL: {"TrailBucket": "the-trail", "TrailPrefix": "audit"},
    Option.TRAIL_KEY: {"TrailKeyArn": TRAIL_KEY},
    Option.REMEDIATION: {"RemediationRoleName": "ecr-audit-remediation"},
    Option.SECURITY_HUB: {"SecurityHubRoleName": "ecr-audit-security-hub"},
    Option.EVIDENCE: {"EvidenceBucket": "the-evidence", "EvidencePrefix": "ecr"},
    Option.EVIDENCE_KEY: {"EvidenceKeyArn": EVIDENCE_KEY},
}

# A facet by default, by the default of ECR_AUDIT_COLLECT.
COLLECTED: tuple[Facet, ...] = Settings.model_fields["collect"].default

# Each role with all of its options, and with none but those that it cannot be without.
STACKS: dict[str, tuple[Role, dict[str, str], tuple[Option, ...]]] = {
    "audit role": (Role.AUDIT, {"HubRoleArn": HUB_ROLE_ARN, "ExternalId": "sesame-2026"}, ()),
    "audit role with image tags": (
        Role.AUDIT,
        {"HubRoleArn": HUB_ROLE_ARN, "ExternalId": "sesame-2026"},
        (Option.IMAGE_TAGS,),
    ),
    "hub alone": (Role.HUB, {"TrustedService": "ec2.amazonaws.com"}, ()),
    "hub": (Role.HUB, {}, tuple(set(Option) - {Option.LOGS})),
    "remediation role": (Role.REMEDIATION, {"HubRoleArn": HUB_ROLE_ARN, "ExternalId": "sesame-2026"}, ()),
    "Security Hub role": (Role.SECURITY_HUB, {"HubRoleArn": HUB_ROLE_ARN, "ExternalId": "sesame-2026"}, ()),
    "reader alone": (Role.READER, {"TrustedService": "ec2.amazonaws.com"}, (Option.BUCKET,)),
    "reader": (
        Role.READER,
        {"TrustedService": "ec2.amazonaws.com"},
        (Option.BUCKET, Option.LOGS, Option.KEY, Option.TOPIC),
    ),
}


def arns(permission: Permission) -> set[tuple[str, str]]:
    return {(permission.action, arn.format(**CHOSEN)) for arn in permission.on}


def allowed_by(statements: tuple[dict[str, Any], ...]) -> set[tuple[str, str]]:
    def as_list(value: Any) -> list[str]:
        return value if isinstance(value, list) else [value]

    assert all(each["Effect"] == "Allow" for each in statements)
    return {
        (action, arn) for each in statements for action in as_list(each["Action"]) for arn in as_list(each["Resource"])
    }


@pytest.mark.parametrize("stack", STACKS)
def test_the_templates_allow_exactly_the_declared_permissions(deploy: Callable[..., Any], stack: str) -> None:
    """By default those of the default of ECR_AUDIT_COLLECT.

    test_terraform.py compares the modules with the templates, statement by statement.
    """
    role, given, options = STACKS[stack]
    for option in options:
        given = given | OPTIONS[option]
    deployed = deploy(role.value, **given)
    declared = {pair for each in permissions_of(role, options, COLLECTED) for pair in arns(each)}
    assert allowed_by(deployed.statements) == declared


@pytest.mark.parametrize("stack", ["audit role", "hub alone"])
@pytest.mark.parametrize("facets", [(), tuple(Facet), *((each,) for each in Facet)], ids=",".join)
def test_a_role_allows_the_facets_that_it_is_given_and_no_others(
    deploy: Callable[..., Any], stack: str, facets: tuple[Facet, ...]
) -> None:
    role, given, _ = STACKS[stack]
    reads = {f"Read{each.capitalize()}": str(each in facets).lower() for each in Facet}
    deployed = deploy(role.value, **given, **reads)
    assert allowed_by(deployed.statements) == {pair for each in permissions_of(role, (), facets) for pair in arns(each)}


def test_every_option_is_deployed_with_some_role() -> None:
    assert {each.only_with for each in PERMISSIONS} == {
        None,
        *(o for _, _, options in STACKS.values() for o in options),
    }


def calls() -> Iterator[tuple[Path, int, str]]:
    """The calls of AWS in the library's text that name the method: file, line, action."""
    for path in sorted((ROOT / "plugins" / "ecr_audit").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield from ((path, node.lineno, action) for action in _actions(ast.unparse(node.func), node))


def _actions(called: str, node: ast.Call) -> Iterator[str]:
    texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    if texts[1:] and (called == "Call" or called.endswith(("_connections.call", "registry.call"))):
        yield action_of(*texts[:2])
    elif called == "_PolicyCall":
        yield action_of("ecr", texts[0])
    elif called.endswith(("reader.items", "reader.ask", "OrganizationsReader(hub).ask")):
        yield action_of("organizations", texts[0])
    elif ".client(" in called:
        # hub.client("sts").get_caller_identity()
        service, _, method = called.partition(".client(")[2].partition(").")
        if method and "." not in method:
            yield action_of(ast.literal_eval(service.split(",")[0]), method)


def test_every_call_in_the_text_is_declared() -> None:
    found = list(calls())
    known = {each.action for each in PERMISSIONS} | NEEDS_NONE
    assert [
        f"{path.relative_to(ROOT)}:{line} calls {action}" for path, line, action in found if action not in known
    ] == []
    of_aws = {each.action for each in PERMISSIONS if each.only_with in (None, Option.IMAGE_TAGS)}
    assert {action for *_, action in found} == of_aws | NEEDS_NONE


READING = ("Get", "List", "Describe", "BatchGet")


def test_callers_have_different_permissions() -> None:
    assert actions_of(Role.AUDIT, (), ()) == {"ecr:DescribeRepositories", "ec2:DescribeRegions"}
    # Whatever is collected, it only reads.
    assert all(each.action.partition(":")[2].startswith(READING) for each in permissions_of(Role.AUDIT))
    assert not any("*" in each.action for each in PERMISSIONS)
    harmless = (*READING, "AssumeRole", "TagSession", "Decrypt", "GenerateDataKey", "Sign")
    writing = {each.action for each in PERMISSIONS if not each.action.partition(":")[2].startswith(harmless)}
    # No role of the audit itself may change what it audits.
    changing = {"ecr:PutImageTagMutability": {Role.REMEDIATION}, "securityhub:BatchImportFindings": {Role.SECURITY_HUB}}
    assert writing == {"s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "sns:Publish", *changing}
    for action, roles in changing.items():
        assert {role for each in PERMISSIONS if each.action == action for role in each.roles} == roles


def test_the_committed_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "permissions.md").read_text(encoding="utf-8")
    assert page == to_markdown(), "run make docs"
