"""One account x region: all its repositories, their tags, and how the scan of it ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import PaginationError

from ecr_audit.aws.accounts import AWS_FAULTS
from ecr_audit.aws.calls import Call, Flow, Identity
from ecr_audit.aws.outcomes import Outcome, error_code, error_message, outcome_of_describe

# The most that a page can hold (Amazon ECR API Reference, DescribeRepositories).
REPOSITORY_PAGE = 1000
# The most that a page can hold (Resource Groups Tagging API Reference, GetResources).
TAG_PAGE = 100
# How the error_code of a target begins that was COLLECTED, but for its repositories' tags.
TAGS_NOT_READ = "Tags."


@dataclass
class TargetScan:
    """What the scan of one account x region brought."""

    account_id: str
    region: str
    outcome: Outcome
    # As DescribeRepositories gives them.
    repositories: list[dict[str, Any]] = field(default_factory=list)
    # Tags by repository ARN; None when they were not collected.
    tags: dict[str, dict[str, str]] | None = None
    error_code: str | None = None
    error_message: str | None = None


def scan_target(identity: Identity, account_id: str, region: str, *, opt_in_region: bool, collect_tags: bool) -> Flow:
    """A flow that reads every repository of one account in one region. Returns a TargetScan.

    Whatever AWS answers is the scan's outcome, never an exception. A list that breaks off is thrown away: half of it
    would pass for the whole. Tags are read only where there are repositories; that they cannot be read loses no
    repository, and is told in the error of a target that is COLLECTED all the same.
    """
    try:
        repositories = yield from _pages(
            Call(identity, "ecr", region, "describe_repositories", {"maxResults": REPOSITORY_PAGE}, "repositories"),
            "nextToken",
        )
    except AWS_FAULTS as error:
        outcome = outcome_of_describe(error, opt_in_region=opt_in_region)
        return TargetScan(account_id, region, outcome, error_code=error_code(error), error_message=error_message(error))
    scan = TargetScan(account_id, region, Outcome.COLLECTED, repositories)
    if repositories and collect_tags:
        try:
            scan.tags = yield from _tags(identity, region)
        except AWS_FAULTS as error:
            scan.error_code = f"{TAGS_NOT_READ}{error_code(error)}"
            scan.error_message = f"Repository tags could not be read: {error_message(error)}"
    return scan


def _tags(identity: Identity, region: str) -> Flow:
    """Tags of all repositories of the region that have any. 100 a call; ListTagsForResource takes one call each."""
    first = {"ResourceTypeFilters": ["ecr:repository"], "ResourcesPerPage": TAG_PAGE}
    found = yield from _pages(
        Call(identity, "resourcegroupstaggingapi", region, "get_resources", first, "ResourceTagMappingList"),
        "PaginationToken",
    )
    return {each["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]} for each in found}


def _pages(first: Call, token: str) -> Flow:
    """All items of a paged answer. An empty page may carry a token and is not the last; a token that comes back is.

    Raises PaginationError when AWS hands out the same token twice, which would go on for ever.
    """
    found: list[dict[str, Any]] = []
    call = first
    while True:
        answer = yield call
        found += answer[call.expects]
        following = answer.get(token)
        if not following:
            return found
        if following == call.parameters.get(token):
            raise PaginationError(message=f"{call.method} gave the same {token} twice")
        call = replace(first, parameters={**first.parameters, token: following})
