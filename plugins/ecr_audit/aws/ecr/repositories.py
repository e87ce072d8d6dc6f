"""The repositories of one account x region, as DescribeRepositories lists them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from botocore.parsers import ResponseParserError

from ecr_audit.aws.answers import Unread, cleaned, quoted, text, timestamp
from ecr_audit.aws.dispatcher import Call, Flow, Identity
from ecr_audit.aws.paging import read_pages
from ecr_audit.aws.permissions import Permission, Role

DESCRIBE_REPOSITORIES = Permission(
    (Role.AUDIT, Role.HUB),
    "ecr:DescribeRepositories",
    "the repositories and their settings",
    ("arn:{partition}:ecr:*:{account}:repository/*",),
)
PERMISSIONS = (DESCRIBE_REPOSITORIES,)

# The most that a page can hold (Amazon ECR API Reference, DescribeRepositories).
REPOSITORY_PAGE = 1000

# The longest that each can be (API reference of ECR; an ARN is 2,048 anywhere in AWS).
LONGEST_NAME = 256
LONGEST_ARN = 2048
LONGEST_FILTER = 128
# A value that AWS chooses from a list of its own.
LONGEST_CHOICE = 64

# The start of an ARN, with its partition.
_PARTITION = re.compile("arn:[a-z0-9-]+")


class Repository(NamedTuple):
    """A repository as DescribeRepositories gave it; None: that was left out, or could not be read."""

    name: str
    arn: str
    uri: str | None
    created_at: datetime | None
    # Unchanged, even an unknown value: the policy evaluates it.
    image_tag_mutability: str | None
    exclusion_filters: Sequence[dict[str, str | None]]
    scan_on_push: bool | None
    encryption_type: str | None
    kms_key: str | None


def describe_repositories(identity: Identity, region: str) -> Flow:
    """A flow that lists all repositories of the region, up to 1,000 a call. Returns Pages: items as they came."""
    call = Call(identity, "ecr", region, "describe_repositories", {"maxResults": REPOSITORY_PAGE}, "repositories")
    return (yield from read_pages(call, "nextToken"))


def describe_one(identity: Identity, region: str) -> Flow:
    """A flow that asks for one repository of the region: whether they may be listed. Returns it, if there is one."""
    answer = yield Call(identity, "ecr", region, "describe_repositories", {"maxResults": 1}, "repositories")
    items = answer["repositories"]
    if not isinstance(items, list):
        raise ResponseParserError(f"describe_repositories returned {quoted(items)} for repositories")
    return items


def read_repositories(described: Sequence[object], account_id: str, region: str, unread: Unread) -> list[Repository]:
    """The repositories of a DescribeRepositories answer, one of each name.

    A listing is not a snapshot: creations and deletions meanwhile shift the pages, so that one repository may come
    twice. The later one stands, which is nearer to the present.

    Optional values that cannot be read are noted in `unread`. Raises ResponseParserError for what the audit cannot
    do without: an item that is not an object, a name or an ARN that is not one of this account and region, a time of
    creation that boto3 could not read either. (It distinguishes a repository from a deleted namesake.)
    """
    tail = f":ecr:{region}:{account_id}:repository/"
    found: dict[str, Repository] = {}
    for each in described:
        repository = _repository(each, tail, unread)
        found[repository.name] = repository
    return list(found.values())


def _repository(described: object, tail: str, unread: Unread) -> Repository:
    if not isinstance(described, dict):
        raise ResponseParserError(f"describe_repositories returned {quoted(described)} for a repository")
    name = text(described.get("repositoryName"), LONGEST_NAME)
    if not name:
        raise ResponseParserError(
            f"describe_repositories returned {quoted(described.get('repositoryName'))} for a repositoryName"
        )
    arn = described.get("repositoryArn")
    path = tail + name
    if not isinstance(arn, str) or not arn.endswith(path) or not _PARTITION.fullmatch(arn, 0, len(arn) - len(path)):
        raise ResponseParserError(
            f"describe_repositories returned {quoted(arn)} for a repositoryArn, which does not end with {path}"
        )
    created_at = described.get("createdAt")
    if created_at is not None:
        try:
            created_at = timestamp(created_at)
        except ValueError as fault:
            raise ResponseParserError(f"describe_repositories: createdAt of {name}: {fault}") from fault
    mutability = described.get("imageTagMutability")
    if mutability is not None:
        # Also a value that is not text: it reaches the policy as an unknown value, and is reported as such.
        mutability = cleaned(mutability if isinstance(mutability, str) else quoted(mutability), LONGEST_CHOICE)
    scanning = _structure(described, "imageScanningConfiguration", name, unread)
    encryption = _structure(described, "encryptionConfiguration", name, unread)
    return Repository(
        name,
        arn,
        _text(described, "repositoryUri", LONGEST_ARN, name, unread),
        created_at,
        mutability,
        _exclusion_filters(described, name, unread),
        _boolean(scanning, "scanOnPush", name, unread),
        _text(encryption, "encryptionType", LONGEST_CHOICE, name, unread),
        _text(encryption, "kmsKey", LONGEST_ARN, name, unread),
    )


def _structure(described: dict[str, Any], key: str, name: str, unread: Unread) -> dict[str, Any]:
    value = described.get(key)
    if isinstance(value, dict):
        return value
    if value is not None:
        unread.note(key, value, name)
    return {}


def _text(described: dict[str, Any], key: str, longest: int, name: str, unread: Unread) -> str | None:
    value = described.get(key)
    read = text(value, longest)
    if read is None and value is not None:
        unread.note(key, value, name)
    return read


def _boolean(described: dict[str, Any], key: str, name: str, unread: Unread) -> bool | None:
    value = described.get(key)
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):  # as botocore reads XML
        return bool(value == "true")
    if value is not None:
        unread.note(key, value, name)
    return None


def _exclusion_filters(described: dict[str, Any], name: str, unread: Unread) -> list[dict[str, str | None]]:
    key = "imageTagMutabilityExclusionFilters"
    value = described.get(key)
    if not value:
        return []
    if not isinstance(value, list):
        unread.note(key, value, name)
        return []
    filters = []
    for each in value:
        if isinstance(each, dict) and text(each.get("filter"), LONGEST_FILTER) is not None:
            kind = _text(each, "filterType", LONGEST_CHOICE, name, unread)
            filters.append({"filter_type": kind, "filter": each["filter"]})
        else:
            unread.note(key, each, name)
    return filters
