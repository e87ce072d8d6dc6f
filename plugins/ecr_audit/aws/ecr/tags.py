"""The tags of the repositories of one account x region, by the Resource Groups Tagging API.

Amazon ECR's own ListTagsForResource takes one call for each repository.
"""

from __future__ import annotations

from collections.abc import Sequence

from ecr_audit.aws.accounts import AWS_FAULTS
from ecr_audit.aws.answers import Unread, text
from ecr_audit.aws.dispatcher import Call, Flow
from ecr_audit.aws.ecr.facet import Declaration, FacetRead, Fault, Registry
from ecr_audit.aws.ecr.repositories import LONGEST_ARN, Repository
from ecr_audit.aws.paging import read_pages
from ecr_audit.vocabulary import Facet

# The most that a page can hold (Resource Groups Tagging API Reference, GetResources).
TAG_PAGE = 100

# The longest that each can be (API reference of the tagging API).
LONGEST_TAG_KEY = 128
LONGEST_TAG_VALUE = 256


def _tagged(registry: Registry, page: int) -> Call:
    parameters = {"ResourceTypeFilters": ["ecr:repository"], "ResourcesPerPage": page}
    return registry.call("resourcegroupstaggingapi", "get_resources", parameters, "ResourceTagMappingList")


def _read(registry: Registry, repositories: Sequence[Repository], read: FacetRead) -> Flow:
    unread = Unread()
    try:
        pages = yield from read_pages(_tagged(registry, TAG_PAGE), "PaginationToken")
        tags = read_tags(pages.items, unread)
    except AWS_FAULTS as error:
        read.take_error(read.due, error)
        return
    if unread.count:
        read.fault = Fault("UnreadableValue", f"{unread}.")
    for repository in repositories:
        found = tags.get(repository.arn, {})
        if found is not None:
            read.values[repository.arn] = {"tags": list(found.items())}


TAGS = Declaration(
    Facet.TAGS,
    "tags of repositories",
    "the last known owners and tags count",
    "one for each 100 tagged repositories of a registry",
    ("tags",),
    _read,
    lambda registry, _: [_tagged(registry, 1)],
)


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
