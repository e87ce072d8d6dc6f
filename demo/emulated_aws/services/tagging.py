"""Resource Groups Tagging API: GetResources, the tags of up to 100 repositories in a call."""

from __future__ import annotations

from typing import Any

from demo.emulated_aws.authorization import authorize
from demo.emulated_aws.protocols import AwsError, Call, page_offset, page_token
from demo.emulated_aws.services.ecr import repository_arn

_EMPTY = b'{"PaginationToken":"","ResourceTagMappingList":[]}'


def get_resources(call: Call) -> Any:
    """List the repositories that have tags, or once had: AWS's tagging API does not know those that never had one."""
    authorize(call, "tag:GetResources", "*")
    types = call.parameters.get("ResourceTypeFilters", [])
    if types and not {"ecr", "ecr:repository"} & set(types):
        return _EMPTY
    size = call.parameters.get("ResourcesPerPage", 100)
    if not 1 <= size <= 100:
        raise AwsError("InvalidParameterException", f"ResourcesPerPage must be between 1 and 100, but was {size}")
    offset = page_offset("GetResources", call.parameters.get("PaginationToken"))
    if offset is None:
        raise AwsError("PaginationTokenExpiredException", "The PaginationToken is not valid, or has expired.")
    tagged = [each for each in call.world.repositories(call.account_id, call.region) if each.tags is not None]
    if not tagged:
        return _EMPTY
    more = offset + size < len(tagged)
    return {
        "PaginationToken": page_token("GetResources", offset + size) if more else "",
        "ResourceTagMappingList": [
            {
                "ResourceARN": repository_arn(call, each.name),
                "Tags": [{"Key": key, "Value": value} for key, value in (each.tags or {}).items()],
            }
            for each in tagged[offset : offset + size]
        ],
    }


OPERATIONS = {"GetResources": get_resources}
