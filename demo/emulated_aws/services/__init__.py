"""The operations of each service, as functions from a call to its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from demo.emulated_aws.protocols import Call
from demo.emulated_aws.services import (
    ec2,
    ecr,
    images,
    kms,
    organizations,
    policies,
    registry,
    security_hub,
    sts,
    tagging,
)

Operation = Callable[[Call], Any]

# By signing name, then by the operation's name.
OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    "sts": sts.OPERATIONS,
    "organizations": organizations.OPERATIONS,
    "ec2": ec2.OPERATIONS,
    "ecr": {**ecr.OPERATIONS, **images.OPERATIONS, **registry.OPERATIONS, **policies.OPERATIONS},
    "kms": kms.OPERATIONS,
    "tagging": tagging.OPERATIONS,
    "securityhub": security_hub.OPERATIONS,
}

# For each paged operation: the members with its items and its token.
LISTINGS: Mapping[str, tuple[str, str]] = {
    "ListAccounts": ("Accounts", "NextToken"),
    "ListAccountsForParent": ("Accounts", "NextToken"),
    "ListRoots": ("Roots", "NextToken"),
    "ListOrganizationalUnitsForParent": ("OrganizationalUnits", "NextToken"),
    "ListParents": ("Parents", "NextToken"),
    "DescribeRepositories": ("repositories", "nextToken"),
    "ListImages": ("imageIds", "nextToken"),
    "DescribeRepositoryCreationTemplates": ("repositoryCreationTemplates", "nextToken"),
    "DescribePullThroughCacheRules": ("pullThroughCacheRules", "nextToken"),
    "GetResources": ("ResourceTagMappingList", "PaginationToken"),
}
