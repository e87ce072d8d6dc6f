"""Amazon ECR, settings of a registry: when images are scanned, creation templates, and pull-through cache rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from demo.emulated_aws.authorization import authorize
from demo.emulated_aws.protocols import AwsError, Call
from demo.emulated_aws.services.ecr import invalid, page, repository_arn, validate_name
from demo.emulated_aws.world import CreationTemplate, PullThroughRule, Repository

# Limits of the API's model.
_NAMES, _PREFIXES = 25, 100


def batch_get_scanning_configuration(call: Call) -> Any:
    """When the images of up to 25 repositories are scanned. A name that is not there is a failure, not an error."""
    authorize(call, "ecr:BatchGetRepositoryScanningConfiguration", repository_arn(call, "*"))
    names = call.parameters.get("repositoryNames") or []
    _validate_length("repositoryNames", names, _NAMES)
    for name in names:
        validate_name("repositoryNames", name)
    # Pages of names are of one registry: to look through it once for each of them would take most of a night.
    there = {each.name: each for each in call.world.repositories(call.account_id, call.region)}
    return {
        "scanningConfigurations": [_scanning(call, there[name]) for name in names if name in there],
        "failures": [
            {
                "repositoryName": name,
                "failureCode": "REPOSITORY_NOT_FOUND",
                "failureReason": "REPOSITORY_NOT_FOUND",
            }
            for name in names
            if name not in there
        ],
    }


def _scanning(call: Call, repository: Repository) -> dict[str, Any]:
    frequency, patterns = call.world.registry(call.account_id, call.region).scanning_of(repository)
    return {
        "repositoryArn": repository_arn(call, repository.name),
        "repositoryName": repository.name,
        "scanOnPush": repository.scan_on_push,
        "scanFrequency": frequency,
        "appliedScanFilters": [{"filter": pattern, "filterType": "WILDCARD"} for pattern in patterns],
    }


def describe_creation_templates(call: Call) -> Any:
    """List the templates of the repositories that ECR creates by itself: all of them, or those of some prefixes."""
    authorize(call, "ecr:DescribeRepositoryCreationTemplates", "*")
    templates = call.world.registry(call.account_id, call.region).creation_templates
    if prefixes := call.parameters.get("prefixes"):
        templates = tuple(each for each in templates if each.prefix in prefixes)
    answer = page(call, "repositoryCreationTemplates", templates, lambda each: _template(each))
    return {"registryId": call.account_id, **answer}


def _template(template: CreationTemplate) -> dict[str, Any]:
    described: dict[str, Any] = {
        "prefix": template.prefix,
        "appliedFor": list(template.applied_for),
        "createdAt": template.created_at,
        "updatedAt": template.created_at,
    }
    if template.image_tag_mutability is not None:
        described["imageTagMutability"] = template.image_tag_mutability
    if template.exclusion_filters:
        described["imageTagMutabilityExclusionFilters"] = [
            {"filterType": "WILDCARD", "filter": pattern} for pattern in template.exclusion_filters
        ]
    return described


def describe_pull_through_rules(call: Call) -> Any:
    """List the upstream registries for whose images ECR creates repositories: all, or those of some prefixes."""
    authorize(call, "ecr:DescribePullThroughCacheRules", "*")
    rules = {each.prefix: each for each in call.world.registry(call.account_id, call.region).pull_through_rules}
    prefixes = call.parameters.get("ecrRepositoryPrefixes")
    if prefixes is not None:
        _validate_length("ecrRepositoryPrefixes", prefixes, _PREFIXES)
        for prefix in prefixes:
            if prefix not in rules:
                raise AwsError(
                    "PullThroughCacheRuleNotFoundException",
                    f"The pull through cache rule with prefix '{prefix}' does not exist in the registry with id"
                    f" '{call.account_id}'",
                )
        rules = {prefix: rules[prefix] for prefix in prefixes}
    return page(call, "pullThroughCacheRules", tuple(rules.values()), lambda each: _rule(call, each))


def _rule(call: Call, rule: PullThroughRule) -> Mapping[str, Any]:
    return {
        "ecrRepositoryPrefix": rule.prefix,
        "upstreamRegistryUrl": rule.upstream_registry_url,
        "registryId": call.account_id,
        "createdAt": rule.created_at,
        "updatedAt": rule.created_at,
    }


def _validate_length(member: str, values: Sequence[str], most: int) -> None:
    if not 1 <= len(values) <= most:
        bound = f"less than or equal to {most}" if values else "greater than or equal to 1"
        raise invalid(member, f"Member must have length {bound}")


OPERATIONS = {
    "BatchGetRepositoryScanningConfiguration": batch_get_scanning_configuration,
    "DescribeRepositoryCreationTemplates": describe_creation_templates,
    "DescribePullThroughCacheRules": describe_pull_through_rules,
}
