"""The tags of the repositories of one account x region, by the Resource Groups Tagging API.

Amazon ECR's own ListTagsForResource takes one call for each repository.
"""

from __future__ import annotations

from collections.abc import Sequence

from ecr_audit.aws.answers import Unread, text
from ecr_audit.aws.dispatcher import Call, Flow, Identity
from ecr_audit.aws.paging import read_pages
from ecr_audit.aws.permissions import Permission, Role

GET_RESOURCES = Permission(
    (Role.AUDIT, Role.HUB),
    "tag:GetResources",
    "the tags of repositories: their owners, and the waivers by tag",
    without="the last known owners and tags count (not requested with ECR_AUDIT_COLLECT_TAGS=false)",
)
PERMISSIONS = (GET_RESOURCES,)

# The most that a page can hold (Resource Groups Tagging API Reference, GetResources).
TAG_PAGE = 100

# The longest that each can be (API reference of the tagging API; an ARN is 2,048 anywhere in AWS).
LONGEST_ARN = 2048
LONGEST_TAG_KEY = 128
LONGEST_TAG_VALUE = 256


def tagged_resources(identity: Identity, region: str) -> Flow:
    """A flow that lists all repositories of the region that have tags, 100 a call. Returns the items as they came."""
    first = {"ResourceTypeFilters": ["ecr:repository"], "ResourcesPerPage": TAG_PAGE}
    call = Call(identity, "resourcegroupstaggingapi", region, "get_resources", first, "ResourceTagMappingList")
    return (yield from read_pages(call, "PaginationToken"))


def read_tags(resources: Sequence[object], unread: Unread) -> dict[str, dict[str, str] | None]:
    """Tags by ARN from the items of a GetResources response. For a repeated resource the later item wins.

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
