"""What the hub finds out before a scan: who it is, which accounts there are and where, which regions; or why not."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ecr_audit.aws.organization import OfferedRegions, Region, list_accounts, list_regions, organization_id
from ecr_audit.aws.session import HubError, connect_hub
from ecr_audit.demo import world as demo
from ecr_audit.demo.faults import EmptyPage, Fault, Refuse, Reset, ServerError, Throttle, TruncatedBody

DENIED = Refuse("AccessDeniedException", "You don't have permissions to access this resource.")


@pytest.fixture
def no_backoff(monkeypatch):
    """botocore repeats the hub's calls without a pause."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "both"])
def test_without_credentials_it_says_how_to_give_them(audit_of, organization_of, monkeypatch, missing):
    audit = audit_of(organization_of(1))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if missing in (name, "both"):
            monkeypatch.delenv(name)
    with pytest.raises(HubError, match=r"No AWS credentials for the hub account\. Set AWS_PROFILE, or .*CONN_ID"):
        connect_hub()
    assert not audit.aws.counters.operations


def test_refused_credentials_are_told(audit_of, organization_of, monkeypatch):
    audit_of(organization_of(1))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAI44QH8DHBEXAMPLE")
    with pytest.raises(HubError, match="AWS refuses the hub's credentials: InvalidClientTokenId: The security token"):
        connect_hub()


def test_a_profile_that_does_not_exist_is_told(audit_of, organization_of, monkeypatch):
    audit_of(organization_of(1))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(HubError, match=r"who the hub is: The config profile \(nobody\) could not be found"):
        connect_hub()


def test_an_aws_that_does_not_answer_is_told(audit_of, organization_of, no_backoff):
    audit_of(organization_of(1)).aws.stop()
    with pytest.raises(HubError, match="AWS cannot be asked who the hub is: Could not connect to the endpoint URL"):
        connect_hub()


@pytest.mark.parametrize(
    ("partition", "region"), [("aws", "eu-west-1"), ("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-north-1")]
)
def test_the_partition_is_the_callers(audit_of, organization_of, monkeypatch, partition, region):
    """And the whole scan works in it: the roles' ARNs are of that partition, and so are the repositories'."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    audit = audit_of(organization_of(2, [demo.Region(region)], partition=partition))
    hub = connect_hub()
    assert (hub.account_id, hub.partition, hub.region) == (audit.aws.world.hub_account_id, partition, region)
    audit.run()
    audit.assert_true()


def test_accounts_are_listed_with_state_and_unit_past_the_first_page(hub_of, organization_of):
    world = organization_of(45)
    world.accounts["100000000007"] = replace(world.accounts["100000000007"], state="SUSPENDED")
    world = replace(world)  # takes its list of accounts anew
    found = list_accounts(hub_of(world))
    assert [account.account_id for account in found] == sorted(world.accounts)
    for account in found:
        truth = world.accounts[account.account_id]
        assert (account.name, account.state, account.ou_id) == (truth.name, truth.state, truth.parent_id)
        assert account.ou_path == world.ou_path(account.account_id)
        assert account.joined_at == datetime.fromtimestamp(truth.joined_at, UTC)
        assert list(account.unit_ids) == world.entity_path(truth.parent_id).strip("/").split("/")[1:]


@pytest.mark.parametrize("has_paths", [True, False])
def test_units_are_told_apart_whatever_their_names_hold(hub_of, organization_of, has_paths):
    """`CI/CD` is one unit under the root, CD in CI another; `Sandbox/evil` is not in Sandbox; `%2F` is no slash."""
    tree = [("CI/CD", None), ("CI", None), ("CD", 1), ("Sandbox", None), ("Sandbox/evil", None), ("%2F", 3)]
    ids = [f"ou-demo-0000000{number}" for number in range(len(tree))]
    units = [
        demo.OrganizationalUnit(ids[number], name, "r-demo" if parent is None else ids[parent])
        for number, (name, parent) in enumerate(tree)
    ]
    world = organization_of(len(units))
    members = {str(int(world.hub_account_id) + number + 1): unit.id for number, unit in enumerate(units)}
    accounts = {each.id: replace(each, parent_id=members.get(each.id, "r-demo")) for each in world.accounts.values()}
    world = replace(world, units={unit.id: unit for unit in units}, accounts=accounts, has_paths=has_paths)
    found = {account.ou_id: account for account in list_accounts(hub_of(world)) if account.account_id in members}
    assert [found[each].ou_path for each in ids] == [
        "Root/CI%2FCD", "Root/CI", "Root/CI/CD", "Root/Sandbox", "Root/Sandbox%2Fevil", "Root/Sandbox/%252F",
    ]  # fmt: skip
    assert found[ids[2]].unit_ids == ("r-demo", ids[1], ids[2])


@pytest.mark.parametrize("has_status", [True, False])
def test_accounts_are_the_same_with_and_without_paths_and_status(hub_of, organization_of, has_status):
    world = organization_of(25)
    with_paths = list_accounts(hub_of(world))
    assert list_accounts(hub_of(replace(world, has_paths=False, has_status=has_status))) == with_paths


def test_empty_pages_hide_no_account(hub_of, organization_of):
    world = organization_of(45)
    undisturbed = list_accounts(hub_of(world))
    empty = Fault(EmptyPage(), service="organizations", times=3)
    assert list_accounts(hub_of(replace(world, has_paths=False), empty)) == undisturbed


@pytest.mark.parametrize("effect", [Throttle(), ServerError(503), Reset()])
def test_a_stumbling_organizations_service_is_asked_again(hub_of, organization_of, effect, no_backoff):
    world = organization_of(25)
    undisturbed = list_accounts(hub_of(world))
    assert list_accounts(hub_of(world, Fault(effect, service="organizations", times=3))) == undisturbed


@pytest.mark.parametrize(
    ("operation", "ask"),
    [
        ("ListAccounts", list_accounts),
        ("ListRoots", list_accounts),
        ("ListOrganizationalUnitsForParent", list_accounts),
        ("DescribeOrganization", organization_id),
    ],
)
def test_a_denied_call_names_its_permission(hub_of, organization_of, operation, ask):
    hub = hub_of(organization_of(3), Fault(DENIED, operation=operation))
    with pytest.raises(HubError, match=rf"organizations:{operation} is refused .* AccessDeniedException") as caught:
        ask(hub)
    assert "management account or a delegated administrator" in str(caught.value)


def test_a_throttle_that_never_ends_is_told_as_one(hub_of, organization_of, no_backoff):
    hub = hub_of(organization_of(3), Fault(Throttle(), service="organizations"))
    with pytest.raises(HubError, match=r"organizations:ListAccounts .* TooManyRequestsException") as caught:
        list_accounts(hub)
    assert "delegated administrator" not in str(caught.value)


def test_a_body_that_breaks_off_is_no_empty_organization(hub_of, organization_of):
    hub = hub_of(organization_of(3), Fault(TruncatedBody(), service="organizations"))
    for ask in (list_accounts, organization_id):
        with pytest.raises(HubError, match="is not whole"):
            ask(hub)


def test_regions_are_those_that_ec2_names(hub_of, organization_of):
    assert list_regions(hub_of(organization_of(1))) == OfferedRegions(
        (Region("eu-west-1", opt_in=False), Region("me-south-1", opt_in=True), Region("us-east-1", opt_in=False))
    )


def test_without_leave_to_ask_ec2_the_list_of_botocore_serves(hub_of, organization_of, caplog):
    hub = hub_of(organization_of(1), Fault(Refuse("UnauthorizedOperation", "no", 403), service="ec2"))
    with caplog.at_level(logging.WARNING):
        offered = list_regions(hub)
    found = offered.regions
    assert "UnauthorizedOperation" in (offered.doubt or "")
    assert "ec2:DescribeRegions in the hub account" in caplog.text
    assert {"us-east-1", "eu-west-1", "me-south-1"} <= {region.name for region in found}
    assert not any(region.name.startswith(("us-gov-", "cn-")) for region in found)
    opt_in = {region.name for region in found if region.opt_in}
    # Said of a region that nobody can disable, "unknown credentials" must stay a fault.
    assert "us-east-1" not in opt_in
    assert "me-south-1" in opt_in
    assert len(found) - len(opt_in) == 17
