"""One account x region: all its repositories, their tags, and how the scan of it ended."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from botocore.exceptions import PaginationError
from botocore.parsers import ResponseParserError

from ecr_audit.aws.accounts import AWS_FAULTS
from ecr_audit.aws.answers import Unread, cleaned, quoted, text, timestamp
from ecr_audit.aws.calls import Call, Flow, Identity
from ecr_audit.aws.outcomes import Outcome, error_code, error_message, knows_no_credentials, outcome_of_describe

# The most that a page can hold (Amazon ECR API Reference, DescribeRepositories).
REPOSITORY_PAGE = 1000
# The most that a page can hold (Resource Groups Tagging API Reference, GetResources).
TAG_PAGE = 100
# How the error_code of a target begins that was COLLECTED, but for its repositories' tags.
TAGS_NOT_READ = "Tags."

# The longest that each can be (API references of ECR and of the tagging API; an ARN is 2,048 anywhere in AWS).
LONGEST_NAME = 256
LONGEST_ARN = 2048
LONGEST_FILTER = 128
LONGEST_TAG_KEY = 128
LONGEST_TAG_VALUE = 256
# Of what AWS chooses from a list of its own.
LONGEST_CHOICE = 64

# What an ARN begins with: the partition.
_PARTITION = re.compile("arn:[a-z0-9-]+")


class Repository(NamedTuple):
    """A repository as DescribeRepositories gave it; None: that was left out, or could not be read."""

    name: str
    arn: str
    uri: str | None
    created_at: datetime | None
    # As it came, also a value that nobody knows: that is for the policy to judge.
    image_tag_mutability: str | None
    exclusion_filters: Sequence[dict[str, str | None]]
    scan_on_push: bool | None
    encryption_type: str | None
    kms_key: str | None


@dataclass
class TargetScan:
    """What the scan of one account x region brought."""

    account_id: str
    region: str
    outcome: Outcome
    # One of each name.
    repositories: list[Repository] = field(default_factory=list)
    # Tags by repository ARN; None where they were not collected.
    tags: dict[str, dict[str, str] | None] | None = None
    error_code: str | None = None
    error_message: str | None = None


def scan_target(identity: Identity, account_id: str, region: str, *, may_be_disabled: bool, collect_tags: bool) -> Flow:
    """A flow that reads every repository of one account in one region. Returns a TargetScan.

    `may_be_disabled`: an opt-in region of which the account did not say whether it is enabled, so that the region's own
    word has to do (see `_is_disabled`); and the credentials are such that it can.

    Whatever AWS answers is the scan's outcome, never an exception. A list that breaks off is thrown away: half of it
    would pass for the whole. Tags are read only where there are repositories; that they cannot be read loses no
    repository. Neither does any other value that is nice to have. Both are reported in the error of a target that is
    COLLECTED all the same.
    """
    unread, unread_tags = Unread(), Unread()
    try:
        described = yield from _pages(
            Call(identity, "ecr", region, "describe_repositories", {"maxResults": REPOSITORY_PAGE}, "repositories"),
            "nextToken",
        )
        repositories = read_repositories(described, account_id, region, unread)
    except AWS_FAULTS as error:
        return (yield from _unread(identity, account_id, region, error, may_be_disabled=may_be_disabled))
    scan = TargetScan(account_id, region, Outcome.COLLECTED, repositories)
    faults = []
    if scan.repositories and collect_tags:
        try:
            scan.tags = read_tags((yield from _tagged_resources(identity, region)), unread_tags)
        except AWS_FAULTS as error:
            message = f"Repository tags could not be read: {error_message(error)}"
            faults.append((f"{TAGS_NOT_READ}{error_code(error)}", message))
    faults += [
        (code, f"{values}.")
        for code, values in ((f"{TAGS_NOT_READ}UnreadableValue", unread_tags), ("Repositories.UnreadableValue", unread))
        if values.count
    ]
    if faults:
        scan.error_code = ", ".join(code for code, _ in faults)
        scan.error_message = " ".join(message for _, message in faults)
    return scan


def probe_target(identity: Identity, account_id: str, region: str, *, may_be_disabled: bool) -> Flow:
    """A flow that finds out how `scan_target` would end, by one call for one repository. Returns a TargetScan."""
    try:
        yield Call(identity, "ecr", region, "describe_repositories", {"maxResults": 1}, "repositories")
    except AWS_FAULTS as error:
        return (yield from _unread(identity, account_id, region, error, may_be_disabled=may_be_disabled))
    return TargetScan(account_id, region, Outcome.COLLECTED)


def _unread(identity: Identity, account_id: str, region: str, error: Exception, *, may_be_disabled: bool) -> Flow:
    """A flow that finds the outcome of a target whose repositories could not be listed. Returns its TargetScan."""
    outcome = outcome_of_describe(error, may_be_disabled=may_be_disabled)
    if may_be_disabled and knows_no_credentials(error) and (yield from _is_disabled(identity, region)):
        outcome = Outcome.REGION_DISABLED
    return TargetScan(account_id, region, outcome, error_code=error_code(error), error_message=error_message(error))


def _is_disabled(identity: Identity, region: str) -> Flow:
    """A flow that asks STS in an opt-in region, too, whether it knows the credentials that ECR there does not.

    It must be asked only with credentials that are valid in every region that the account has enabled: a user's keys,
    or a token of a regional endpoint of STS (IAM User Guide, "Manage AWS STS in an AWS Region"). So when two services
    of a region do not know them, the region is not enabled. GetCallerIdentity needs no permission, and no policy can
    deny it (AWS STS API Reference). Any other answer leaves it unknown: False.
    """
    try:
        yield Call(identity, "sts", region, "get_caller_identity", {}, "Account")
    except AWS_FAULTS as error:
        return knows_no_credentials(error)
    return False


def read_repositories(described: Sequence[object], account_id: str, region: str, unread: Unread) -> list[Repository]:
    """The repositories of a DescribeRepositories answer, one of each name.

    A listing is no snapshot: what is created or deleted meanwhile shifts the pages, so that one repository may come
    twice. The later one stands, which is nearer to the present.

    What cannot be read and is nice to have is noted in `unread`. Raises ResponseParserError for what the audit cannot
    do without: an item that is not an object, a name or an ARN that is not one of this account and region, a time of
    creation that boto3 could not read either. (By it a repository is told from a namesake that was deleted.)
    """
    tail = f":ecr:{region}:{account_id}:repository/"
    found: dict[str, Repository] = {}
    for each in described:
        repository = _repository(each, tail, unread)
        found[repository.name] = repository
    return list(found.values())


def _repository(described: object, tail: str, unread: Unread) -> Repository:
    if not isinstance(described, dict):
        raise ResponseParserError(f"describe_repositories was answered with {quoted(described)} for a repository")
    name = text(described.get("repositoryName"), LONGEST_NAME)
    if not name:
        raise ResponseParserError(
            f"describe_repositories was answered with {quoted(described.get('repositoryName'))} for a repositoryName"
        )
    arn = described.get("repositoryArn")
    path = tail + name
    if not isinstance(arn, str) or not arn.endswith(path) or not _PARTITION.fullmatch(arn, 0, len(arn) - len(path)):
        raise ResponseParserError(
            f"describe_repositories was answered with {quoted(arn)} for a repositoryArn, which does not end with {path}"
        )
    created_at = described.get("createdAt")
    if created_at is not None:
        try:
            created_at = timestamp(created_at)
        except ValueError as fault:
            raise ResponseParserError(f"describe_repositories: createdAt of {name}: {fault}") from fault
    mutability = described.get("imageTagMutability")
    if mutability is not None:
        # Also what is not text: it reaches the policy as a value that is unknown, and is reported as such.
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


def read_tags(resources: Sequence[object], unread: Unread) -> dict[str, dict[str, str] | None]:
    """Tags by ARN, of the items of a GetResources answer. Of a resource that comes twice the later one stands.

    A tag without a value is empty. A tag without a key is left out, and so is one with a value that is not text. The
    tags of a resource are None, not known, when they are not a list. All of this is noted in `unread`.
    """
    found: dict[str, dict[str, str] | None] = {}
    for each in resources:
        resource = each if isinstance(each, dict) else {}
        arn, tags = text(resource.get("ResourceARN"), LONGEST_ARN), resource.get("Tags")
        if arn is None:
            unread.note("resource", each, "GetResources")
        elif isinstance(tags, list):
            found[arn] = _tags(tags, arn, unread)
        else:
            unread.note("Tags", tags, arn)
            found[arn] = None
    return found


def _tags(tags: Sequence[object], arn: str, unread: Unread) -> dict[str, str]:
    found = {}
    for each in tags:
        tag = each if isinstance(each, dict) else {}
        key, value = text(tag.get("Key"), LONGEST_TAG_KEY), text(tag.get("Value"), LONGEST_TAG_VALUE)
        if key is not None and value is not None:
            found[key] = value
            continue
        unread.note("tag", each, arn)
        if key is not None and tag.get("Value") is None:
            found[key] = ""
    return found


def _tagged_resources(identity: Identity, region: str) -> Flow:
    """All repositories of the region that have tags. 100 a call; ListTagsForResource takes one call each."""
    first = {"ResourceTypeFilters": ["ecr:repository"], "ResourcesPerPage": TAG_PAGE}
    call = Call(identity, "resourcegroupstaggingapi", region, "get_resources", first, "ResourceTagMappingList")
    return (yield from _pages(call, "PaginationToken"))


def _pages(first: Call, token: str) -> Flow:
    """All items of a paged answer. An empty page may carry a token and is not the last; a token that comes back is.

    Raises PaginationError when AWS hands out the same token twice, which would go on for ever, and ResponseParserError
    for items that are not a list or a token that is not text: the rest could not be asked for.
    """
    found: list[object] = []
    given: set[str] = set()
    call = first
    while True:
        answer = yield call
        items, following = answer[call.expects], answer.get(token)
        if not isinstance(items, list):
            raise ResponseParserError(f"{call.method} was answered with {quoted(items)} for {call.expects}")
        found += items
        if following is None or following == "":
            return found
        if not isinstance(following, str):
            raise ResponseParserError(f"{call.method} was answered with the {token} {quoted(following)}")
        if following in given:
            raise PaginationError(message=f"{call.method} gave the same {token} twice")
        given.add(following)
        call = replace(first, parameters={**first.parameters, token: following})
