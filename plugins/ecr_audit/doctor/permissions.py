"""All that AWS has to allow, gathered from the modules that make the calls; and its page of docs/."""

from __future__ import annotations

from collections.abc import Collection

from ecr_audit.alerts import message
from ecr_audit.aws import accounts, organization, security_hub, signing
from ecr_audit.aws.ecr import facets, image_tags, mutability, repositories
from ecr_audit.aws.permissions import Option, Permission, Role
from ecr_audit.evidence import log
from ecr_audit.image_tags import trail
from ecr_audit.lake import s3
from ecr_audit.vocabulary import Facet

PERMISSIONS: tuple[Permission, ...] = tuple(
    each
    for module in (
        *(organization, accounts, repositories, facets, image_tags, mutability, security_hub),
        *(s3, trail, log, signing, message),
    )
    for each in module.PERMISSIONS
)

_WHO = {
    Role.HUB: "The hub role: the audit itself, in the hub account",
    Role.AUDIT: "The audit role: assumed by the hub in each other account",
    Role.REMEDIATION: "The remediation role: assumed by the hub where repositories may be changed, by approved plans",
    Role.SECURITY_HUB: "The Security Hub role: assumed by the hub where findings are imported into Security Hub",
    Role.READER: "The reader roles: the pages, and the callbacks of DAGs, which send alerts",
}


def permissions_of(
    role: Role, options: Collection[Option] = tuple(Option), facets: Collection[Facet] = tuple(Facet)
) -> list[Permission]:
    """Those of a role, with all options and facets or with these alone."""
    return [
        each
        for each in PERMISSIONS
        if role in each.roles and each.only_with in (None, *options) and each.facet in (None, *facets)
    ]


def actions_of(
    role: Role, options: Collection[Option] = tuple(Option), facets: Collection[Facet] = tuple(Facet)
) -> set[str]:
    """The actions among them."""
    return {each.action for each in permissions_of(role, options, facets)}


def listed(actions: Collection[str]) -> str:
    """Actions as a sentence names them: s3:GetObject, s3:ListBucket and s3:PutObject."""
    *first, last = sorted(actions)
    return f"{', '.join(first)} and {last}" if first else last


def to_markdown() -> str:
    """docs/permissions.md."""
    lines = [
        "# Permissions",
        "",
        "Permissions that AWS must allow. Made by `make docs` from the calling modules. The roles of `deploy/`",
        "allow exactly this (`tests/deploy/test_permissions.py`), and a night calls nothing else",
        "(`tests/deploy/test_least_privilege.py`), but `sts:GetCallerIdentity`, which needs no permission.",
        "",
        "The audit changes nothing in the accounts that it audits: the audit role only reads. Plans that a person has",
        "approved are applied by a role of their own, the remediation role ([remediation.md](remediation.md));",
        "another, the Security Hub role, imports findings into Security Hub ([exports.md](exports.md)).",
        "Otherwise it writes only its own data: the lake, publications and Airflow's task logs, in a folder or in the",
        "bucket of the hub account; tables in PostgreSQL, with `ECR_AUDIT_POSTGRES_CONN_ID`; and the evidence log, of",
        "which it can delete nothing. With alerts by SNS it sends messages to one topic.",
        "AWS allows `tag:GetResources` and `ec2:DescribeRegions` on `*` only. The first could read the tags of every",
        "resource in an account; the audit requests those of ECR repositories.",
    ]
    for role, who in _WHO.items():
        lines += ["", f"## {who}", ""]
        lines += [f"CloudFormation: `deploy/cloudformation/{role}.yaml`. Terraform: `deploy/terraform/{role}`.", ""]
        lines += ["| action | on | purpose | needed | without it |", "|---|---|---|---|---|"]
        lines += [_row(each) for each in permissions_of(role)]
    return "\n".join(lines) + "\n"


def _row(permission: Permission) -> str:
    on = "<br>".join(f"`{arn.replace('{', '<').replace('}', '>')}`" for arn in permission.on)
    return f"| `{permission.action}` | {on} | {permission.why} | {_needed(permission)} | {consequence(permission)} |"


def _needed(permission: Permission) -> str:
    if permission.facet:
        return f"with `{permission.facet}` in `ECR_AUDIT_COLLECT`"
    return f"with {permission.only_with}" if permission.only_with else "always"


def consequence(permission: Permission) -> str:
    """The consequence of lacking it, as the rest of a sentence."""
    if permission.without:
        return permission.without
    if permission.facet:
        return facets.FACET[permission.facet].without
    return "that fails" if permission.only_with else "a night fails, or reads nothing there"
