"""Whatever one answer of AWS holds is one target's outcome, or nothing at all; and never ends a batch or a night."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from operator import methodcaller
from typing import Any

import pytest

from demo.emulated_aws.faults import Effect, Fault, Refuse, Rewrite
from demo.emulated_aws.protocols import page_token
from ecr_audit.aws.organization import list_accounts, organization_id
from ecr_audit.aws.regions import list_regions
from ecr_audit.aws.session import HubError
from ecr_audit.lake.schemas import REPOSITORIES

from .conftest import MakeAudit, MakeHub, MakeWorld

HUB, FOURTH = "100000000000", "100000000004"
# It has repositories, of which some have tags.
STRUCK = (FOURTH, "eu-west-1")
ODD_CODE: Any = 5
ODD_MESSAGE: Any = {"text": "\ud800" * 9}
EMPTY: list[Any] = [[], {}]


def rewritten(change: Callable[[Any], Any]) -> Rewrite:
    """A fault that lets a function change what a JSON answer holds, in place or by what it returns."""

    def apply(body: bytes) -> bytes:
        document = json.loads(body)
        changed = change(document)
        return json.dumps(document if changed is None else changed).encode()

    return Rewrite(apply)


def first(**changes: Any) -> Rewrite:
    """Change the first repository of each page."""
    return rewritten(lambda answer: answer["repositories"][0].update(changes))


def tag_all(tag: object) -> Rewrite:
    return rewritten(lambda answer: [each["Tags"].append(tag) for each in answer["ResourceTagMappingList"]] and None)


@pytest.mark.parametrize(
    ("operation", "effect", "code", "message"),
    [
        ("DescribeRepositories", first(createdAt="soon"), "ResponseParserError", "createdAt of team/service-0"),
        ("DescribeRepositories", first(createdAt=float("nan")), "ResponseParserError", "nan is not a time"),
        ("DescribeRepositories", first(repositoryName={}), "ResponseParserError", "{} for a repositoryName"),
        ("DescribeRepositories", first(repositoryName="\ud800"), "ResponseParserError", "for a repositoryName"),
        ("DescribeRepositories", first(repositoryArn="arn:aws:ecr:x"), "ResponseParserError", "for a repositoryArn"),
        ("DescribeRepositories", rewritten(lambda _: {"repositories": ["app"]}), "ResponseParserError", "'app' for a"),
        ("DescribeRepositories", rewritten(lambda _: {"repositories": {}}), "ResponseParserError", "{} for repos"),
        ("DescribeRepositories", rewritten(lambda _: [1]), "ResponseParserError", "[1], which is not a JSON object"),
        ("DescribeRepositories", Rewrite(lambda _: b"[" * 100_000), "ResponseParserError", "unreadable"),
        ("DescribeRepositories", Refuse("Odd", ODD_MESSAGE), "Odd", "{'text': "),
        ("DescribeRepositories", Refuse("Odd", "\ud800\x00" + "x" * 3_000_000), "Odd", "\ufffd\ufffdxxx"),
        ("DescribeRepositories", Refuse(ODD_CODE, "no"), "ResponseParserError", "HTTP status 400"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, str) else type(value).__name__,
)
def test_an_answer_that_cannot_be_read_is_its_targets_outcome(
    audit_of: MakeAudit, organization_of: MakeWorld, operation: str, effect: Effect, code: str, message: str
) -> None:
    audit = audit_of(organization_of(4), Fault(effect, operation=operation, account=FOURTH, region=STRUCK[1]))
    audit.run()
    audit.assert_true(outcomes={STRUCK: "FAILED"})
    row = audit.scan_targets()[STRUCK]
    assert row["error_code"] == code
    assert message in row["error_message"]
    assert len(row["error_message"]) <= 2_000


@pytest.mark.parametrize(
    ("operation", "effect", "code"),
    [
        ("DescribeRepositories", first(imageScanningConfiguration="x"), "Repositories.UnreadableValue"),
        ("DescribeRepositories", first(encryptionConfiguration=[5]), "Repositories.UnreadableValue"),
        ("DescribeRepositories", first(imageTagMutability=["MUTABLE"]), None),
        ("GetResources", tag_all({"Key": "owner"}), "tags: UnreadableValue"),
        ("GetResources", tag_all({"Value": "x"}), "tags: UnreadableValue"),
        ("GetResources", tag_all({"Key": "a", "Value": "\ud800"}), "tags: UnreadableValue"),
        ("GetResources", rewritten(lambda _: {"ResourceTagMappingList": {}}), "tags: ResponseParserError"),
        ("GetResources", Refuse(ODD_CODE, "no", 403), "tags: ResponseParserError"),
        ("DescribeRepositories", rewritten(lambda a: a["repositories"].extend(a["repositories"])), None),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_optional_value_loses_no_repository(
    audit_of: MakeAudit, organization_of: MakeWorld, operation: str, effect: Effect, code: str | None
) -> None:
    world = organization_of(4)
    audit = audit_of(world, Fault(effect, operation=operation, account=FOURTH, region=STRUCK[1]))
    audit.run()
    row = audit.scan_targets()[STRUCK]
    found = [each["repository_name"] for each in audit.rows(REPOSITORIES) if each["observed"]]
    failed = [f"{each['facet']}: {each['error_code']}" for each in row["facets_failed"]]
    assert (row["outcome"], row["error_code"] or "".join(failed) or None) == ("COLLECTED", code)
    assert row["repository_count"] == len(world.repositories(*STRUCK)) > 0
    assert len(found) == sum(
        len(world.repositories(*target)) for target in world.targets() if world.outcome(*target) == "COLLECTED"
    )


@pytest.mark.parametrize("expiration", ["", "<Expiration>soon</Expiration>", "<Expiration>2001-01-01</Expiration>"])
def test_credentials_without_a_time_to_expire_are_used(
    audit_of: MakeAudit, organization_of: MakeWorld, expiration: str
) -> None:
    def change(body: bytes) -> bytes:
        return re.sub(rb"<Expiration>.*</Expiration>", expiration.encode(), body)

    audit = audit_of(organization_of(4), Fault(Rewrite(change), operation="AssumeRole"))
    audit.run()
    audit.assert_true()
    assert audit.aws.counters.operations["sts:AssumeRole"] == 4


def test_an_assume_role_without_credentials_costs_its_account(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    def change(body: bytes) -> bytes:
        return re.sub(rb"<SessionToken>.*</SessionToken>", b"", body) if FOURTH.encode() in body else body

    world = organization_of(4)
    audit = audit_of(world, Fault(Rewrite(change), operation="AssumeRole"))
    audit.run()
    struck = [target for target in world.targets() if target[0] == FOURTH]
    audit.assert_true(outcomes=dict.fromkeys(struck, "FAILED"))
    assert "no key, secret or session token" in audit.scan_targets()[STRUCK]["error_message"]


@pytest.mark.parametrize("name", [b"<regionName>.*?</regionName>", b"<item>.*</item>"])
def test_members_whose_regions_have_no_names_have_each_tried(
    audit_of: MakeAudit, organization_of: MakeWorld, name: bytes
) -> None:
    """And the hub goes by botocore's list; here it names the world's regions itself."""
    world = organization_of(6)
    faults = [
        Fault(Rewrite(lambda body: re.sub(name, b"", body)), operation="DescribeRegions", account=each)
        for each in world.accounts
        if each != HUB
    ]
    audit = audit_of(world, *faults)
    audit.run()
    audit.assert_true()


def test_the_hub_takes_botocores_regions_for_an_answer_without_their_names(
    hub_of: MakeHub, organization_of: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    change = Rewrite(lambda body: re.sub(b"<regionName>us-east-1</regionName>", b"", body))
    offered = list_regions(hub_of(organization_of(1), Fault(change, operation="DescribeRegions")))
    assert len(offered.regions) > 10
    assert offered.doubt == "the response has no regions, or one without a name"
    assert "Using botocore's list of regions" in caplog.text


def accounts_rewritten(change: Callable[[list[dict[str, Any]]], object]) -> Fault:
    """Change ListAccounts' items, of which there are at most 20 a page; they may be appended to."""
    return Fault(rewritten(lambda answer: change(answer["Accounts"]) and None), operation="ListAccounts")


def change_fourth(**changes: Any) -> Fault:
    def change(accounts: list[dict[str, Any]]) -> None:
        for account in accounts:
            if account["Id"] == FOURTH:
                account.update(changes)
                for name, value in changes.items():
                    if value is ...:
                        del account[name]

    return accounts_rewritten(change)


@pytest.mark.parametrize(
    ("fault", "as_listed"),
    [
        *((change_fourth(JoinedTimestamp=value), {"joined_at": None}) for value in (*EMPTY, ..., None, "soon", 1e300)),
        *((change_fourth(Name=value), {"name": ""}) for value in (..., None, "", 5, ["x"])),
        (change_fourth(Name="a\ud800b"), {"name": "a\ufffdb"}),
        (change_fourth(Name="x" * 100_000), {"name": "x" * 127 + "…"}),
        *((change_fourth(State=value), {"state": "ACTIVE"}) for value in (*EMPTY, ..., None, "FROZEN", 5, ["CLOSED"])),
        *((change_fourth(Paths=value), {}) for value in (*EMPTY, None, 5, "o-1/r-1", [5], [None])),
        # The same account on two pages: the later one stands.
        (
            accounts_rewritten(lambda accounts: accounts.append({**accounts[4], "Name": "again"})),
            {"name": "again"},
        ),
        # Accounts that cannot be identified.
        *(
            (accounts_rewritten(methodcaller("append", odd)), {})
            for odd in (*EMPTY, None, "x", 5, {"Name": "x"}, {"Id": 5}, {"Id": "x"}, {"Id": None}, {"Id": "1" * 13})
        ),
    ],
)
def test_an_account_with_an_odd_field_is_listed_and_costs_no_other(
    hub_of: MakeHub, organization_of: MakeWorld, fault: Fault, as_listed: dict[str, Any]
) -> None:
    world = organization_of(4)
    sound = {each.account_id: each for each in list_accounts(hub_of(world))}
    found = {each.account_id: each for each in list_accounts(hub_of(world, fault))}
    assert found == sound | {FOURTH: replace(sound[FOURTH], **as_listed)}


def test_an_account_without_an_id_is_reported_and_all_others_are_audited(
    audit_of: MakeAudit, organization_of: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    odd = accounts_rewritten(lambda accounts: accounts.append({"Name": "nobody"}))
    audit = audit_of(organization_of(4), odd)
    audit.run()
    audit.assert_true()
    audit.assert_accounts_true()
    assert "1 value of AWS's response could not be read: Id None of 'nobody'" in caplog.text


def test_pages_of_accounts_that_go_round_are_reported(hub_of: MakeHub, organization_of: MakeWorld) -> None:
    again = rewritten(lambda answer: answer.update(NextToken=page_token("ListAccounts", 0)))
    hub = hub_of(organization_of(1), Fault(again, operation="ListAccounts"))
    with pytest.raises(HubError, match="AWS Organizations returned a NextToken of list_accounts 11 times"):
        list_accounts(hub)


def test_an_answer_of_organizations_that_cannot_be_read_is_reported(
    hub_of: MakeHub, organization_of: MakeWorld
) -> None:
    odd = rewritten(lambda answer: answer["OrganizationalUnits"].append("x"))
    hub = hub_of(organization_of(1, has_paths=False), Fault(odd, operation="ListOrganizationalUnitsForParent"))
    with pytest.raises(HubError, match="returned an unreadable response for list_organizational_units_for_parent"):
        list_accounts(hub)


def test_an_organization_without_an_id_is_reported(hub_of: MakeHub, organization_of: MakeWorld) -> None:
    hub = hub_of(organization_of(1), Fault(rewritten(lambda a: {"Organization": {}}), operation="DescribeOrganization"))
    with pytest.raises(HubError, match="no organization id"):
        organization_id(hub)
