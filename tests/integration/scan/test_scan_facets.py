"""Facets over HTTP: what one of them lacks costs no repository, no other facet and no other account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from demo import rows as demo_rows
from demo.emulated_aws.faults import (
    Effect,
    EmptyPage,
    Fault,
    Faults,
    Hang,
    RateLimit,
    Refuse,
    Throttle,
    TruncatedBody,
)
from demo.emulated_aws.server import EmulatedAws
from demo.emulated_aws.world import CreationTemplate, PullThroughRule, Registry, Repository, World
from demo.large import large_world
from demo.repository_settings import LIFECYCLES
from ecr_audit.aws.ecr.facet import Declaration
from ecr_audit.aws.ecr.facets import FACET, FACETS, REGISTRY_FACET
from ecr_audit.aws.permissions import Permission
from ecr_audit.lake.schemas import REGISTRIES, REPOSITORIES
from ecr_audit.vocabulary import Facet

from .conftest import Audit, MakeAudit

DAY = date(2026, 3, 1)
HUB, FIRST, SECOND = "100000000000", "100000000001", "100000000002"
BUSY = (FIRST, "us-east-1")
ALL: dict[str, Any] = {"collect": "all", "collect_rotation_nights": 1}
READ_AT = datetime(2026, 3, 1, tzinfo=UTC)

Values = dict[str, dict[str, Any]]


@pytest.fixture
def world() -> World:
    """Some twelve occupied registries of eight accounts."""
    return large_world(8, 3, occupied_share=0.6, repositories_per_target=6)


def values(audit: Audit, declaration: Declaration, day: date = DAY) -> Values:
    """The columns of a facet that are in the lake, by the object's ARN, where it was read in that night."""
    table, arn = _table_of(declaration)
    return {
        row[arn]: {column: row[column] for column in declaration.columns}
        for row in audit.rows(table, day)
        if row[declaration.read_at] == row["collected_at"]
    }


def truth(world: World, declaration: Declaration) -> Values:
    """The same, as the world has them; nothing where the role lacks the permission."""
    rows: Iterator[dict[str, Any]]
    occupied = [each for each in world.targets() if world.outcome(*each) == "COLLECTED" and world.repositories(*each)]
    if declaration is REGISTRY_FACET:
        rows = (demo_rows.registry_row(world, target, READ_AT) for target in occupied)
    else:
        rows = (
            demo_rows.repository_row(world, target, each, READ_AT)
            for target in occupied
            for each in world.repositories(*target)
        )
    arn = _table_of(declaration)[1]
    return {
        row[arn]: {column: row[column] for column in declaration.columns} for row in rows if declaration.read_at in row
    }


def _table_of(declaration: Declaration) -> tuple[Any, str]:
    return (REGISTRIES, "registry_arn") if declaration is REGISTRY_FACET else (REPOSITORIES, "repository_arn")


def failed(audit: Audit, day: date = DAY) -> dict[tuple[str, str], dict[str, tuple[str, int]]]:
    """The facets that failed by target: error code and number of objects."""
    return {
        target: {each["facet"]: (each["error_code"], each["objects"]) for each in row["facets_failed"]}
        for target, row in audit.scan_targets(day).items()
        if row["facets_failed"]
    }


def assert_facets_true(audit: Audit, day: date = DAY, *, but: Facet | None = None) -> None:
    for declaration in FACETS:
        if declaration.facet is not but:
            assert values(audit, declaration, day) == truth(audit.aws.world, declaration), declaration.facet


def with_denied(world: World, permission: Permission, *account_ids: str) -> World:
    denied = frozenset({permission.action})
    changed = {each: replace(world.accounts[each], denied_actions=denied) for each in account_ids}
    return replace(world, accounts={**world.accounts, **changed})


def test_all_facets_are_read_as_they_are(audit_of: MakeAudit, world: World) -> None:
    audit = audit_of(world, **ALL)
    audit.run()
    audit.assert_true()
    assert_facets_true(audit)
    assert not failed(audit)
    # Each facet has values to read.
    assert all(any(any(each.values()) for each in truth(world, facet).values()) for facet in FACETS)


PERMISSIONS = [(each.facet, permission) for each in FACETS for permission in each.permissions]


@pytest.mark.parametrize(("facet", "permission"), PERMISSIONS, ids=lambda each: getattr(each, "action", None))
def test_a_role_that_lacks_a_permission_everywhere_loses_that_facet_alone(
    audit_of: MakeAudit, world: World, facet: Facet, permission: Permission
) -> None:
    audit = audit_of(with_denied(world, permission, *world.accounts), **ALL)
    audit.run()
    audit.assert_true(tags=facet is not Facet.TAGS)
    assert_facets_true(audit)
    found = failed(audit)
    occupied = {each for each in world.targets() if world.repositories(*each)}
    # Keys are asked for where a repository has one, which nearly every target has.
    assert found.keys() == occupied or (facet is Facet.KEYS and found.keys() < occupied)
    assert {(name, code) for each in found.values() for name, (code, _) in each.items()} == {
        (facet, "AccessDeniedException")
    }
    # A refusal costs some calls of a registry, not one for each repository.
    called = audit.aws.counters.operations
    operation = permission.action.partition(":")[2]
    made = next(count for name, count in called.items() if name.endswith(f":{operation}"))
    assert made <= len(occupied) * audit.settings.registry_concurrency


@pytest.mark.parametrize("declaration", FACETS, ids=lambda each: each.facet)
def test_a_facet_that_is_denied_in_one_account_is_read_in_all_others(
    audit_of: MakeAudit, world: World, declaration: Declaration
) -> None:
    """And when it is allowed again, the next night has it."""
    account_id = next(target[0] for target in world.targets() if len(world.repositories(*target)) > 3)
    audit = audit_of(with_denied(world, declaration.permissions[0], account_id), **ALL)
    audit.run()
    assert_facets_true(audit)
    assert {target[0] for target in failed(audit)} == {account_id}
    table, _ = _table_of(declaration)
    for row in audit.rows(table):
        codes = {each["facet"]: each["error_code"] for each in row["facets_failed"]}
        is_unread = row[declaration.read_at] is None
        assert codes == ({declaration.facet: "AccessDeniedException"} if is_unread else {})
        assert not is_unread or row["account_id"] == account_id
    audit.aws.world = world
    audit.run(DAY + timedelta(days=1))
    assert_facets_true(audit, DAY + timedelta(days=1))
    assert not failed(audit, DAY + timedelta(days=1))


@pytest.mark.parametrize("facet", Facet)
def test_throttling_that_passes_costs_a_facet_nothing(audit_of: MakeAudit, world: World, facet: Facet) -> None:
    operations = [each.action.partition(":")[2] for each in FACET[facet].permissions]
    audit = audit_of(world, *(Fault(Throttle(), operation=each, probability=0.3) for each in operations), **ALL)
    audit.run()
    audit.assert_true()
    assert_facets_true(audit)
    assert not failed(audit)
    assert sum(row["throttles"] for row in audit.scan_targets().values())


@pytest.mark.parametrize(
    ("effect", "codes"),
    [(Throttle(), {"ThrottlingException", "BatchTimeUp"}), (Hang(), {"BatchTimeUp"})],
    ids=["throttled for ever", "never answered"],
)
def test_a_batch_whose_time_is_up_keeps_the_repositories_and_facets_that_it_read(
    audit_of: MakeAudit, world: World, effect: Throttle | Hang, codes: set[str]
) -> None:
    """In the account that is struck, too, where the facet is the last one of this night; calls that hang there leave
    some for the others."""
    account_id = next(target[0] for target in world.targets() if len(world.repositories(*target)) > 3)
    fault = Fault(effect, operation="GetRepositoryPolicy", account=account_id)
    audit = audit_of(world, fault, **ALL, concurrency=32)
    audit.settings = audit.settings.model_copy(update={"batch_seconds": 5})
    audit.run()
    audit.assert_true()
    assert_facets_true(audit, but=Facet.POLICIES)
    expected = truth(world, FACET[Facet.POLICIES])
    assert values(audit, FACET[Facet.POLICIES]) == {
        arn: each for arn, each in expected.items() if f":{account_id}:" not in arn
    }
    sizes = {each: len(world.repositories(*each)) for each in world.targets() if each[0] == account_id}
    assert {target: each[Facet.POLICIES][1] for target, each in failed(audit).items()} == {
        target: size for target, size in sizes.items() if size
    }
    assert {code for each in failed(audit).values() for code, _ in each.values()} <= codes


class Vanishing(Faults):
    """Deletes a repository of the emulated AWS as soon as its registry has been listed."""

    def __init__(self, aws: EmulatedAws, target: tuple[str, str], name: str) -> None:
        super().__init__()
        self._aws, self._target, self._name = aws, target, name

    def strike(self, service: str, operation: str, account: str, region: str) -> Iterator[Effect]:
        # The call under way still has the world as it was.
        if operation == "DescribeRepositories" and (account, region) == self._target:
            world, before = self._aws.world, self._aws.world.repository_source
            self._aws.world = replace(
                world,
                repository_source=lambda *target: [
                    each for each in before(*target) if target != self._target or each.name != self._name
                ],
            )
        return super().strike(service, operation, account, region)


def test_a_repository_that_is_deleted_after_it_was_listed_is_not_a_fault(audit_of: MakeAudit, world: World) -> None:
    audit = audit_of(world, **ALL)
    target = next(each for each in world.targets() if len(world.repositories(*each)) > 3)
    deleted = world.repositories(*target)[2].name
    audit.aws.faults = Vanishing(audit.aws, target, deleted)
    audit.run()
    assert deleted not in {each.name for each in audit.aws.world.repositories(*target)}
    assert not failed(audit)
    rows = {row["repository_arn"]: row for row in audit.rows(REPOSITORIES)}
    [row] = [
        row for arn, row in rows.items() if arn.endswith(f":{target[0]}:repository/{deleted}") and target[1] in arn
    ]
    asked_for = (Facet.SCANNING, Facet.LIFECYCLE, Facet.POLICIES)
    assert [row[f"{facet}_read_at"] for facet in asked_for] == [None] * 3
    assert row["observed"] and row["facets_failed"] == []
    for facet in asked_for:
        assert values(audit, FACET[facet]) == truth(audit.aws.world, FACET[facet])
    # The next night knows that it is gone.
    audit.run(DAY + timedelta(days=1))
    assert rows.keys() - {each["repository_arn"] for each in audit.rows(REPOSITORIES, DAY + timedelta(days=1))} == {
        row["repository_arn"]
    }


def test_by_rotation_each_object_is_read_once_in_its_nights(audit_of: MakeAudit, world: World) -> None:
    """Its values stay with when they were read, until its turn comes again."""
    nights = [DAY + timedelta(days=number) for number in range(3)]
    audit = audit_of(world, collect="all", collect_rotation_nights=3)
    read: dict[Facet, Counter[str]] = {each.facet: Counter() for each in FACETS}
    known: dict[Facet, Values] = {each.facet: {} for each in FACETS}
    for night in nights:
        audit.run(night)
        assert not failed(audit, night)
        for declaration in FACETS:
            tonight = values(audit, declaration, night)
            read[declaration.facet].update(tonight.keys())
            known[declaration.facet] |= tonight
            table, arn = _table_of(declaration)
            for row in audit.rows(table, night):
                kept = known[declaration.facet].get(row[arn])
                assert (row[declaration.read_at] is None) == (kept is None)
                assert kept is None or {column: row[column] for column in declaration.columns} == kept
    for declaration in FACETS:
        times = 1 if declaration.rotates else len(nights)
        assert known[declaration.facet] == truth(world, declaration)
        assert set(read[declaration.facet].values()) == {times}, declaration.facet


MANY = Registry(
    None,
    tuple(CreationTemplate(f"team-{number}", "IMMUTABLE") for number in range(1_050)),
    tuple(PullThroughRule(f"quay-{number}", "quay.io") for number in range(1_050)),
)


@pytest.mark.parametrize("operation", ["DescribeRepositoryCreationTemplates", "DescribePullThroughCacheRules"])
@pytest.mark.parametrize(
    ("effect", "code"),
    [
        (EmptyPage(), "PagesEndless"),
        (TruncatedBody(), "ResponseParserError"),
        (Refuse("ValidationException", "no"), "ValidationException"),
    ],
)
def test_pages_of_a_registry_that_fail_for_ever_cost_that_registrys_settings_alone(
    audit_of: MakeAudit, world: World, operation: str, effect: Effect, code: str
) -> None:
    target = next(each for each in world.targets() if world.repositories(*each))
    world = replace(world, registry_source=lambda *_: MANY)
    audit = audit_of(world, Fault(effect, operation=operation, account=target[0], region=target[1]), **ALL)
    audit.run()
    audit.assert_true()
    assert_facets_true(audit, but=Facet.REGISTRIES)
    expected = truth(world, REGISTRY_FACET)
    [lost] = expected.keys() - values(audit, REGISTRY_FACET).keys()
    assert lost.split(":")[3:5] == [target[1], target[0]]
    [(where, facets)] = failed(audit).items()
    assert where == target
    assert facets == {Facet.REGISTRIES: (facets[Facet.REGISTRIES][0], 1)}
    if code != "PagesEndless":
        assert facets[Facet.REGISTRIES][0] == code


def test_pages_of_a_registry_that_are_empty_once_are_all_read(audit_of: MakeAudit, world: World) -> None:
    world = replace(world, registry_source=lambda *_: MANY)
    audit = audit_of(world, Fault(EmptyPage(), operation="DescribePullThroughCacheRules", times=1), **ALL)
    audit.run()
    assert_facets_true(audit)


def test_a_registry_too_large_for_its_limit_is_read_over_several_nights(audit_of: MakeAudit, world: World) -> None:
    """As 100,000 repositories at 10 calls a second, scaled down: what is left over is read in the nights that follow,
    of each facet, and all other registries have everything in each night."""
    many = [
        Repository(f"service-{number:04}", lifecycle_policy=LIFECYCLES[0] if number % 2 else None)
        for number in range(800)
    ]
    before = world.repository_source
    world = replace(world, repository_source=lambda *target: many if target == BUSY else before(*target))
    limit = RateLimit(rate=300, burst=10)
    limited = [
        Fault(limit, operation=each, account=BUSY[0], region=BUSY[1])
        for each in ("GetLifecyclePolicy", "GetRepositoryPolicy")
    ]
    audit = audit_of(world, *limited, collect="lifecycle,policies", collect_rotation_nights=1)
    audit.settings = audit.settings.model_copy(update={"batch_seconds": 2})
    read: dict[Facet, set[str]] = {Facet.LIFECYCLE: set(), Facet.POLICIES: set()}
    expected = {facet: truth(world, FACET[facet]) for facet in read}
    mine = {arn for arn in expected[Facet.LIFECYCLE] if arn.split(":")[3:5] == [BUSY[1], BUSY[0]]}
    for number in range(40):
        night = DAY + timedelta(days=number)
        audit.run(night)
        audit.assert_true(night, tags=False)
        unread = failed(audit, night)
        assert unread.keys() == {BUSY}
        assert sum(objects for _, objects in unread[BUSY].values())
        for facet in read:
            tonight = values(audit, FACET[facet], night)
            assert tonight.keys() >= expected[facet].keys() - mine
            assert all(expected[facet][arn] == each for arn, each in tonight.items())
            read[facet] |= tonight.keys() & mine
        if all(each == mine for each in read.values()):
            break
    assert read == dict.fromkeys(read, mine)
    # All of it is known then, though no night could read it.
    for facet in read:
        rows = [row for row in audit.rows(REPOSITORIES, night) if row["repository_arn"] in mine]
        assert all(_values_of(row, FACET[facet]) == expected[facet][row["repository_arn"]] for row in rows)
        assert all(row[FACET[facet].read_at] for row in rows)


def _values_of(row: Mapping[str, Any], declaration: Declaration) -> dict[str, Any]:
    return {column: row[column] for column in declaration.columns}
