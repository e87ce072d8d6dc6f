"""The organization: its accounts with state and OU path, and the regions of its partition."""

from __future__ import annotations

import itertools
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from ecr_audit.aws.advice import advice_on_error
from ecr_audit.aws.answers import Unread, cleaned, quoted, timestamp
from ecr_audit.aws.dispatcher import Pacer
from ecr_audit.aws.outcomes import DENIED, error_code, error_message
from ecr_audit.aws.permissions import Permission, Role, action_of
from ecr_audit.aws.session import Hub, HubError
from ecr_audit.unit_paths import join_names

log = logging.getLogger(__name__)

DESCRIBE_REGIONS = Permission(
    (Role.HUB,),
    "ec2:DescribeRegions",
    "the regions of the partition",
    without="the last known regions count, else those of botocore, and newer ones are not audited",
)

PERMISSIONS = (
    Permission((Role.HUB,), "organizations:DescribeOrganization", "the organization's id, since a lake holds one"),
    Permission((Role.HUB,), "organizations:ListAccounts", "the accounts to be audited, and their states"),
    *(
        Permission(
            (Role.HUB,), f"organizations:{operation}", why, without="names and units of accounts are the last known"
        )
        for operation, why in (
            ("ListRoots", "the root of the organizational units"),
            ("ListOrganizationalUnitsForParent", "the names of the organizational units"),
            ("ListAccountsForParent", "the unit of each account, where ListAccounts does not give its path"),
        )
    ),
    DESCRIBE_REGIONS,
)

# ListAccounts allows 8 calls a second (AWS Organizations User Guide, "Quotas and service limits").
CALLS_PER_SECOND = 8
# How often a listing may give the same token, as with empty pages, before it is taken for endless.
MOST_REPETITIONS = 10

ACTIVE = "ACTIVE"
# AWS Organizations API Reference, Account.
STATES = ("PENDING_ACTIVATION", ACTIVE, "SUSPENDED", "PENDING_CLOSURE", "CLOSED")
# The longest name of an account or a unit (same place).
LONGEST_NAME = 128

_ACCOUNT_ID = re.compile("[0-9]{12}")

# No account can disable these, and none will join them: what AWS opened after 20 March 2019 is opt-in, but for Osaka
# (AWS Account Management Reference Guide, "Enable or disable AWS Regions"). Other partitions have no opt-in regions.
ALWAYS_ENABLED = frozenset(
    {
        *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
        *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
        *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
    }
)


# How Organizations says that a unit is not there (ListAccountsForParent, ListOrganizationalUnitsForParent).
UNIT_IS_GONE = frozenset({"ParentNotFoundException", "OrganizationalUnitNotFoundException"})


@dataclass(frozen=True)
class Account:
    """An account of the organization; `ou_path` is the path of its parent, see `unit_paths`."""

    account_id: str
    name: str
    state: str
    # None for an account that was moved, or joined, while the tree was being read.
    ou_id: str | None
    ou_path: str | None
    # Its parent's and those of all units above that, from the root down: one for each name of `ou_path`.
    unit_ids: tuple[str, ...]
    joined_at: datetime | None


@dataclass(frozen=True)
class Region:
    """A region in which ECR is offered. Only an opt-in region can be disabled in an account."""

    name: str
    opt_in: bool


def organization_id(hub: Hub) -> str:
    """The id of the hub's organization, `o-…`. Raises HubError naming the permission when the hub may not ask."""
    its_id = _Reader(hub).ask("describe_organization", "Organization")["Organization"].get("Id")
    if not its_id:
        raise HubError("AWS Organizations answered describe_organization without the organization's id")
    return str(its_id)


def list_accounts(hub: Hub) -> list[Account]:
    """All accounts of the hub's organization, whatever their state, ordered by id.

    Raises HubError naming the permission when Organizations refuses the hub.
    """
    listed = list_accounts_and_units(hub)
    if listed.units_error:
        raise listed.units_error
    return listed.accounts


@dataclass(frozen=True)
class ListedAccounts:
    """The accounts, ordered by id."""

    accounts: list[Account]
    # Why the tree of units could not be read, so that no account is in one.
    units_error: HubError | None = None


def list_accounts_and_units(hub: Hub) -> ListedAccounts:
    """The same, where the accounts are of use without their units: only a refusal to list accounts is raised."""
    reader = _Reader(hub)
    raw = _identified(reader.items("list_accounts", "Accounts"))
    parents, units_error = {}, None
    try:
        units = {unit.ids[-1]: unit for unit in _units(reader, inner_units(raw))}
        parents = parents_of(reader, raw, units)
    except HubError as error:
        units_error = error
    accounts = (_account(each, parents.get(each["Id"])) for each in raw)
    return ListedAccounts(sorted(accounts, key=lambda account: account.account_id), units_error)


def _identified(accounts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One of each account id. A listing is no snapshot: of an account that comes on two pages the later one stands."""
    found: dict[str, dict[str, Any]] = {}
    unnamed = Unread()
    for account in accounts:
        if isinstance(its_id := account.get("Id"), str) and _ACCOUNT_ID.fullmatch(its_id):
            found[its_id] = account
        else:
            unnamed.note("Id", its_id, account.get("Name"))
    if unnamed.count:
        log.warning("ListAccounts: accounts without a valid Id cannot be audited: %s", unnamed)
    return list(found.values())


def _account(raw: dict[str, Any], parent: _Unit | None) -> Account:
    return Account(
        account_id=raw["Id"],
        name=_name(raw),
        state=_state(raw),
        ou_id=parent.ids[-1] if parent else None,
        ou_path=join_names(parent.names) if parent else None,
        unit_ids=parent.ids if parent else (),
        joined_at=raw.get("JoinedTimestamp"),
    )


def _name(raw: dict[str, Any]) -> str:
    """The name of an account or a unit; empty when AWS gives none that is text."""
    name = raw.get("Name")
    return cleaned(name, LONGEST_NAME) if isinstance(name, str) else ""


def _state(raw: dict[str, Any]) -> str:
    """The account's state. One that gives none, or none that is known, is scanned: to leave it out would be blindness.

    `Status` was retired for `State` on 2026-09-09.
    """
    given = raw.get("State") or raw.get("Status") or ACTIVE
    if given in STATES:
        return str(given)
    log.warning("Account %s: the state %s is not known; it is scanned like an active one", raw["Id"], quoted(given))
    return ACTIVE


@dataclass(frozen=True)
class OfferedRegions:
    """The regions of a partition in which ECR is offered, ordered by name."""

    regions: tuple[Region, ...]
    # None: they are EC2's own, and no others exist. Else why EC2 would not say, so that they are those of botocore,
    # which does not know regions that are newer than it is.
    doubt: str | None = None


def list_regions(hub: Hub) -> OfferedRegions:
    """The regions of the hub's partition in which ECR is offered.

    EC2 knows all regions of today and which need to be enabled; without leave to ask it (ec2:DescribeRegions), or with
    an answer that cannot be read, botocore's own list serves.
    """
    try:
        named = {
            each.get("RegionName"): each.get("OptInStatus")
            for each in hub.client("ec2").describe_regions(AllRegions=True).get("Regions", ())
        }
        doubt = None if named and all(named) else "the answer has no region, or one without a name"
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        named, doubt = {}, f"{error_code(error)}: {error_message(error)}"
    if doubt:
        log.warning("ec2:DescribeRegions in the hub account: %s. Going by the list of regions in botocore.", doubt)
        names = hub.access.session.get_available_regions("ecr", hub.partition)
        return OfferedRegions(tuple(region_of(name, hub.partition) for name in sorted(names)), doubt)
    regions = [
        Region(name, opt_in=status != "opt-in-not-required") if status else region_of(name, hub.partition)
        for name, status in sorted(named.items())
    ]
    return OfferedRegions(tuple(regions))


def region_of(name: str, partition: str) -> Region:
    """A region of which only the name is known."""
    return Region(name, opt_in=partition == "aws" and name not in ALWAYS_ENABLED)


class _Reader:
    """Reads paged answers of Organizations at the pace it allows. A refusal is a HubError that names the permission."""

    def __init__(self, hub: Hub) -> None:
        self._client = hub.client("organizations")
        self._client.meta.events.register("before-parse.organizations.*", _make_readable)
        self._pacer = Pacer(CALLS_PER_SECOND)

    def items(self, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """All items of a list operation. A page may be empty and still carry a token."""
        token: dict[str, str] = {}
        given: Counter[str] = Counter()
        while True:
            try:
                answer = self.ask(operation, key, **parameters, **token)
            except HubError as error:
                if error.__cause__ is None or error_code(error.__cause__) not in UNIT_IS_GONE:
                    raise
                log.warning("A unit was deleted while the organization was being read: %s", error)
                return
            yield from answer[key]
            following = answer.get("NextToken")
            if not following:
                return
            given[following] += 1
            if given[following] > MOST_REPETITIONS:
                raise HubError(f"AWS Organizations gave the same NextToken of {operation} {given[following]} times")
            token = {"NextToken": following}

    def ask(self, operation: str, key: str, **parameters: Any) -> dict[str, Any]:
        """The answer of one call, which holds `key`. botocore takes a body that breaks off for an empty answer."""
        self._pacer.wait()
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
        except ClientError as error:
            advice = advice_on_error(error)
            fix = f" {advice.what_to_do}" if advice else ""
            if error_code(error) in DENIED:
                fix = " Run the audit from the management account or a delegated administrator whose role allows it."
            raise HubError(
                f"{action_of('organizations', operation)} is refused to the hub account: {error_code(error)}: "
                f"{error_message(error)}.{fix}"
            ) from error
        except BotoCoreError as error:
            advice = advice_on_error(error)
            fix = f" {advice.what_to_do}" if advice else ""
            raise HubError(f"AWS Organizations cannot be reached: {error}.{fix}") from error
        # botocore's parsers raise anything for a document that is not of the form that they expect.
        except Exception as error:
            raise HubError(f"AWS Organizations answered {operation} with what cannot be read: {error!r}") from error
        if key not in answer:
            raise HubError(f"AWS Organizations answered {operation} without '{key}': the body is not whole")
        return answer


def _make_readable(response_dict: dict[str, Any], **_: Any) -> None:
    """Leave out of a page of accounts what botocore would fail the whole page for, or hand on to trip over later.

    `JoinedTimestamp` and `Paths` are nice to have; without the latter the tree is read unit by unit.
    """
    try:
        answer = json.loads(response_dict["body"])
        accounts = [each if isinstance(each, dict) else {} for each in answer["Accounts"]]
    except (ValueError, TypeError, KeyError):
        return  # not a page of accounts
    for account in accounts:
        try:
            timestamp(account.get("JoinedTimestamp"))
        except ValueError:
            account.pop("JoinedTimestamp", None)
        paths = account.get("Paths")
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            account.pop("Paths", None)
    response_dict["body"] = json.dumps({**answer, "Accounts": accounts}).encode()


@dataclass(frozen=True)
class _Unit:
    """The root or an organizational unit: the names and ids along its path, from the root down."""

    names: tuple[str, ...]
    ids: tuple[str, ...]


def inner_units(accounts: list[dict[str, Any]]) -> set[str] | None:
    """The ids of the units with units below them that hold accounts; None when not every account has its `Paths`.

    Most units of a large organization have none below them; not to ask each of them saves as many calls.
    """
    paths = [path.split("/") for account in accounts for path in account.get("Paths") or [""]]
    if any(path == [""] for path in paths):
        return None
    return {above for path in paths for above, below in itertools.pairwise(path) if below.startswith("ou-")}


def _units(reader: _Reader, inner: set[str] | None) -> Iterator[_Unit]:
    """The root and the organizational units, parents first: all of them, or only what is right under `inner` ones."""
    open_units = [_Unit((_name(root) or root["Id"],), (root["Id"],)) for root in reader.items("list_roots", "Roots")]
    seen: set[str] = set()
    taken: set[tuple[str, ...]] = set()
    while open_units:
        unit = open_units.pop(0)
        if unit.ids[-1] in seen:  # on two pages
            continue
        seen.add(unit.ids[-1])
        yield unit
        if inner is not None and unit.ids[-1] not in inner:
            continue
        children = reader.items("list_organizational_units_for_parent", "OrganizationalUnits", ParentId=unit.ids[-1])
        for child in children:
            names = (*unit.names, _name(child) or child["Id"])
            # Siblings have different names, but for what is cleaned of them, or while they are being renamed.
            while names in taken:
                names = (*unit.names, f"{names[-1]} ({child['Id']})")
            taken.add(names)
            open_units.append(_Unit(names, (*unit.ids, child["Id"])))


def parents_of(reader: _Reader, accounts: list[dict[str, Any]], units: dict[str, _Unit]) -> dict[str, _Unit]:
    """Each account's parent: from its `Paths` where all have it, else by asking every unit for its accounts.

    A path ends with the account or its parent, `o-…/r-…/ou-…/ou-…/`; the last unit in it is the parent. One that was
    made while the tree was being read is not in it: then the parent is not known, and is not the unit above.
    """
    parent_ids = {}
    for account in accounts:
        steps = [step for path in account.get("Paths") or [] for step in path.split("/")]
        its_units = [step for step in steps if step.startswith(("r-", "ou-"))]
        if not its_units:
            break
        parent_ids[account["Id"]] = its_units[-1]
    else:
        return {account_id: units[unit_id] for account_id, unit_id in parent_ids.items() if unit_id in units}
    return {
        str(account.get("Id")): unit
        for unit_id, unit in units.items()
        for account in reader.items("list_accounts_for_parent", "Accounts", ParentId=unit_id)
    }
