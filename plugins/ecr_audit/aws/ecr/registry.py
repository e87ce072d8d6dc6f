"""Creation templates and pull-through cache rules: how ECR creates repositories by itself in a registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.parsers import ResponseParserError

from ecr_audit.aws.accounts import AWS_FAULTS
from ecr_audit.aws.answers import cleaned, quoted, text
from ecr_audit.aws.dispatcher import Call, Flow
from ecr_audit.aws.ecr.facet import Declaration, FacetRead, Registry
from ecr_audit.aws.ecr.repositories import LONGEST_ARN, LONGEST_CHOICE, LONGEST_FILTER, LONGEST_NAME, Repository
from ecr_audit.aws.paging import read_pages
from ecr_audit.vocabulary import Facet

# The most that a page can hold (Amazon ECR API Reference, both operations).
PAGE = 1000

# AWS's own answer where the feature is not offered in a region, by code and by words.
_NOT_OFFERED = "This feature is disabled"


def registry_arn(repository: Repository) -> str:
    """Our name for a registry, to which AWS gives no ARN: arn:<partition>:ecr:<region>:<account>:registry."""
    return f"{repository.arn.partition(':repository/')[0]}:registry"


def _templates(registry: Registry, page: int) -> Call:
    return registry.call(
        "ecr", "describe_repository_creation_templates", {"maxResults": page}, "repositoryCreationTemplates"
    )


def _rules(registry: Registry, page: int) -> Call:
    return registry.call("ecr", "describe_pull_through_cache_rules", {"maxResults": page}, "pullThroughCacheRules")


def _read(registry: Registry, _: Sequence[Repository], read: FacetRead) -> Flow:
    [arn] = read.due
    try:
        templates = yield from _listed(_templates(registry, PAGE))
        rules = yield from _listed(_rules(registry, PAGE))
        values = {
            "creation_templates": [_template(each) for each in templates],
            "pull_through_rules": [_rule(each) for each in rules],
        }
    except AWS_FAULTS as error:
        read.take_error(read.due, error)
        return
    read.values[arn] = values


def _listed(first: Call) -> Flow:
    """The items of all pages; none where the feature is not offered."""
    try:
        pages = yield from read_pages(first, "nextToken")
    except AWS_FAULTS as error:
        if _NOT_OFFERED in str(error):
            return []
        raise
    return pages.items


REGISTRIES = Declaration(
    Facet.REGISTRIES,
    "creation templates and pull-through cache rules of registries that have repositories",
    "how repositories are created by ECR itself is not known",
    "two for each registry",
    ("creation_templates", "pull_through_rules"),
    _read,
    lambda registry, _: [_templates(registry, 1), _rules(registry, 1)],
)


def _template(described: object) -> dict[str, Any]:
    template = _structure(described, "a creation template")
    mutability = template.get("imageTagMutability")
    if mutability is not None:
        # Also a value that is not text: it reaches the policy as an unknown value.
        mutability = cleaned(mutability if isinstance(mutability, str) else quoted(mutability), LONGEST_CHOICE)
    filters = template.get("imageTagMutabilityExclusionFilters") or []
    return {
        "prefix": _prefix(template.get("prefix"), "prefix"),
        "applied_for": _texts(template.get("appliedFor") or [], "appliedFor", LONGEST_CHOICE),
        "image_tag_mutability": mutability,
        "exclusion_filters": _texts(
            [each.get("filter") if isinstance(each, dict) else each for each in filters]
            if isinstance(filters, list)
            else filters,
            "imageTagMutabilityExclusionFilters",
            LONGEST_FILTER,
        ),
    }


def _rule(described: object) -> dict[str, Any]:
    rule = _structure(described, "a pull-through cache rule")
    return {
        "prefix": _prefix(rule.get("ecrRepositoryPrefix"), "ecrRepositoryPrefix"),
        "upstream_registry_url": text(rule.get("upstreamRegistryUrl"), LONGEST_ARN),
    }


def _structure(value: object, what: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise ResponseParserError(f"ECR returned {quoted(value)} for {what}")


def _prefix(value: object, member: str) -> str:
    """A prefix decides which repositories a template or rule is for: without it none can be judged."""
    prefix = text(value, LONGEST_NAME)
    if not prefix:
        raise ResponseParserError(f"ECR returned {quoted(value)} for {member}")
    return prefix


def _texts(values: object, member: str, longest: int) -> list[str]:
    found = [text(each, longest) for each in values] if isinstance(values, list) else [None]
    if None in found:
        raise ResponseParserError(f"ECR returned {quoted(values)} for {member}")
    return [each for each in found if each is not None]
