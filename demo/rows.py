"""From the organization as it is to rows of the lake, as a scan of all facets would write them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from demo.emulated_aws.world import Repository, World
from ecr_audit.aws.ecr.facets import FACETS, REGISTRY_FACET, REPOSITORY_FACETS
from ecr_audit.aws.outcomes import NOT_COUNTABLE, Outcome
from ecr_audit.vocabulary import Facet

Row = dict[str, Any]
Target = tuple[str, str]

# AWS's error_code and error_message by outcome.
_ERRORS = {
    Outcome.ASSUME_ROLE_DENIED: ("AccessDenied", "The hub is not authorized to perform: sts:AssumeRole"),
    Outcome.ACCESS_DENIED: ("AccessDeniedException", "Not authorized to perform: ecr:DescribeRepositories"),
    Outcome.FAILED: ("ServerException", "The service is unavailable"),
}
_DENIED = "AccessDeniedException"


def account_rows(world: World, collected_at: datetime) -> Iterator[Row]:
    for account in world.account_list:
        yield {
            "account_id": account.id,
            "account_name": account.name,
            "state": account.state,
            "ou_id": account.parent_id,
            "ou_path": world.ou_path(account.id),
            "unit_ids": world.unit_ids(account.id),
            "joined_at": datetime.fromtimestamp(account.joined_at, UTC),
            "collected_at": collected_at,
            "details_read_at": collected_at,
        }


def target_row(world: World, target: Target, outcome: Outcome, started_at: datetime) -> Row:
    is_read = outcome is Outcome.COLLECTED
    repositories = world.repositories(*target) if is_read else ()
    code, message = _ERRORS.get(outcome, (None, None))
    return {
        "account_id": target[0],
        "region": target[1],
        "outcome": outcome,
        "error_code": code,
        "error_message": message,
        "repository_count": len(repositories) if is_read else None,
        "api_calls": 0 if outcome in NOT_COUNTABLE else _calls(target, repositories),
        "retries": 0,
        "throttles": 0,
        "started_at": started_at,
        "duration_ms": 0 if outcome in NOT_COUNTABLE else 150 + 10 * len(repositories),
        "facets_failed": _failures(world, target, repositories) if is_read else None,
    }


def repository_row(world: World, target: Target, repository: Repository, collected_at: datetime) -> Row:
    account_id, region = target
    row = {
        "account_id": account_id,
        "region": region,
        "repository_name": repository.name,
        "repository_arn": f"arn:aws:ecr:{region}:{account_id}:repository/{repository.name}",
        "repository_uri": f"{account_id}.dkr.ecr.{region}.amazonaws.com/{repository.name}",
        "created_at": datetime.fromtimestamp(repository.created_at, UTC),
        "image_tag_mutability": repository.image_tag_mutability,
        "image_tag_mutability_exclusion_filters": [
            {"filter_type": "WILDCARD", "filter": each} for each in repository.exclusion_filters
        ],
        "scan_on_push": repository.scan_on_push,
        "encryption_type": repository.encryption_type,
        "kms_key": repository.kms_key,
        "collected_at": collected_at,
        "observed": True,
    }
    values = _repository_values(world, target, repository)
    failed = {facet for facet in _denied(world, account_id) if _is_asked_for(facet, target, repository)}
    for declaration in REPOSITORY_FACETS:
        if declaration.facet not in failed:
            row |= values[declaration.facet] | {declaration.read_at: collected_at}
    return row | {"facets_failed": [{"facet": each, "error_code": _DENIED} for each in sorted(failed)]}


def registry_row(world: World, target: Target, collected_at: datetime) -> Row:
    account_id, region = target
    registry = world.registry(*target)
    row = {
        "account_id": account_id,
        "region": region,
        "registry_arn": f"arn:aws:ecr:{region}:{account_id}:registry",
        "collected_at": collected_at,
        "observed": True,
    }
    if REGISTRY_FACET.facet in _denied(world, account_id):
        return row | {"facets_failed": [{"facet": REGISTRY_FACET.facet, "error_code": _DENIED}]}
    return row | {
        "creation_templates": [
            {
                "prefix": each.prefix,
                "applied_for": list(each.applied_for),
                "image_tag_mutability": each.image_tag_mutability,
                "exclusion_filters": list(each.exclusion_filters),
            }
            for each in registry.creation_templates
        ],
        "pull_through_rules": [
            {"prefix": each.prefix, "upstream_registry_url": each.upstream_registry_url}
            for each in registry.pull_through_rules
        ],
        REGISTRY_FACET.read_at: collected_at,
        "facets_failed": [],
    }


def _repository_values(world: World, target: Target, repository: Repository) -> dict[Facet, Row]:
    frequency, filters = world.registry(*target).scanning_of(repository)
    key = repository.kms_key
    # A key in another account is a customer's, by its ARN.
    manager = world.key_source(key) if key and _is_own(target, key) else "CUSTOMER" if key else None
    return {
        Facet.TAGS: {"tags": list((repository.tags or {}).items())},
        Facet.SCANNING: {"scan_frequency": frequency, "scan_filters": list(filters)},
        Facet.KEYS: {"kms_key_manager": manager},
        Facet.LIFECYCLE: {"lifecycle_policy": repository.lifecycle_policy},
        Facet.POLICIES: {"repository_policy": repository.policy},
    }


def _denied(world: World, account_id: str) -> dict[Facet, str]:
    """Facets of which the account's role is not allowed an action, with that action."""
    denied = world.accounts[account_id].denied_actions
    return {
        declaration.facet: permission.action
        for declaration in FACETS
        for permission in declaration.permissions
        if permission.action in denied
    }


def _is_asked_for(facet: Facet, target: Target, repository: Repository) -> bool:
    """Whether the facet takes a call for this repository."""
    if facet is Facet.KEYS:
        return repository.kms_key is not None and _is_own(target, repository.kms_key)
    return facet is not REGISTRY_FACET.facet


def _is_own(target: Target, key: str) -> bool:
    return key.split(":")[4] == target[0]


def _failures(world: World, target: Target, repositories: Sequence[Repository]) -> list[Row]:
    failures = []
    for facet, action in _denied(world, target[0]).items():
        objects = sum(_is_asked_for(facet, target, each) for each in repositories)
        if facet is REGISTRY_FACET.facet:
            objects = min(1, len(repositories))
        if objects:
            message = f"Not authorized to perform: {action}"
            failures.append({"facet": facet, "error_code": _DENIED, "error_message": message, "objects": objects})
    return failures


def _calls(target: Target, repositories: Sequence[Repository]) -> int:
    """How many calls the target takes: the list, and with repositories in it all facets."""
    count = len(repositories)
    if not count:
        return 1
    keys = {each.kms_key for each in repositories if each.kms_key and _is_own(target, each.kms_key)}
    tagged = sum(each.tags is not None for each in repositories)
    pages = -(-count // 1000) + max(1, -(-tagged // 100)) + -(-count // 25)
    return pages + len(keys) + 2 + 2 * count
