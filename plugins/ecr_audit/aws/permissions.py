"""Permissions that the audit's calls need: declared beside the calls, those of facets in ecr/facet_permissions.py,
and gathered in doctor/permissions.py.

The doctor's advice and docs/permissions.md are made from these declarations, and tests hold the roles of
deploy/ and the calls of a night to exactly them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ecr_audit.vocabulary import Facet


class Role(StrEnum):
    """Who makes a call, by the template of deploy/cloudformation that makes the role."""

    # The audit itself, in the hub account.
    HUB = "hub-role"
    # Assumed by the hub in each other account.
    AUDIT = "audit-role"
    # Assumed by the hub in each account whose repositories may be changed.
    REMEDIATION = "remediation-role"
    # Assumed by the hub in each account whose findings are imported into its Security Hub.
    SECURITY_HUB = "security-hub-role"
    # The pages, and the callbacks that send alerts.
    READER = "reader-role"


class Option(StrEnum):
    """A feature that needs an optional call, in words that follow "with"."""

    PODS = "EKS Pod Identity"
    BUCKET = "a lake or publications on S3"
    LOGS = "task logs on S3"
    KEY = "a KMS key of the bucket"
    TOPIC = "alerts by SNS"
    IMAGE_TAGS = "`ECR_AUDIT_IMAGE_TAGS`"
    TRAIL = "`ECR_AUDIT_CLOUDTRAIL`"
    TRAIL_KEY = "a KMS key of the trail"
    REMEDIATION = "`ECR_AUDIT_REMEDIATION_ROLE_NAME`"
    SECURITY_HUB = "`ECR_AUDIT_SECURITY_HUB_ROLE_NAME`"
    EVIDENCE = "`ECR_AUDIT_EVIDENCE` on S3"
    EVIDENCE_KEY = "a KMS key that signs evidence"


@dataclass(frozen=True)
class Permission:
    """An action of IAM that one or more roles have to be allowed.

    `on` are ARNs, in which {partition}, {account}, {role} (the audit role's path and name), {bucket}, {lake},
    {publish}, {logs}, {waivers} (prefixes in the bucket), {key} and {topic} (ARNs), {trail_bucket}, {trail} (it, or it
    and a prefix), {trail_key} (ARN), {remediation_role} and {security_hub_role} (path and name), {evidence_bucket},
    {evidence} (it, or it and a prefix) and {evidence_key} (ARN) stand for what a deployment chooses; "*" for actions
    that know no resources. `without`: the consequence without it; empty: a night fails, or the permission's facet is
    not read.
    """

    roles: tuple[Role, ...]
    action: str
    why: str
    on: tuple[str, ...] = ("*",)
    only_with: Option | None = None
    without: str = ""
    # Needed only while ECR_AUDIT_COLLECT names it.
    facet: Facet | None = None

    @property
    def service(self) -> str:
        """The service that is called, by its name in botocore."""
        prefix = self.action.partition(":")[0]
        return next((service for service, its_prefix in _PREFIXES.items() if its_prefix == prefix), prefix)


# The codes of an answer to a call for which the permission is lacking (API references of ECR, STS, Organizations, EC2,
# tagging).
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})

# Open to everybody: it needs no permission, and no policy can deny it (AWS STS API Reference).
NEEDS_NONE = frozenset({"sts:GetCallerIdentity"})

# The prefixes of IAM's actions, where they are not the service's name in botocore (Service Authorization Reference).
_PREFIXES = {"resourcegroupstaggingapi": "tag"}


def action_of(service: str, method: str) -> str:
    """The action of IAM for a method of a botocore client: "ecr", "describe_repositories" -> ecr:DescribeRepositories.

    Not for S3, of whose operations some are allowed by the action of another.
    """
    operation = "".join(word.title() for word in method.split("_"))
    return f"{_PREFIXES.get(service, service)}:{operation}"
