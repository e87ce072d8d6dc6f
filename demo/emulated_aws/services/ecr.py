"""Amazon ECR: DescribeRepositories, ListTagsForResource and PutImageTagMutability."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from demo.emulated_aws.authorization import authorize, denial, not_allowed
from demo.emulated_aws.protocols import AwsError, Call, page_offset, page_token
from demo.emulated_aws.world import ADMINISTRATOR_ROLE, Repository, Write

_MUTABILITIES = ("IMMUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE")
_FILTER = re.compile(r"[0-9a-zA-Z._*-]{1,128}")
# ECR refuses a filter with more, and so does the CDK before it asks.
_MOST_WILDCARDS = 2
# Shape `RepositoryName` of the API's model.
_NAME = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_EMPTY = b'{"repositories":[]}'

Item = TypeVar("Item")


def repository_arn(call: Call, name: str) -> str:
    """Return the ARN of a repository in the caller's account and region; `*` stands for all of them."""
    return f"arn:{call.world.partition}:ecr:{call.region}:{call.account_id}:repository/{name}"


def describe_repositories(call: Call) -> Any:
    """List the repositories of the caller's account in a region, 100 a page or as many as 1,000."""
    authorize(call, "ecr:DescribeRepositories", repository_arn(call, "*"))
    repositories = call.world.repositories(call.account_id, call.region)
    names = call.parameters.get("repositoryNames")
    if names:
        if call.parameters.keys() & {"maxResults", "nextToken"}:
            raise invalid("repositoryNames", "maxResults and nextToken cannot be used with repositoryNames")
        return {"repositories": [_describe(call, find_repository(call, name)) for name in names]}
    answer = page(call, "repositories", repositories, lambda repository: _describe(call, repository))
    return answer if repositories else _EMPTY


def page(call: Call, member: str, items: Sequence[Item], render: Callable[[Item], Mapping[str, Any]]) -> dict[str, Any]:
    """Return one page of a listing, of 100 items or as many as 1,000, and the token of the next."""
    size = call.parameters.get("maxResults", 100)
    if not 1 <= size <= 1000:
        bound = "less than or equal to 1000" if size > 1000 else "greater than or equal to 1"
        raise invalid("maxResults", f"Member must have value {bound}")
    offset = page_offset(call.operation, call.parameters.get("nextToken"))
    if offset is None:
        raise invalid("nextToken", f"Member must be a token that {call.operation} returned")
    answer: dict[str, Any] = {member: [render(each) for each in items[offset : offset + size]]}
    if offset + size < len(items):
        answer["nextToken"] = page_token(call.operation, offset + size)
    return answer


def list_tags_for_resource(call: Call) -> Any:
    """List the tags of one repository."""
    arn = call.parameters["resourceArn"]
    authorize(call, "ecr:ListTagsForResource", arn)
    if not arn.startswith(repository_arn(call, "")):
        raise invalid("resourceArn", "Member must be the ARN of a repository of this registry")
    tags = find_repository(call, arn.partition(":repository/")[2]).tags or {}
    return {"tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def put_image_tag_mutability(call: Call) -> Any:
    """Change a repository's tag mutability. The audit role may only read: it takes the remediation role, the hub or an
    administrator."""
    name, mutability = call.parameters["repositoryName"], call.parameters["imageTagMutability"]
    filters = call.parameters.get("imageTagMutabilityExclusionFilters")
    authorize(call, "ecr:PutImageTagMutability", repository_arn(call, name))
    if call.caller.role not in (None, ADMINISTRATOR_ROLE, call.world.remediation_role_name):
        action = "ecr:PutImageTagMutability"
        message = denial(call, action, repository_arn(call, name), not_allowed(action))
        raise AwsError("AccessDeniedException", message)
    _validate_mutability(mutability, filters)
    find_repository(call, name)
    patterns = [each["filter"] for each in filters or ()]
    call.world.change_mutability(call.account_id, call.region, name, mutability, patterns)
    call.world.writes.append(Write(call.account_id, call.region, name, mutability, tuple(patterns), call.caller.role))
    answer = {"registryId": call.account_id, "repositoryName": name, "imageTagMutability": mutability}
    return {**answer, "imageTagMutabilityExclusionFilters": filters} if filters else answer


def _validate_mutability(mutability: str, filters: list[dict[str, str]] | None) -> None:
    member = "imageTagMutabilityExclusionFilters"
    if mutability not in _MUTABILITIES:
        raise invalid("imageTagMutability", f"Member must satisfy enum value set: [{', '.join(_MUTABILITIES)}]")
    if mutability.endswith("_WITH_EXCLUSION") and filters is None:
        raise invalid(
            member, f"ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as {mutability}"
        )
    if not mutability.endswith("_WITH_EXCLUSION") and filters is not None:
        raise invalid(
            member, f"ImageTagMutabilityExclusionFilters should be null when imageTagMutability is set as {mutability}"
        )
    if filters is not None and not 1 <= len(filters) <= 5:
        bound = "less than or equal to 5" if filters else "greater than or equal to 1"
        raise invalid(member, f"Member must have length {bound}")
    for each in filters or ():
        if each["filterType"] != "WILDCARD":
            raise invalid(f"{member}.member.filterType", "Member must satisfy enum value set: [WILDCARD]")
        if _FILTER.fullmatch(each["filter"]) is None:
            raise invalid(
                f"{member}.member.filter", "Member must satisfy regular expression pattern: ^[0-9a-zA-Z._*-]{1,128}$"
            )
        if each["filter"].count("*") > _MOST_WILDCARDS:
            raise invalid(f"{member}.member.filter", f"Member must have at most {_MOST_WILDCARDS} wildcards")


def invalid(member: str, constraint: str) -> AwsError:
    """The error for a parameter that its shape in the API's model does not allow."""
    return AwsError(
        "InvalidParameterException", f"Invalid parameter at '{member}' failed to satisfy constraint: '{constraint}'"
    )


def validate_name(member: str, name: str) -> None:
    """Refuse what cannot be the name of a repository."""
    if not (2 <= len(name) <= 256 and _NAME.fullmatch(name)):
        raise invalid(member, f"Member must satisfy regular expression pattern: {_NAME.pattern}")


def find_repository(call: Call, name: str) -> Repository:
    """The repository of the caller's account and region with this name. Raises AwsError when there is none."""
    for repository in call.world.repositories(call.account_id, call.region):
        if repository.name == name:
            return repository
    raise AwsError(
        "RepositoryNotFoundException",
        f"The repository with name '{name}' does not exist in the registry with id '{call.account_id}'",
    )


def _describe(call: Call, repository: Repository) -> dict[str, Any]:
    suffix = "amazonaws.com.cn" if call.world.partition == "aws-cn" else "amazonaws.com"
    encryption = {"encryptionType": repository.encryption_type}
    if repository.kms_key is not None:
        encryption["kmsKey"] = repository.kms_key
    description: dict[str, Any] = {
        "repositoryArn": repository_arn(call, repository.name),
        "registryId": call.account_id,
        "repositoryName": repository.name,
        "repositoryUri": f"{call.account_id}.dkr.ecr.{call.region}.{suffix}/{repository.name}",
        "createdAt": repository.created_at,
        "imageScanningConfiguration": {"scanOnPush": repository.scan_on_push},
        "encryptionConfiguration": encryption,
    }
    if repository.image_tag_mutability is not None:
        description["imageTagMutability"] = repository.image_tag_mutability
    if repository.exclusion_filters:
        description["imageTagMutabilityExclusionFilters"] = [
            {"filterType": "WILDCARD", "filter": pattern} for pattern in repository.exclusion_filters
        ]
    return description


OPERATIONS = {
    "DescribeRepositories": describe_repositories,
    "ListTagsForResource": list_tags_for_resource,
    "PutImageTagMutability": put_image_tag_mutability,
}
