"""The organization, as the emulated AWS returns it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from demo.emulated_aws.world import World
from demo.large import large_world
from support.clients import ErrorOf, MakeClient

HUB, OPEN, SUSPENDED = "1" * 12, "2" * 12, "4" * 12
# Shape `Path` of the API's model.
PATH = r"^(o-[a-z0-9]{10,32}\/r-[0-9a-z]{4,32}(\/ou\-[0-9a-z]{4,32}-[a-z0-9]{8,32})*(\/\d{12})*)\/"


class TestPaging:
    @pytest.fixture
    def world(self) -> World:
        return large_world(45, 1)

    def test_accounts_come_20_a_page(self, client: MakeClient, world: World) -> None:
        pages = list(client("organizations").get_paginator("list_accounts").paginate())
        assert [len(page["Accounts"]) for page in pages] == [20, 20, 5]
        assert [account["Id"] for page in pages for account in page["Accounts"]] == list(world.accounts)

    def test_a_token_of_another_listing_is_refused(self, client: MakeClient, error_of: ErrorOf) -> None:
        organizations = client("organizations")
        token = organizations.list_accounts()["NextToken"]
        assert error_of(organizations.list_roots, NextToken=token)[0] == "InvalidInputException"
        assert error_of(organizations.list_accounts, NextToken="made up")[0] == "InvalidInputException"


def test_an_account_is_reported_with_state_and_paths(client: MakeClient) -> None:
    accounts = {account["Id"]: account for account in client("organizations").list_accounts()["Accounts"]}
    assert accounts[SUSPENDED]["State"] == "SUSPENDED"
    assert "Status" not in accounts[SUSPENDED]
    assert accounts[HUB]["Paths"] == [f"o-demo0ecr0audit/r-demo/{HUB}/"]
    assert accounts[OPEN]["Paths"] == [f"o-demo0ecr0audit/r-demo/ou-demo-00000001/ou-demo-00000002/{OPEN}/"]
    assert all(re.match(PATH, path) for account in accounts.values() for path in account["Paths"])


def test_an_older_api_has_status_and_no_paths(client: MakeClient, world: World) -> None:
    world.has_paths, world.has_status = False, True
    suspended = client("organizations").list_accounts()["Accounts"][3]
    assert suspended["Status"] == "SUSPENDED"
    assert "Paths" not in suspended


def test_the_tree_can_be_walked_down(client: MakeClient) -> None:
    organizations = client("organizations")
    root = organizations.list_roots()["Roots"][0]["Id"]
    (workloads,) = organizations.list_organizational_units_for_parent(ParentId=root)["OrganizationalUnits"]
    (production,) = organizations.list_organizational_units_for_parent(ParentId=workloads["Id"])["OrganizationalUnits"]
    assert (workloads["Name"], production["Name"]) == ("Workloads", "Production")
    accounts = organizations.list_accounts_for_parent(ParentId=production["Id"])["Accounts"]
    assert [account["Name"] for account in accounts] == ["open", "untrusting"]


def test_the_tree_can_be_walked_up(client: MakeClient) -> None:
    organizations = client("organizations")
    (parent,) = organizations.list_parents(ChildId=OPEN)["Parents"]
    assert parent == {"Id": "ou-demo-00000002", "Type": "ORGANIZATIONAL_UNIT"}
    unit = organizations.describe_organizational_unit(OrganizationalUnitId=parent["Id"])["OrganizationalUnit"]
    assert unit["Path"] == "o-demo0ecr0audit/r-demo/ou-demo-00000001/ou-demo-00000002/"
    assert organizations.list_parents(ChildId="ou-demo-00000001")["Parents"] == [{"Id": "r-demo", "Type": "ROOT"}]


def test_any_account_may_know_its_organization(client: MakeClient) -> None:
    organization = client("organizations", account=OPEN).describe_organization()["Organization"]
    assert organization["MasterAccountId"] == HUB
    assert organization["Arn"] == f"arn:aws:organizations::{HUB}:organization/o-demo0ecr0audit"


def test_a_member_may_not_list_the_accounts(client: MakeClient, error_of: ErrorOf) -> None:
    code, message, status = error_of(client("organizations", account=OPEN).list_accounts)
    assert (code, status) == ("AccessDeniedException", 400)
    assert message == "You don't have permissions to access this resource."


def test_a_missing_account_is_an_error(client: MakeClient, error_of: ErrorOf) -> None:
    """Which moto refuses as an account; for a unit and a parent the two agree (test_moto.py)."""
    assert error_of(client("organizations").list_parents, ChildId="9" * 12)[0] == "ChildNotFoundException"


def test_regions_are_reported_as_the_callers_account_sees_them(client: MakeClient) -> None:
    def statuses(account: str = "", **arguments: Any) -> dict[str, str]:
        regions = client("ec2", account=account).describe_regions(**arguments)["Regions"]
        return {region["RegionName"]: region["OptInStatus"] for region in regions}

    default = {"us-east-1": "opt-in-not-required", "eu-west-1": "opt-in-not-required"}
    assert statuses() == default
    assert statuses(AllRegions=True) == {**default, "me-south-1": "not-opted-in"}
    assert statuses(OPEN) == {**default, "me-south-1": "opted-in"}
    assert statuses(OPEN, RegionNames=["eu-west-1"]) == {"eu-west-1": "opt-in-not-required"}
    opted_in = [{"Name": "opt-in-status", "Values": ["opted-in"]}]
    assert statuses(OPEN, Filters=opted_in, AllRegions=True) == {"me-south-1": "opted-in"}
    assert statuses(Filters=opted_in, AllRegions=True) == {}
