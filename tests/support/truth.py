"""The publication, and the verdicts of each policy, compared with the emulated AWS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import duckdb

from demo.emulated_aws.world import CreationTemplate, Registry, Repository, World
from demo.image_tags import Moved, is_sealed, moves_between
from demo.repository_settings import A_USER_AGENT, EVERYONE, EVERYONE_AS_AWS

MUTABILITY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
COMPLIANT = ("IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION")


def assert_published_is_the_truth(database: Path, world: World) -> None:
    """Every target with its outcome, every repository once, and as many verdicts of each kind as values of theirs."""
    with duckdb.connect(str(database), read_only=True) as published:
        outcomes = {
            (account_id, region): (outcome, count)
            for account_id, region, outcome, count in published.sql(
                "FROM scan_targets SELECT account_id, region, outcome, repository_count"
            ).fetchall()
        }
        names = published.sql("FROM repositories SELECT account_id, region, repository_name WHERE observed").fetchall()
        verdicts = published.execute(
            "FROM policy_output SELECT status, count(*) WHERE policy_id = ? AND observed GROUP BY ALL", [MUTABILITY]
        ).fetchall()
    expected_outcomes: dict[tuple[str, str], tuple[str, int | None]] = {}
    expected_names: list[tuple[str, str, str]] = []
    expected_verdicts: Counter[str] = Counter()
    for target in world.targets():
        outcome = world.outcome(*target)
        found = world.repositories(*target) if outcome == "COLLECTED" else None
        expected_outcomes[target] = (outcome, None if found is None else len(found))
        expected_names += [(*target, each.name) for each in found or ()]
        expected_verdicts.update(_verdict(each.image_tag_mutability) for each in found or ())
    assert outcomes == expected_outcomes
    assert sorted(names) == sorted(expected_names)
    assert dict(verdicts) == expected_verdicts


def _verdict(mutability: str | None) -> str:
    value = (mutability or "").strip().upper()
    return "INCOMPLIANT" if value == "MUTABLE" else "COMPLIANT" if value in COMPLIANT else "UNDETERMINED"


Target = tuple[str, str]


def verdicts_of(folder: str, world: World, before: World | None) -> dict[str, str]:
    """The verdict of the policy in a folder on each object that a scan of all facets sees, by the object's ARN.

    `before`: the night before; in both, the image tags of repositories were read in which a tag can be overwritten.
    """
    collected = [target for target in world.targets() if world.outcome(*target) == "COLLECTED"]
    occupied = [target for target in collected if world.repositories(*target)]
    if folder in REGISTRY_POLICIES:
        decide = REGISTRY_POLICIES[folder]
        return {_arn(world, target, "registry"): decide(world.registry(*target)) for target in occupied}
    if folder in MOVES_POLICIES:
        return dict(_moves_verdicts(folder, world, before, occupied))
    action, verdict = REPOSITORY_POLICIES[folder]
    return {
        _arn(world, target, f"repository/{each.name}"): "UNDETERMINED"
        if action in world.accounts[target[0]].denied_actions
        else verdict(world, target, each)
        for target in occupied
        for each in world.repositories(*target)
    }


def _arn(world: World, target: Target, resource: str) -> str:
    return f"arn:{world.partition}:ecr:{target[1]}:{target[0]}:{resource}"


def _fails(fails: bool) -> str:
    return "INCOMPLIANT" if fails else "COMPLIANT"


def _strict_verdict(mutability: str | None) -> str:
    value = (mutability or "").strip().upper()
    known = ("MUTABLE", *COMPLIANT)
    return _fails(value != "IMMUTABLE") if value in known else "UNDETERMINED"


def _manager(world: World, target: Target, repository: Repository) -> str | None:
    """AWS or CUSTOMER; a key of another account is a customer's."""
    key = repository.kms_key
    if key is None:
        return None
    return world.key_source(key) if f":{target[0]}:" in key else "CUSTOMER"


def _access_verdict(policy: str | None) -> str:
    return _fails(policy in (EVERYONE, EVERYONE_AS_AWS, A_USER_AGENT))


# For each policy of repositories the action of IAM by which it is read, beyond the list, and its verdict.
REPOSITORY_POLICIES: Mapping[str, tuple[str, Callable[[World, Target, Repository], str]]] = {
    "repository-image-tag-mutability": ("", lambda _, __, each: _verdict(each.image_tag_mutability)),
    "repository-image-tag-immutability-strict": ("", lambda _, __, each: _strict_verdict(each.image_tag_mutability)),
    "repository-encryption": (
        "kms:DescribeKey",
        lambda world, target, each: _fails(_manager(world, target, each) != "CUSTOMER"),
    ),
    "repository-image-scanning": (
        "ecr:BatchGetRepositoryScanningConfiguration",
        lambda world, target, each: _fails(world.registry(*target).scanning_of(each)[0] == "MANUAL"),
    ),
    "repository-lifecycle": ("ecr:GetLifecyclePolicy", lambda _, __, each: _fails(each.lifecycle_policy is None)),
    "repository-public-access": ("ecr:GetRepositoryPolicy", lambda _, __, each: _access_verdict(each.policy)),
}


# Whether a move fails the policy. In the demo, tags that begin with a number are releases.
MOVES_POLICIES: Mapping[str, Callable[[Moved], bool]] = {
    "repository-release-tag-moved": lambda move: move.tag[0].isdigit(),
    "repository-tag-moved-though-immutable": lambda move: move.kind == "moved_though_immutable",
}


def _moves_verdicts(
    folder: str, world: World, before: World | None, occupied: Sequence[Target]
) -> Iterator[tuple[str, str]]:
    moves = moves_between(before, world) if before else ()
    failing = {move.repository_arn for move in moves if MOVES_POLICIES[folder](move)}
    read: dict[tuple[Target, str, float], Repository] = {}
    for target in before.targets() if before else ():
        if before and before.outcome(*target) == "COLLECTED":
            found = before.repositories(*target)
            read |= {(target, each.name, each.created_at): each for each in found if not is_sealed(each)}
    for target in occupied:
        for each in world.repositories(*target):
            arn = _arn(world, target, f"repository/{each.name}")
            is_left_out = folder == "repository-tag-moved-though-immutable" and _forbids_nothing(each)
            if is_sealed(each) or (is_left_out and arn not in failing):
                yield arn, "INAPPLICABLE"
            elif (target, each.name, each.created_at) not in read:
                yield arn, "UNDETERMINED"
            else:
                yield arn, _fails(arn in failing)


def _forbids_nothing(repository: Repository) -> bool:
    return repository.image_tag_mutability == "MUTABLE" or repository.exclusion_filters == ("*",)


def _makes_immutable(template: CreationTemplate) -> bool:
    return (template.image_tag_mutability or "MUTABLE") != "MUTABLE"


def _creation_verdict(registry: Registry) -> str:
    templates = {each.prefix.rstrip("/"): each for each in registry.creation_templates}
    if not templates and not registry.pull_through_rules:
        return "INAPPLICABLE"
    # No rule of the demo has a template of a shorter prefix than its own but ROOT.
    applied = [templates.get(each.prefix) or templates.get("ROOT") for each in registry.pull_through_rules]
    makers = [*templates.values(), *applied]
    return _fails(not all(each is not None and _makes_immutable(each) for each in makers))


REGISTRY_POLICIES: Mapping[str, Callable[[Registry], str]] = {"registry-new-repositories-mutable": _creation_verdict}
