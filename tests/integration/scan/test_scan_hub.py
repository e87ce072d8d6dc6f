"""Discovery before a scan: the hub, accounts and their units, and regions; or why not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from demo.emulated_aws import world as demo
from demo.emulated_aws.faults import EmptyPage, Fault, Refuse, Reset, ServerError, Throttle, TruncatedBody
from demo.emulated_aws.protocols import Call
from demo.emulated_aws.services import sts
from ecr_audit.aws.access import AwsAccess, use_access
from ecr_audit.aws.organization import list_accounts, organization_id
from ecr_audit.aws.regions import OfferedRegions, Region, list_regions
from ecr_audit.aws.session import Hub, HubError, connect_hub

from .conftest import MakeAudit, MakeHub, MakeWorld

DENIED = Refuse("AccessDeniedException", "You don't have permissions to access this resource.")


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore repeats the hub's calls without a pause."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "both"])
def test_missing_credentials_are_reported_with_advice(
    audit_of: MakeAudit, organization_of: MakeWorld, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    audit = audit_of(organization_of(1))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if missing in (name, "both"):
            monkeypatch.delenv(name)
    with pytest.raises(HubError, match=r"No AWS credentials for the hub account\. Set AWS_PROFILE, or .*CONN_ID"):
        connect_hub()
    assert not audit.aws.counters.operations


@pytest.mark.parametrize(
    ("variables", "reported"),
    [
        # Keys of GovCloud without a region are the likely cause of the default's answer.
        (
            {},
            r"region is us-east-1 \(the default, because neither AWS_REGION nor AWS_DEFAULT_REGION nor the profile"
            r" names one\).* set AWS_REGION to us-gov-west-1 or cn-north-1",
        ),
        ({"AWS_REGION": "cn-north-1"}, r"region is cn-north-1 \(by AWS_REGION\).* to us-gov-west-1 or us-east-1"),
        (
            {"AWS_DEFAULT_REGION": "us-gov-east-1"},
            r"us-gov-east-1 \(by AWS_DEFAULT_REGION\).* to cn-north-1 or us-east",
        ),
    ],
)
def test_refused_credentials_are_reported_with_the_region_that_was_asked(
    audit_of: MakeAudit,
    organization_of: MakeWorld,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    reported: str,
) -> None:
    audit_of(organization_of(1))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAI44QH8DHBEXAMPLE")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        HubError, match=f"rejects the hub's credentials: InvalidClientTokenId: The security .*{reported}"
    ):
        connect_hub()


@pytest.mark.parametrize(
    ("variables", "profile", "region", "source"),
    [
        ({}, "", "us-east-1", "the default, "),
        ({}, "eu-north-1", "eu-north-1", "by profile default"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-north-1", "eu-west-1", "by AWS_DEFAULT_REGION"),
        ({"AWS_REGION": "us-gov-west-1"}, "eu-north-1", "us-gov-west-1", "by AWS_REGION"),
        # As the AWS CLI does.
        ({"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-1"}, "", "eu-west-2", "by AWS_REGION"),
        ({"AWS_REGION": " ", "AWS_DEFAULT_REGION": "eu-west-1"}, "", "eu-west-1", "by AWS_DEFAULT_REGION"),
    ],
)
def test_the_region_is_taken_as_the_aws_cli_takes_it(
    audit_of: MakeAudit,
    organization_of: MakeWorld,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variables: dict[str, str],
    profile: str,
    region: str,
    source: str,
) -> None:
    audit_of(organization_of(1))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if profile:
        (tmp_path / "no-config").write_text(f"[default]\nregion = {profile}\n")
    hub = connect_hub()
    assert hub.region == region
    assert hub.region_source.startswith(source)


def test_a_region_of_an_airflow_connection_comes_before_the_environments(
    audit_of: MakeAudit, organization_of: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit_of(organization_of(1))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    use_access(lambda: AwsAccess(boto3.Session(region_name="eu-north-1")))
    assert connect_hub().region == "eu-north-1"
    use_access(lambda: AwsAccess(boto3.Session()))
    assert connect_hub().region == "eu-west-1"


@pytest.mark.parametrize(
    ("variables", "reported"),
    [
        ({"AWS_REGION": "Frankfurt!"}, r"Frankfurt!.* \(by AWS_REGION\)\. Check AWS_REGION"),
        ({"AWS_ENDPOINT_URL": "localhost:5000"}, r"Invalid endpoint: localhost:5000\..*with their scheme"),
    ],
)
def test_faults_of_the_environment_are_named(
    audit_of: MakeAudit,
    organization_of: MakeWorld,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    reported: str,
) -> None:
    audit_of(organization_of(1))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(HubError, match=reported):
        connect_hub()


@pytest.mark.parametrize(
    ("effect", "reported"),
    [
        (Refuse("RegionDisabledException", "STS is not activated in this region"), "region whose STS is active"),
        (Refuse("ExpiredToken", "The security token included in the request is expired", 403), "Renew them"),
        (TruncatedBody(), "The hub's identity could not be read from AWS: Unable to parse"),
    ],
)
def test_the_advice_on_the_hub_follows_the_error(
    audit_of: MakeAudit, organization_of: MakeWorld, no_backoff: None, effect: Refuse | TruncatedBody, reported: str
) -> None:
    audit_of(organization_of(1), Fault(effect, operation="GetCallerIdentity"))
    with pytest.raises(HubError, match=reported) as caught:
        connect_hub()
    assert "The region is us-east-1" in str(caught.value)


def test_a_profile_that_does_not_exist_is_reported(
    audit_of: MakeAudit, organization_of: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit_of(organization_of(1))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(HubError, match=r"could not be read from AWS: The config profile \(nobody\) could not be found"):
        connect_hub()


def test_an_aws_that_does_not_answer_is_reported(
    audit_of: MakeAudit, organization_of: MakeWorld, no_backoff: None
) -> None:
    audit_of(organization_of(1)).aws.stop()
    with pytest.raises(
        HubError, match="The hub's identity could not be read from AWS: Could not connect to the endpoint URL"
    ):
        connect_hub()


@pytest.mark.parametrize(
    ("partition", "region"), [("aws", "eu-west-1"), ("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-north-1")]
)
def test_the_partition_is_the_callers(
    audit_of: MakeAudit, organization_of: MakeWorld, monkeypatch: pytest.MonkeyPatch, partition: str, region: str
) -> None:
    """And the whole scan works in it: the roles' ARNs are of that partition, and so are the repositories'."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    audit = audit_of(organization_of(2, [demo.Region(region)], partition=partition))
    hub = connect_hub()
    assert (hub.account_id, hub.partition, hub.region) == (audit.aws.world.hub_account_id, partition, region)
    audit.run()
    audit.assert_true()


def test_accounts_are_listed_with_state_and_unit_past_the_first_page(
    hub_of: MakeHub, organization_of: MakeWorld
) -> None:
    world = organization_of(45)
    suspended = replace(world.accounts["100000000007"], state="SUSPENDED")
    world = replace(world, accounts={**world.accounts, suspended.id: suspended})
    found = list_accounts(hub_of(world))
    assert [account.account_id for account in found] == sorted(world.accounts)
    for account in found:
        truth = world.accounts[account.account_id]
        assert (account.name, account.state, account.ou_id) == (truth.name, truth.state, truth.parent_id)
        assert account.ou_path == world.ou_path(account.account_id)
        assert account.joined_at == datetime.fromtimestamp(truth.joined_at, UTC)
        assert list(account.unit_ids) == world.entity_path(truth.parent_id).strip("/").split("/")[1:]


def test_a_unit_that_is_deleted_while_it_is_being_read_costs_no_account(
    hub_of: MakeHub, organization_of: MakeWorld
) -> None:
    world = replace(organization_of(6), has_paths=False)
    gone = Refuse("ParentNotFoundException", "You provided a parent that does not exist.")
    found = list_accounts(hub_of(world, Fault(gone, operation="ListOrganizationalUnitsForParent", times=1)))
    assert [account.account_id for account in found] == sorted(world.accounts)


def test_an_account_in_a_state_that_nobody_knows_is_audited(
    hub_of: MakeHub, organization_of: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """Only a state that is known to mean that nothing runs there keeps an account out of coverage."""
    world = organization_of(4)
    states = ("PENDING_ACTIVATION", "PENDING_CLOSURE", "CLOSED", "HIBERNATING")
    members = [world.accounts[f"10000000000{number}"] for number in (1, 2, 3, 4)]
    changed = {each.id: replace(each, state=state) for each, state in zip(members, states, strict=True)}
    world = replace(world, accounts={**world.accounts, **changed})
    found = {account.account_id: account.state for account in list_accounts(hub_of(world))}
    assert list(found.values()) == ["ACTIVE", *states[:3], "ACTIVE"]
    assert "HIBERNATING" in caplog.text


@pytest.mark.parametrize("has_paths", [True, False])
def test_units_are_distinguished_whatever_their_names_hold(
    hub_of: MakeHub, organization_of: MakeWorld, has_paths: bool
) -> None:
    """`CI/CD` is one unit under the root, CD in CI another; `Sandbox/evil` is not in Sandbox; `%2F` is not a slash."""
    tree = [("CI/CD", None), ("CI", None), ("CD", 1), ("Sandbox", None), ("Sandbox/evil", None), ("%2F", 3)]
    # AWS tells these two siblings apart; what the audit can store of them is the same.
    tree += [("odd\0", None), ("odd\N{REPLACEMENT CHARACTER}", None)]
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
        "Root/odd\N{REPLACEMENT CHARACTER}", f"Root/odd\N{REPLACEMENT CHARACTER} ({ids[7]})",
    ]  # fmt: skip
    assert found[ids[2]].unit_ids == ("r-demo", ids[1], ids[2])


@pytest.mark.parametrize("has_status", [True, False])
def test_accounts_are_the_same_with_and_without_paths_and_status(
    hub_of: MakeHub, organization_of: MakeWorld, has_status: bool
) -> None:
    world = organization_of(25)
    with_paths = list_accounts(hub_of(world))
    assert list_accounts(hub_of(replace(world, has_paths=False, has_status=has_status))) == with_paths


def test_empty_pages_hide_no_account(hub_of: MakeHub, organization_of: MakeWorld) -> None:
    world = organization_of(45)
    undisturbed = list_accounts(hub_of(world))
    empty = Fault(EmptyPage(), service="organizations", times=3)
    assert list_accounts(hub_of(replace(world, has_paths=False), empty)) == undisturbed


@pytest.mark.parametrize("effect", [Throttle(), ServerError(503), Reset()])
def test_a_stumbling_organizations_service_is_asked_again(
    hub_of: MakeHub, organization_of: MakeWorld, effect: Throttle | ServerError | Reset, no_backoff: None
) -> None:
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
def test_a_denied_call_names_its_permission(
    hub_of: MakeHub, organization_of: MakeWorld, operation: str, ask: Callable[[Hub], object]
) -> None:
    hub = hub_of(organization_of(3), Fault(DENIED, operation=operation))
    with pytest.raises(HubError, match=rf"organizations:{operation} is denied .* AccessDeniedException") as caught:
        ask(hub)
    assert "management account or a delegated administrator" in str(caught.value)


def test_a_throttle_that_never_ends_is_reported_as_one(
    hub_of: MakeHub, organization_of: MakeWorld, no_backoff: None
) -> None:
    hub = hub_of(organization_of(3), Fault(Throttle(), service="organizations"))
    with pytest.raises(HubError, match=r"organizations:ListAccounts .* TooManyRequestsException") as caught:
        list_accounts(hub)
    assert "delegated administrator" not in str(caught.value)


def test_a_body_that_breaks_off_is_not_an_empty_organization(hub_of: MakeHub, organization_of: MakeWorld) -> None:
    hub = hub_of(organization_of(3), Fault(TruncatedBody(), service="organizations"))
    for ask in (list_accounts, organization_id):
        with pytest.raises(HubError, match="is incomplete"):
            ask(hub)


def test_regions_are_those_that_ec2_names(hub_of: MakeHub, organization_of: MakeWorld) -> None:
    assert list_regions(hub_of(organization_of(1))) == OfferedRegions(
        (Region("eu-west-1", opt_in=False), Region("me-south-1", opt_in=True), Region("us-east-1", opt_in=False))
    )


# botocore takes a body that breaks off for an answer without regions.
@pytest.mark.parametrize("effect", [Refuse("UnauthorizedOperation", "no", 403), TruncatedBody()])
def test_without_an_answer_of_ec2_the_list_of_botocore_is_used(
    hub_of: MakeHub,
    organization_of: MakeWorld,
    caplog: pytest.LogCaptureFixture,
    no_backoff: None,
    effect: Refuse | TruncatedBody,
) -> None:
    hub = hub_of(organization_of(1), Fault(effect, service="ec2"))
    with caplog.at_level(logging.WARNING):
        offered = list_regions(hub)
    found = offered.regions
    assert offered.doubt
    assert "ec2:DescribeRegions in the hub account" in caplog.text
    assert {"us-east-1", "eu-west-1", "me-south-1"} <= {region.name for region in found}
    assert not any(region.name.startswith(("us-gov-", "cn-")) for region in found)
    opt_in = {region.name for region in found if region.opt_in}
    # Said of a region that nobody can disable, "unknown credentials" must stay a fault.
    assert "us-east-1" not in opt_in
    assert "me-south-1" in opt_in
    assert len(found) - len(opt_in) == 17


def test_sessions_in_the_accounts_are_named_after_the_run(
    audit_of: MakeAudit, organization_of: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CloudTrail of an account shows them."""
    names = []

    def note(call: Call) -> Any:
        names.append(call.parameters["RoleSessionName"])
        return sts.assume_role(call)

    monkeypatch.setitem(sts.OPERATIONS, "AssumeRole", note)
    audit_of(organization_of(3)).run()
    assert len(names) > 1
    assert set(names) == {"ecr-audit@test"}
