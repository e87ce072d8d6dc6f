"""What each outcome of the scan means, and what to do about it: who has to allow what, and where.

The permissions are those of the README's role; the advice is for the person who administers the account.
"""

from __future__ import annotations

from dataclasses import dataclass

from ecr_audit.aws.outcomes import Outcome


@dataclass(frozen=True)
class Explanation:
    """An outcome for people. `letter` stands for it where there is room for one only; `kind` is its colour's name."""

    title: str
    letter: str
    kind: str
    meaning: str
    what_to_do: str


OUTCOMES = {
    Outcome.COLLECTED: Explanation(
        "Read",
        "✓",
        "ok",
        "Every repository of the account and region was read.",
        "",
    ),
    Outcome.ASSUME_ROLE_DENIED: Explanation(
        "Role cannot be assumed",
        "R",
        "bad",
        "The audit role is absent from the account, or does not trust the hub: nothing in the account can be seen.",
        "In the account, create the role that ECR_AUDIT_ROLE_NAME names (deploy/ has a StackSet for all accounts). Its"
        " trust policy has to allow sts:AssumeRole to the role that the audit runs as and, where ECR_AUDIT_EXTERNAL_ID"
        " is set, to ask for that external id. The hub's own role needs sts:AssumeRole on it, and no SCP may deny it.",
    ),
    Outcome.ACCESS_DENIED: Explanation(
        "Not allowed to list",
        "D",
        "bad",
        "The role was entered, and ecr:DescribeRepositories was denied. The error says by what kind of policy.",
        "If the error says “explicit deny in a service control policy”, an SCP closes the region: exempt the audit role"
        " there (a condition ArnNotLike on aws:PrincipalArn), or leave the region out by ECR_AUDIT_REGIONS. Otherwise"
        " allow ecr:DescribeRepositories to the role, and look for a permissions boundary that does not.",
    ),
    Outcome.THROTTLED: Explanation(
        "Throttled",
        "T",
        "warn",
        "AWS refused for rate until the time for this target was used up.",
        "The next night reads it again. If it comes back, raise ECR_AUDIT_TARGET_SECONDS, or run when the account is"
        " quieter.",
    ),
    Outcome.FAILED: Explanation(
        "Failed",
        "F",
        "warn",
        "Something else went wrong; the error says what.",
        "Read the error. Once its cause is gone, a run of ecr_inventory that is limited to these accounts reads them"
        " again.",
    ),
    Outcome.REGION_DISABLED: Explanation(
        "Region not enabled",
        "-",
        "muted",
        "An opt-in region that the account has not enabled: nothing can be in it. It does not count against coverage.",
        "Nothing to do.",
    ),
    Outcome.ACCOUNT_INACTIVE: Explanation(
        "Account inactive",
        "x",
        "muted",
        "The account is suspended or being closed, and was not called. It does not count against coverage.",
        "Nothing to do.",
    ),
}
