"""Settings of the demo organization's repositories beside mutability: keys, lifecycle policies and permissions.

Everything is derived from the repository's name and place, and from how many nights ago it is: 0 is the second night of
`make audit`, 1 its first, and more a night of the history.
"""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from demo.emulated_aws.world import Repository, World

Target = tuple[str, str]

# The first and the last of the accounts in production, which are stricter than the rest.
PRODUCTION = ("210000000007", "210000000015")
# Its CI opens a repository for each pull request, all from one template.
PREVIEWS = "210000000022"
# The hub's, whose key others may use.
KEYS_ACCOUNT = "210000000001"

_ALWAYS = 10_000

# Keys that may encrypt a repository: see key_of.
_KEY_KINDS, _KEY_WEIGHTS = ("AWS", "CUSTOMER", "SHARED"), (45, 35, 20)


def _policy(principal: object, action: str | list[str], **statement: Any) -> str:
    allow = {"Sid": "Pull", "Effect": "Allow", "Principal": principal, "Action": action, **statement}
    return json.dumps({"Version": "2012-10-17", "Statement": [allow]})


_PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]

# Permissions of a repository, by who has them.
CROSS_ACCOUNT = _policy({"AWS": f"arn:aws:iam::{KEYS_ACCOUNT}:root"}, _PULL)
FUNCTIONS = _policy({"Service": "lambda.amazonaws.com"}, _PULL[1:])
THE_ORGANIZATION = _policy("*", _PULL, Condition={"StringEquals": {"aws:PrincipalOrgID": World.organization_id}})
EVERYONE = _policy("*", _PULL)
EVERYONE_AS_AWS = _policy({"AWS": "*"}, "ecr:*")
# It confines nobody: whoever calls chooses it.
A_USER_AGENT = _policy("*", _PULL, Condition={"StringLike": {"aws:UserAgent": "*parcel-builder*"}})

_PERMISSIONS = (None, CROSS_ACCOUNT, FUNCTIONS, THE_ORGANIZATION, EVERYONE, EVERYONE_AS_AWS, A_USER_AGENT)
_PERMISSION_WEIGHTS = (700, 140, 30, 80, 20, 10, 20)
_PREVIEW_PERMISSION_WEIGHTS = (970, 20, 0, 0, 10, 0, 0)


def _lifecycle(description: str, **selection: Any) -> str:
    rule = {"rulePriority": 1, "description": description, "selection": selection, "action": {"type": "expire"}}
    return json.dumps({"rules": [rule]})


LIFECYCLES = (
    _lifecycle("Keep 50 images", tagStatus="any", countType="imageCountMoreThan", countNumber=50),
    _lifecycle(
        "Untagged for two weeks",
        tagStatus="untagged",
        countType="sinceImagePushed",
        countUnit="days",
        countNumber=14,
    ),
)


@dataclass(frozen=True, slots=True)
class _Settings:
    """Of one repository, with how many nights ago each came to be."""

    key_kind: str
    lifecycle: str | None
    lifecycle_since: int
    permissions: str | None
    permissions_since: int
    # Before that: who confined a policy later had it open to everyone, and others had none.
    permissions_before: str | None


def with_settings(target: Target, repository: Repository, nights_ago: int) -> Repository:
    """The repository with its settings of some nights ago."""
    settings = _settings_of(*target, repository.name)
    is_permitted = nights_ago <= settings.permissions_since
    return replace(
        repository,
        kms_key=None if repository.encryption_type == "AES256" else key_of(target, settings.key_kind),
        lifecycle_policy=settings.lifecycle if nights_ago <= settings.lifecycle_since else None,
        policy=settings.permissions if is_permitted else settings.permissions_before,
    )


def key_manager(arn: str) -> str | None:
    """Who manages a key of the demo organization, AWS or CUSTOMER; None for any other."""
    *_, region, account_id, name = arn.split(":")
    managers = {"AWS": "AWS", "CUSTOMER": "CUSTOMER"} | ({"SHARED": "CUSTOMER"} if account_id == KEYS_ACCOUNT else {})
    keys = {f"key/{_key_id(kind, account_id, region)}": manager for kind, manager in managers.items()}
    return keys.get(name)


def key_of(target: Target, kind: str) -> str:
    """The ARN of a key in a region: AWS's own for ECR, the account's (CUSTOMER), or the hub's (SHARED)."""
    account_id, region = target
    owner = KEYS_ACCOUNT if kind == "SHARED" else account_id
    return f"arn:aws:kms:{region}:{owner}:key/{_key_id(kind, owner, region)}"


def _key_id(kind: str, account_id: str, region: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{account_id}/{region}")


@cache
def _settings_of(account_id: str, region: str, name: str) -> _Settings:
    dice = random.Random(f"settings/{account_id}/{region}/{name}")  # noqa: S311 -- an invented organization, no secret
    is_preview = account_id == PREVIEWS
    is_strict = is_preview or PRODUCTION[0] <= account_id <= PRODUCTION[1]
    weights = _PREVIEW_PERMISSION_WEIGHTS if is_preview else _PERMISSION_WEIGHTS
    [permissions] = dice.choices(_PERMISSIONS, weights)
    # Half of those that anybody can use were opened in these nights; some that the organization can use were confined.
    share = {EVERYONE: 0.5, EVERYONE_AS_AWS: 0.5, THE_ORGANIZATION: 0.3}.get(permissions or "", 0.0)
    return _Settings(
        key_kind=dice.choices(_KEY_KINDS, _KEY_WEIGHTS)[0],
        lifecycle=dice.choice(LIFECYCLES) if dice.random() < (0.85 if is_strict else 0.4) else None,
        lifecycle_since=_since(dice, 0.2),
        permissions=permissions,
        permissions_since=_since(dice, share),
        permissions_before=EVERYONE if permissions == THE_ORGANIZATION else None,
    )


def _since(dice: random.Random, share: float) -> int:
    """How many nights ago a setting came to be, for a share of them within the nights that there are; each sixth of
    these came in the last night."""
    if dice.random() >= share:
        return _ALWAYS
    return 0 if dice.random() < 1 / 6 else dice.randrange(2, 80)
