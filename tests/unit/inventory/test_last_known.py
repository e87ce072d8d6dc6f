"""Values that could not be read tonight stay as last known, with their time; others count at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from ecr_audit.aws.ecr.facets import FACETS
from ecr_audit.aws.organization import Account
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.aws.regions import Region
from ecr_audit.aws.session import HubError
from ecr_audit.inventory.commit import commit_snapshot
from ecr_audit.inventory.last_known import completed_repositories, keep_last_known_details
from ecr_audit.inventory.plan import ScanScope
from ecr_audit.inventory.plan_files import PlanError
from ecr_audit.inventory.scan import scan_batch
from ecr_audit.lake.schemas import ACCOUNTS, REGISTRIES, REPOSITORIES
from ecr_audit.lake.tables import LakeTable
from ecr_audit.settings import Settings
from ecr_audit.vocabulary import Facet

from .conftest import FakeOrganization, MakeScope

DAYS = [date(2026, 3, day) for day in range(1, 8)]
FIRST, SECOND, THIRD, FOURTH = DAYS[:4]
HUB, A, B = "100000000000", "200000000000", "300000000000"
EU, US = "eu-west-1", "us-east-1"
OWNED, SUNSET = {"owner": "team"}, {"owner": "team", "lifecycle": "sunset"}


@pytest.fixture
def night(organization: FakeOrganization) -> FakeOrganization:
    """Two members beside the hub: `a1` and `a2` have tags, `b1` has none."""
    organization.add(A, B)
    organization.repositories = {(A, EU): ["a1", "a2"], (B, EU): ["b1"]}
    organization.tags = {"a1": OWNED, "a2": SUNSET}
    return organization


# Tags


def test_unread_tags_stay_with_their_age(night: FakeOrganization) -> None:
    night.run(FIRST)
    night.tags_denied = {(A, EU)}
    for day in DAYS[1:4]:
        night.run(day)
        assert night.tags_of(day) == {"a1": (OWNED, FIRST), "a2": (SUNSET, FIRST), "b1": ({}, day)}, day
        assert set(night.observed(day).values()) == {True}


def test_tags_that_can_be_read_again_count_at_once_and_so_does_their_removal(night: FakeOrganization) -> None:
    night.run(FIRST)
    night.tags_denied = {(A, EU)}
    night.tags = {"a1": {"owner": "other"}, "b1": OWNED}
    night.run(SECOND)
    assert night.tags_of(SECOND) == {"a1": (OWNED, FIRST), "a2": (SUNSET, FIRST), "b1": (OWNED, SECOND)}
    night.tags_denied = set()
    night.run(THIRD)
    assert night.tags_of(THIRD) == {"a1": ({"owner": "other"}, THIRD), "a2": ({}, THIRD), "b1": (OWNED, THIRD)}


def test_a_repository_that_is_new_or_another_has_no_tags_and_one_that_is_gone_stays_gone(
    night: FakeOrganization,
) -> None:
    night.run(FIRST)
    night.tags_denied = {(A, EU)}
    night.repositories[A, EU] = ["a1", "new"]
    night.created = {"a1": 2.0}
    night.run(SECOND)
    assert night.tags_of(SECOND) == {"a1": (None, None), "new": (None, None), "b1": ({}, SECOND)}
    night.run(THIRD)
    assert night.tags_of(THIRD) == {"a1": (None, None), "new": (None, None), "b1": ({}, THIRD)}


@pytest.mark.parametrize("created", [(None, 1.0), (1.0, None), (None, None)])
def test_a_repository_without_a_time_of_creation_is_taken_for_the_one_of_before(
    night: FakeOrganization, created: tuple[Any, ...]
) -> None:
    night.created = {"a1": created[0]}
    night.run(FIRST)
    night.tags_denied = {(A, EU)}
    night.created = {"a1": created[1]}
    night.run(SECOND)
    assert night.tags_of(SECOND)["a1"] == (OWNED, FIRST)


def test_tags_that_are_not_wanted_are_not_kept(night: FakeOrganization) -> None:
    night.run(FIRST)
    night.run(SECOND, collect=())
    assert set(night.tags_of(SECOND).values()) == {(None, None)}
    night.tags_denied = {(A, EU)}
    night.run(THIRD)
    assert night.tags_of(THIRD) == {"a1": (None, None), "a2": (None, None), "b1": ({}, THIRD)}


def test_a_target_that_is_dark_and_then_without_tags_keeps_those_of_before(night: FakeOrganization) -> None:
    night.run(FIRST)
    night.outcomes[A, EU] = Outcome.FAILED
    night.run(SECOND)
    assert night.tags_of(SECOND)["a1"] == (OWNED, FIRST)
    del night.outcomes[A, EU]
    night.tags_denied = {(A, EU)}
    night.run(THIRD)
    assert night.tags_of(THIRD)["a1"] == (OWNED, FIRST)
    night.outcomes[A, EU] = Outcome.FAILED
    night.run(FOURTH)
    assert night.tags_of(FOURTH)["a1"] == (OWNED, FIRST)


def test_a_limited_run_leaves_other_tags_as_that_day_has_them(night: FakeOrganization, scope: MakeScope) -> None:
    night.run(FIRST)
    night.tags_denied = {(A, EU)}
    night.run(SECOND)
    night.tags_denied = {(A, EU), (B, EU)}
    night.run(SECOND, scope=scope(accounts=[B]))
    [b1] = [row for row in night.rows(SECOND, REPOSITORIES) if row["repository_name"] == "b1"]
    # They were read by the day's first run, whose rows the second one, which could not, replaced.
    assert (b1["tags"], b1["tags_read_at"] < b1["collected_at"]) == ([], True)
    night.tags_denied = set()
    night.run(SECOND, scope=scope(accounts=[B]))
    assert night.tags_of(SECOND) == {"a1": (OWNED, FIRST), "a2": (SUNSET, FIRST), "b1": ({}, SECOND)}


def test_batches_that_are_lost_or_scanned_again_change_nothing_of_it(night: FakeOrganization) -> None:
    night.run(FIRST, batch_accounts=1)
    night.tags_denied = {(A, EU)}
    night.run(SECOND, batch_accounts=1, lost=[1])
    assert night.tags_of(SECOND)["a1"] == (OWNED, FIRST)
    assert night.observed(SECOND)[A, EU, "a1"] is False
    plan, batches = night.plan(THIRD)
    for _ in range(2):
        for batch in batches:
            scan_batch(night.lake, night.hub, plan.plan_id, batch, Settings())
    commit_snapshot(night.lake, plan.plan_id)
    commit_snapshot(night.lake, plan.plan_id)
    assert night.tags_of(THIRD)["a1"] == (OWNED, FIRST)


def test_a_target_with_an_error_keeps_the_tags_that_were_read(night: FakeOrganization) -> None:
    """Such as one with an odd tag, which was left out."""
    night.run(FIRST)
    night.tags_odd = {(A, EU)}
    night.tags = {"a1": {"owner": "other"}}
    night.run(SECOND)
    assert night.tags_of(SECOND) == {"a1": ({"owner": "other"}, SECOND), "a2": ({}, SECOND), "b1": ({}, SECOND)}


def test_tags_of_an_older_version_are_as_old_as_its_rows() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [{"tags": [("a", "b")], "collected_at": at}, {"tags": None, "collected_at": at}]
    older = pa.Table.from_pylist(rows, schema=REPOSITORIES.schema_of(4))
    assert completed_repositories(older)["tags_read_at"].to_pylist() == [at, None]


# Facets by rotation, and registries


def known(night: FakeOrganization, day: date, table: LakeTable, column: str) -> dict[str, tuple[Any, date | None]]:
    """By ARN: a value of a facet, and the day on which it was read."""
    [declaration] = [each for each in FACETS if column in each.columns]
    arn = "registry_arn" if table is REGISTRIES else "repository_arn"
    nights = {
        row["collected_at"]: each for each in DAYS if each <= day for row in night.rows(each, table) if row["observed"]
    }
    return {row[arn]: (row[column], nights.get(row[declaration.read_at])) for row in night.rows(day, table)}


def test_values_whose_turn_it_is_not_stay_as_they_were_read(night: FakeOrganization) -> None:
    night.facets = {Facet.LIFECYCLE: {"/a1": {"lifecycle_policy": "{}"}}}
    night.run(FIRST, collect=(Facet.LIFECYCLE,))
    night.facets = {Facet.LIFECYCLE: {"/a2": {"lifecycle_policy": None}}}
    night.run(SECOND, collect=(Facet.LIFECYCLE,))
    by_arn = known(night, SECOND, REPOSITORIES, "lifecycle_policy")
    assert {arn.rpartition("/")[2]: value for arn, value in by_arn.items()} == {
        "a1": ("{}", FIRST),
        # There is none, which is not the same as never read.
        "a2": (None, SECOND),
        "b1": (None, None),
    }
    night.run(THIRD, collect=(Facet.TAGS,))
    assert set(known(night, THIRD, REPOSITORIES, "lifecycle_policy").values()) == {(None, None)}


def test_a_failure_stays_until_the_next_turn_succeeds(night: FakeOrganization) -> None:
    """By rotation: a value that AWS refuses does not look like one whose turn has not come."""

    def failed(day: date) -> dict[str, list[str]]:
        rows = night.rows(day, REPOSITORIES)
        return {row["repository_name"]: [each["error_code"] for each in row["facets_failed"]] for row in rows}

    night.repositories = {(A, EU): ["a1", "a2"]}
    night.facets = {Facet.LIFECYCLE: {"/a1": {}, "/a2": {"lifecycle_policy": "{}"}}}
    night.denied = {"/a1": "AccessDeniedException"}
    night.run(FIRST, collect=(Facet.LIFECYCLE,))
    night.facets = {Facet.LIFECYCLE: {}}
    for day in (SECOND, THIRD):
        night.run(day, collect=(Facet.LIFECYCLE,))
        assert failed(day) == {"a1": ["AccessDeniedException"], "a2": []}
    night.facets, night.denied = {Facet.LIFECYCLE: {"/a1": {"lifecycle_policy": None}}}, {}
    night.run(FOURTH, collect=(Facet.LIFECYCLE,))
    assert failed(FOURTH) == {"a1": [], "a2": []}


def test_a_registry_stays_known_while_its_target_is_dark_and_goes_with_its_last_repository(
    night: FakeOrganization,
) -> None:
    rules = {"creation_templates": [], "pull_through_rules": [{"prefix": "hub", "upstream_registry_url": "u"}]}
    night.facets = {Facet.REGISTRIES: {":registry": rules}}
    night.run(FIRST)
    night.facets = {Facet.REGISTRIES: {}}
    night.outcomes[B, EU] = Outcome.FAILED
    night.run(SECOND)
    in_a, in_b = (f"arn:aws:ecr:{EU}:{account_id}:registry" for account_id in (A, B))
    # The one waits for its turn; the target of the other was not read.
    value = (rules["pull_through_rules"], FIRST)
    assert known(night, SECOND, REGISTRIES, "pull_through_rules") == {in_a: value, in_b: value}
    observed = {row["registry_arn"]: row["observed"] for row in night.rows(SECOND, REGISTRIES)}
    assert observed == {in_a: True, in_b: False}
    night.outcomes.clear()
    night.repositories[B, EU] = []
    night.run(THIRD)
    assert known(night, THIRD, REGISTRIES, "pull_through_rules") == {in_a: value}


# Accounts


def unit_of(night: FakeOrganization, day: date, account_id: str = A) -> tuple[Any, ...]:
    """The account's name, unit and date of joining, and the night on which they were read."""
    nights = {row["collected_at"]: each for each in DAYS if each <= day for row in night.rows(each, ACCOUNTS)}
    [row] = [row for row in night.rows(day, ACCOUNTS) if row["account_id"] == account_id]
    return row["account_name"], row["ou_id"], row["ou_path"], row["joined_at"], nights.get(row["details_read_at"])


def without(night: FakeOrganization, **changes: Any) -> list[Account]:
    """The accounts, A as changed."""
    return [replace(each, **changes) if each.account_id == A else each for each in night.accounts]


@pytest.mark.parametrize(
    "missing", [{"ou_id": None, "ou_path": None, "unit_ids": ()}, {"name": ""}, {"joined_at": None}]
)
def test_missing_details_of_an_account_stay_as_last_known(night: FakeOrganization, missing: dict[str, Any]) -> None:
    night.run(FIRST)
    name, *known, read_on = unit_of(night, FIRST)
    assert (name, read_on) == (f"account {A}", FIRST)
    there = night.accounts
    night.accounts = without(night, **missing)
    for day in (SECOND, THIRD):
        night.run(day)
        assert unit_of(night, day) == (name, *known, FIRST)
        assert unit_of(night, day, B)[-1] == day
    night.accounts = there
    night.run(FOURTH)
    assert unit_of(night, FOURTH) == (name, *known, FOURTH)


def test_a_tree_of_units_that_cannot_be_read_costs_the_units_of_new_accounts_only(night: FakeOrganization) -> None:
    night.units_error = "organizations:ListRoots is refused"
    with pytest.raises(HubError, match="ListRoots is refused"):
        night.run(FIRST)
    night.units_error = None
    night.run(FIRST)
    night.units_error = "organizations:ListRoots is refused"
    night.add("400000000000")
    assert night.run(SECOND).details["units_error"] == "organizations:ListRoots is refused"
    assert unit_of(night, SECOND) == unit_of(night, FIRST)
    assert unit_of(night, SECOND, "400000000000")[1:3] == (None, None)
    assert set(night.outcomes_of(SECOND).values()) == {"COLLECTED"}


def test_an_account_whose_unit_was_never_read_has_none(night: FakeOrganization) -> None:
    night.accounts = without(night, ou_id=None, ou_path=None, unit_ids=())
    night.run(FIRST)
    assert unit_of(night, FIRST)[1:] == (None, None, datetime(2020, 1, 1, tzinfo=UTC), None)


def test_a_run_of_a_unit_reads_the_accounts_last_known_to_be_in_it(night: FakeOrganization, scope: MakeScope) -> None:
    night.run(FIRST)
    night.accounts = without(night, ou_id=None, ou_path=None, unit_ids=())
    night.run(SECOND, scope=scope(ous=["Root"]))
    assert {account_id for account_id, _ in night.outcomes_of(SECOND)} == {HUB, A, B}
    night.run(THIRD, scope=scope(ous=[night.accounts[0].ou_id]))
    assert {account_id for account_id, _ in night.outcomes_of(THIRD)} == {HUB, A, B}


PROD, SHOP = ("r-1", "ou-prod"), ("r-1", "ou-prod", "ou-shop")


@pytest.mark.parametrize(
    ("kept", "known_ids", "others", "expected"),
    [
        pytest.param("Root/Prod/Shop", SHOP, [], ("Root/Prod/Shop", SHOP), id="no other account knows"),
        pytest.param("Root/Prod/Shop", SHOP, [("Root/Live/Store", SHOP)], ("Root/Live/Store", SHOP), id="renamed"),
        pytest.param("Root/Prod/Shop", SHOP, [("Root/Live", PROD)], ("Root/Live/Shop", SHOP), id="one above renamed"),
        pytest.param("Root/Prod/Shop", None, [("Root/Prod", PROD)], ("Root/Prod/Shop", SHOP), id="an older version"),
        pytest.param(
            "Root/Prod/Shop", None, [("Root/Dev", ("r-1", "ou-dev"))], ("Root/Prod/Shop", ("r-1", None, "ou-shop")),
            id="an older version, the unit above not known",
        ),
    ],
)  # fmt: skip
def test_a_unit_that_is_kept_is_called_as_other_accounts_call_it_tonight(
    kept: str, known_ids: tuple[str, ...] | None, others: list[Any], expected: tuple[Any, ...]
) -> None:
    """So that one unit is one, whatever night each account's was read on."""
    before, tonight = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)

    def row(
        account_id: str, ou_path: str | None, unit_ids: tuple[str | None, ...] | None, **more: object
    ) -> dict[str, Any]:
        ou_id = unit_ids[-1] if unit_ids else None
        row = {"account_id": account_id, "account_name": "n", "joined_at": before, "collected_at": tonight}
        return row | {"ou_id": ou_id, "ou_path": ou_path, "unit_ids": unit_ids} | more

    known = {A: row(A, kept, known_ids, ou_id="ou-shop", details_read_at=before)}
    rows = [row(A, None, ()), *(row(f"{n}", *each) for n, each in enumerate(others))]
    found = keep_last_known_details(rows, known)
    assert (found[0]["ou_path"], tuple(found[0]["unit_ids"])) == expected
    assert [(each["ou_path"], each["unit_ids"]) for each in found[1:]] == others


# Regions


def regions_of(night: FakeOrganization, day: date) -> set[str]:
    return {region for _, region in night.outcomes_of(day)}


def refuse(night: FakeOrganization, *botocore: str) -> None:
    """EC2 no longer names the regions; botocore knows these."""
    night.regions, night.doubt = [Region(name, False) for name in botocore], "denied"


def test_the_list_of_regions_stays_as_it_was_last_read(night: FakeOrganization) -> None:
    """Neither one that botocore does not know yet is lost, nor one that only botocore knows is planned."""
    night.regions = [Region("ap-new-1", True), Region(EU, False)]
    read_at = night.run(FIRST).details["regions_read_at"]
    refuse(night, EU, US)
    for day in (SECOND, THIRD):
        details = night.run(day).details
        assert regions_of(night, day) == {"ap-new-1", EU}
        assert details["regions"] == {"ap-new-1": True, EU: False}
        assert (details["regions_read_at"], details["regions_error"]) == (read_at, "denied")


def test_a_region_that_is_asked_for_may_have_opened_since(night: FakeOrganization) -> None:
    night.regions = [Region(EU, False)]
    night.run(FIRST)
    refuse(night, EU, US)
    night.run(SECOND, regions=(EU, US))
    assert regions_of(night, SECOND) == {EU, US}
    with pytest.raises(PlanError, match="'eu-west-9' is not a region"):
        night.run(THIRD, scope=ScanScope(regions=["eu-west-9"]))


def test_regions_that_were_never_listed_are_those_of_botocore_and_earlier_scans(night: FakeOrganization) -> None:
    refuse(night, EU)
    details = night.run(FIRST).details
    assert regions_of(night, FIRST) == {EU}
    assert (details["regions_read_at"], details["regions_error"]) == (None, "denied")
    refuse(night, US)
    night.run(SECOND)
    assert regions_of(night, SECOND) == {EU, US}


def test_a_list_that_can_be_read_again_counts_at_once(night: FakeOrganization) -> None:
    night.run(FIRST)
    refuse(night, EU)
    night.run(SECOND)
    night.regions, night.doubt = [Region(US, False)], None
    details = night.run(THIRD).details
    assert regions_of(night, THIRD) == {US}
    assert details["regions_error"] is None
