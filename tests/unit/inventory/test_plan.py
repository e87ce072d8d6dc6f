"""The plan of a run: the wanted accounts x regions, cut into batches of about the same work."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_audit.aws.regions import Region
from ecr_audit.errors import FinalError
from ecr_audit.inventory.batches import MOST_BATCHES, assign_batches
from ecr_audit.inventory.missing import Missing
from ecr_audit.inventory.plan import ScanScope
from ecr_audit.inventory.plan_files import PlanError, read_missing, read_plan, read_plan_table
from ecr_audit.lake.schemas import ACCOUNTS

from .conftest import FakeOrganization, MakeScope

DAY, NEXT_DAY = date(2026, 3, 1), date(2026, 3, 2)
HUB, SHOP, STOCK, DEV, OLD = "100000000000", "200000000000", "300000000000", "400000000000", "500000000000"


@pytest.fixture
def company(organization: FakeOrganization) -> FakeOrganization:
    organization.add(SHOP, path="Root/Prod/Shop")
    organization.add(STOCK, path="Root/Prod")
    organization.add(DEV, path="Root/Dev")
    organization.add(OLD, state="SUSPENDED")
    organization.regions = [Region("eu-south-1", True), Region("eu-west-1", False), Region("us-east-1", False)]
    return organization


def targets(company: FakeOrganization, scope: ScanScope | None = None, **configured: Any) -> list[dict[str, Any]]:
    plan, _ = company.plan(DAY, scope, **configured)
    return list(read_plan_table(company.lake, plan, "targets.parquet").to_pylist())


def accounts(company: FakeOrganization, scope: ScanScope | None = None, **configured: Any) -> set[str]:
    return {row["account_id"] for row in targets(company, scope, **configured)}


def regions(company: FakeOrganization, scope: ScanScope | None = None, **configured: Any) -> set[str]:
    return {row["region"] for row in targets(company, scope, **configured)}


def test_every_account_meets_every_region_and_the_inactive_are_in_no_batch(company: FakeOrganization) -> None:
    rows = targets(company)
    assert [(row["account_id"], row["region"]) for row in rows] == [
        (account_id, region)
        for account_id in (HUB, SHOP, STOCK, DEV, OLD)
        for region in ("eu-south-1", "eu-west-1", "us-east-1")
    ]
    assert {row["region"] for row in rows if row["opt_in"]} == {"eu-south-1"}
    assert {row["account_id"] for row in rows if row["batch"] is None} == {OLD}


def test_a_plan_knows_its_run_and_all_accounts(company: FakeOrganization, scope: MakeScope) -> None:
    plan, _ = company.plan(DAY, scope(accounts=[DEV]))
    assert read_plan(company.lake, plan.plan_id) == plan
    assert (plan.snapshot_date, plan.run_id, plan.organization_id) == (DAY, "run", "o-1")
    assert (plan.hub_account_id, plan.partition, plan.limited) == (HUB, "aws", True)
    staged = read_plan_table(company.lake, plan, "accounts.parquet")
    assert staged["account_id"].to_pylist() == [HUB, SHOP, STOCK, DEV, OLD]
    assert staged.schema.equals(ACCOUNTS.schema)
    assert staged["unit_ids"].to_pylist()[1] == ["r-1", "ou-prod", "ou-shop"]


def test_a_run_without_limits_is_not_limited(company: FakeOrganization, scope: MakeScope) -> None:
    assert company.plan(DAY, scope())[0].limited is False


@pytest.mark.parametrize(
    ("unit", "within"),
    [
        ("Root/Prod", {SHOP, STOCK}),
        ("ou-prod", {SHOP, STOCK}),
        ("Root/Prod/Shop", {SHOP}),
        ("ou-shop", {SHOP}),
        ("Root", {HUB, SHOP, STOCK, DEV, OLD}),
        ("r-1", {HUB, SHOP, STOCK, DEV, OLD}),
    ],
)
def test_a_unit_is_meant_with_all_below_it_by_path_or_id(
    company: FakeOrganization, scope: MakeScope, unit: str, within: set[str]
) -> None:
    assert accounts(company, scope(ous=[unit])) == within


def test_a_unit_that_holds_only_units_is_found_by_its_id(company: FakeOrganization, scope: MakeScope) -> None:
    company.accounts = [each for each in company.accounts if each.account_id != STOCK]
    assert accounts(company, scope(ous=["ou-prod"])) == {SHOP}


def test_a_unit_whose_name_begins_another_is_not_that_other(company: FakeOrganization, scope: MakeScope) -> None:
    company.add("600000000000", path="Root/Prod/Shop")
    company.accounts[-1] = type(company.accounts[-1])(**{**vars(company.accounts[-1]), "ou_path": "Root/Production"})
    assert "600000000000" not in accounts(company, scope(ous=["Root/Prod"]))


def test_a_slash_in_a_name_makes_no_other_unit(company: FakeOrganization, scope: MakeScope) -> None:
    """`CI/CD` and `Sandbox/evil` are units under the root; CI with CD in it, and Sandbox, are others."""
    where = {
        "600000000000": "CI%2FCD",
        "700000000000": "CI/CD",
        "800000000000": "Sandbox%2Fevil",
        "900000000000": "Sandbox",
    }
    for account_id, path in where.items():
        company.add(account_id)
        company.accounts[-1] = replace(company.accounts[-1], ou_path=f"Root/{path}")
    for unit, within in (
        ("Root/CI%2FCD", "600000000000"),
        ("Root/CI", "700000000000"),
        ("Root/CI/CD", "700000000000"),
        ("Root/Sandbox", "900000000000"),
    ):
        assert accounts(company, scope(ous=[unit])) == {within}
    with pytest.raises(PlanError, match=r"the run's OUs: 'Root/Sandbox/evil' holds no account. Nearest: Root/Sandbox"):
        company.plan(DAY, scope(ous=["Root/Sandbox/evil"]))


def test_several_limits_narrow_each_other_and_several_values_add_up(
    company: FakeOrganization, scope: MakeScope
) -> None:
    assert accounts(company, scope(ous=["ou-shop", "Root/Dev"])) == {SHOP, DEV}
    assert accounts(company, scope(ous=["Root/Prod"], accounts=[SHOP, DEV])) == {SHOP}
    assert accounts(company, scope(accounts=[SHOP, DEV]), accounts=(DEV, STOCK)) == {DEV}
    assert regions(company, scope(regions=["us-east-1", "eu-south-1"])) == {"us-east-1", "eu-south-1"}
    assert regions(company, scope(regions=["us-east-1"]), regions=("us-east-1", "eu-west-1")) == {"us-east-1"}
    assert regions(company, regions=("eu-west-1", "eu-west-1")) == {"eu-west-1"}


@pytest.mark.parametrize(
    ("limited", "configured", "message"),
    [
        (
            {"accounts": ["200000000001"]},
            {},
            "the run's accounts: '200000000001' is not an account .* Nearest: 200000000000",
        ),
        ({}, {"accounts": ("999999999999",)}, "ECR_AUDIT_ACCOUNTS: '999999999999' is not an account of this org"),
        (
            {"regions": ["eu-west-11"]},
            {},
            "the run's regions: 'eu-west-11' is not a region .* partition aws. Nearest: eu-",
        ),
        (
            {},
            {"regions": ("eu-west-9",)},
            "ECR_AUDIT_REGIONS: 'eu-west-9' is not a region of ECR in partition aws. Nearest",
        ),
        ({"ous": ["Root/Prood"]}, {}, "the run's OUs: 'Root/Prood' holds no account. Nearest: Root/Prod"),
        ({"ous": ["ou-none"]}, {}, "the run's OUs: 'ou-none' holds no account"),
        # Each by itself is there, but not both.
        ({"regions": ["us-east-1"]}, {"regions": ("eu-west-1",)}, "no region in common"),
        ({"accounts": [SHOP]}, {"accounts": (DEV,)}, "no account in common"),
        ({"accounts": [SHOP], "ous": ["Root/Dev"]}, {}, "no account in common"),
    ],
)
def test_an_unknown_name_is_reported_with_the_known_ones(
    company: FakeOrganization, scope: MakeScope, limited: dict[str, Any], configured: dict[str, Any], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        company.plan(DAY, scope(**limited), **configured)


@pytest.mark.parametrize(
    ("configured", "missing"),
    [
        ({"accounts": (SHOP, "999999999999", "888888888888")}, Missing(["999999999999", "888888888888"], [])),
        ({"regions": ("eu-west-1", "eu-west-9")}, Missing([], ["eu-west-9"])),
        ({"accounts": (SHOP, OLD), "regions": ("eu-west-1",)}, Missing([], [])),
    ],
)
def test_missing_accounts_and_regions_are_left_out_and_reported(
    company: FakeOrganization, caplog: pytest.LogCaptureFixture, configured: dict[str, Any], missing: Missing
) -> None:
    """An account that has left the organization must not cost the others their nights."""
    plan, _ = company.plan(DAY, **configured)
    planned = read_plan_table(company.lake, plan, "targets.parquet")
    assert read_missing(planned) == missing
    wanted = set(configured.get("accounts", (HUB, SHOP, STOCK, DEV, OLD))) - set(missing.accounts)
    assert {row["account_id"] for row in planned.to_pylist()} == wanted
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == missing.sentences()


def test_without_an_answer_of_ec2_a_setting_is_trusted(company: FakeOrganization) -> None:
    """botocore's list may lack newer regions: a region that is not known to be gone stays in coverage."""
    company.doubt = "UnauthorizedOperation"
    assert regions(company) == {"eu-south-1", "eu-west-1", "us-east-1"}
    rows = targets(company, regions=("eu-west-1", "me-newer-1"))
    assert {row["region"]: row["opt_in"] for row in rows} == {"eu-west-1": False, "me-newer-1": True}


def test_a_second_organization_is_kept_out_of_a_lake(company: FakeOrganization) -> None:
    company.run(DAY)
    company.id = "o-2"
    with pytest.raises(PlanError, match=r"holds the snapshots of organization o-1, .* belongs to o-2") as caught:
        company.plan(NEXT_DAY)
    assert "ECR_AUDIT_LAKE" in str(caught.value)
    assert isinstance(caught.value, FinalError)


def test_batches_follow_the_calls_of_the_last_scan(company: FakeOrganization) -> None:
    """One account took 97 of 100 calls: the next night it has a batch to itself, and the others share one."""
    company.regions = company.regions[1:2]
    company.accounts = company.accounts[:4]
    assert batches(company, DAY) == {HUB: 0, SHOP: 0, STOCK: 1, DEV: 1}
    company.calls = {(HUB, "eu-west-1"): 97}
    company.run(DAY)
    assert batches(company, NEXT_DAY) == {HUB: 0, SHOP: 1, STOCK: 1, DEV: 1}


def test_accounts_of_a_lost_batch_are_planned_as_unscanned(company: FakeOrganization) -> None:
    first = batches(company, DAY)
    company.run(DAY, batch_accounts=2, lost=[first[HUB]])
    assert batches(company, NEXT_DAY) == first


def batches(company: FakeOrganization, day: date) -> dict[str, int]:
    plan, _ = company.plan(day, batch_accounts=2)
    rows = read_plan_table(company.lake, plan, "targets.parquet").to_pylist()
    return {row["account_id"]: row["batch"] for row in rows}


def test_the_numbers_of_the_batches_are_those_in_the_targets(company: FakeOrganization) -> None:
    plan, numbers = company.plan(DAY, batch_accounts=1)
    rows = read_plan_table(company.lake, plan, "targets.parquet").to_pylist()
    assert numbers == sorted({row["batch"] for row in rows} - {None}) == [0, 1, 2, 3]


def test_an_organization_that_is_all_inactive_has_one_empty_batch(company: FakeOrganization, scope: MakeScope) -> None:
    """So that what follows the batches runs: the targets are committed as ACCOUNT_INACTIVE."""
    plan, numbers = company.plan(DAY, scope(accounts=[OLD]))
    assert numbers == [0]
    rows = read_plan_table(company.lake, plan, "targets.parquet").to_pylist()
    assert {(row["account_id"], row["batch"]) for row in rows} == {(OLD, None)}


@pytest.mark.parametrize(
    ("number", "batch_accounts", "sizes"),
    [
        (1, 25, [1]),
        (25, 25, [25]),
        (26, 25, [13, 13]),
        (100, 25, [25] * 4),
        # Beyond the most batches, each takes more accounts instead.
        (MOST_BATCHES * 10, 1, [10] * MOST_BATCHES),
        (3, 10_000, [3]),
    ],
)
def test_accounts_of_equal_work_make_even_batches(number: int, batch_accounts: int, sizes: list[int]) -> None:
    accounts = [f"{n:012}" for n in range(number)]
    assert list(Counter(assign_batches(accounts, {}, batch_accounts, regions=17).values()).values()) == sizes


@settings(deadline=None)
@given(
    calls=st.lists(st.integers(0, 10_000), max_size=200),
    batch_accounts=st.integers(1, 50),
    regions=st.integers(1, 40),
)
def test_every_account_is_in_one_batch_in_order_and_no_batch_is_overloaded(
    calls: list[int], batch_accounts: int, regions: int
) -> None:
    accounts = [f"{n:012}" for n in range(len(calls))]
    expected = dict(zip(accounts, calls, strict=True))
    batch_of = assign_batches(accounts, expected, batch_accounts, regions)
    assert list(batch_of) == accounts
    numbers = list(batch_of.values())
    # In the order of the accounts, so that the sorted parts of the batches make a sorted table.
    assert numbers == sorted(numbers)
    wanted = min(MOST_BATCHES, -(-len(accounts) // batch_accounts))
    assert set(numbers) <= set(range(wanted))
    # No batch has more than its even share of the work and one account's besides.
    work = {account: max(number, regions) for account, number in expected.items()}
    for batch in set(numbers):
        its_work = [work[account] for account in accounts if batch_of[account] == batch]
        assert sum(its_work) <= sum(work.values()) / wanted + max(its_work) + 1e-6
