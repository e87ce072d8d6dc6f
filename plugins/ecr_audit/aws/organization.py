"""The organization: its accounts with state and OU path, and the regions of its partition."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from ecr_audit.aws.calls import Pacer
from ecr_audit.aws.outcomes import DENIED, error_code, error_message
from ecr_audit.aws.session import Hub, HubError
from ecr_audit.unit_paths import join_names

log = logging.getLogger(__name__)

# ListAccounts allows 8 calls a second (AWS Organizations User Guide, "Quotas and service limits").
CALLS_PER_SECOND = 8

ACTIVE = "ACTIVE"

# No account can disable these, and none will join them: what AWS opened after 20 March 2019 is opt-in, but for Osaka
# (AWS Account Management Reference Guide, "Enable or disable AWS Regions"). Other partitions have no opt-in regions.
ALWAYS_ENABLED = frozenset(
    {
        *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
        *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
        *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
    }
)


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
    return str(_Reader(hub).ask("describe_organization", "Organization")["Organization"]["Id"])


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
    raw = list(reader.items("list_accounts", "Accounts"))
    parents, units_error = {}, None
    try:
        units = {unit.ids[-1]: unit for unit in _units(reader, _inner_units(raw))}
        parents = _parents(reader, raw, units)
    except HubError as error:
        units_error = error
    accounts = (_account(each, parents.get(each["Id"])) for each in raw)
    return ListedAccounts(sorted(accounts, key=lambda account: account.account_id), units_error)


def _account(raw: dict[str, Any], parent: _Unit | None) -> Account:
    return Account(
        account_id=raw["Id"],
        name=raw.get("Name", ""),
        # `Status` was retired for `State` on 2026-09-09. An account that gives neither is scanned all the same: leaving
        # it out would be blindness.
        state=raw.get("State") or raw.get("Status") or ACTIVE,
        ou_id=parent.ids[-1] if parent else None,
        ou_path=join_names(parent.names) if parent else None,
        unit_ids=parent.ids if parent else (),
        joined_at=raw.get("JoinedTimestamp"),
    )


@dataclass(frozen=True)
class OfferedRegions:
    """The regions of a partition in which ECR is offered, ordered by name."""

    regions: tuple[Region, ...]
    # None: they are EC2's own, and no others exist. Else why EC2 would not say, so that they are those of botocore,
    # which does not know regions that are newer than it is.
    doubt: str | None = None


def list_regions(hub: Hub) -> OfferedRegions:
    """The regions of the hub's partition in which ECR is offered.

    EC2 knows all regions of today and which need to be enabled; without leave to ask it (ec2:DescribeRegions),
    botocore's own list serves.
    """
    try:
        named = hub.client("ec2").describe_regions(AllRegions=True).get("Regions")
        doubt = None if named else "the answer names no region"
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        named, doubt = [], str(error)
    if doubt:
        log.warning("ec2:DescribeRegions in the hub account: %s. Going by the list of regions in botocore.", doubt)
        names = hub.session.get_available_regions("ecr", hub.partition)
        return OfferedRegions(tuple(region_of(name, hub.partition) for name in sorted(names)), doubt)
    regions = [Region(each["RegionName"], each.get("OptInStatus") != "opt-in-not-required") for each in named]
    return OfferedRegions(tuple(sorted(regions, key=lambda region: region.name)))


def region_of(name: str, partition: str) -> Region:
    """A region of which only the name is known."""
    return Region(name, opt_in=partition == "aws" and name not in ALWAYS_ENABLED)


class _Reader:
    """Reads paged answers of Organizations at the pace it allows. A refusal is a HubError that names the permission."""

    def __init__(self, hub: Hub) -> None:
        self._client = hub.client("organizations")
        self._pacer = Pacer(CALLS_PER_SECOND)

    def items(self, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """All items of a list operation. A page may be empty and still carry a token."""
        token: dict[str, str] = {}
        while True:
            answer = self.ask(operation, key, **parameters, **token)
            yield from answer[key]
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}

    def ask(self, operation: str, key: str, **parameters: Any) -> dict[str, Any]:
        """The answer of one call, which holds `key`. botocore takes a body that breaks off for an empty answer."""
        self._pacer.wait()
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
        except ClientError as error:
            action = "".join(word.title() for word in operation.split("_"))
            advice = (
                " Run the audit from the management account or a delegated administrator whose role allows it."
                if error_code(error) in DENIED
                else ""
            )
            raise HubError(
                f"organizations:{action} is refused to the hub account: {error_code(error)}: "
                f"{error_message(error)}.{advice}"
            ) from error
        except BotoCoreError as error:
            raise HubError(f"AWS Organizations cannot be reached: {error}") from error
        if key not in answer:
            raise HubError(f"AWS Organizations answered {operation} without '{key}': the body is not whole")
        return answer


@dataclass(frozen=True)
class _Unit:
    """The root or an organizational unit: the names and ids along its path, from the root down."""

    names: tuple[str, ...]
    ids: tuple[str, ...]


def _inner_units(accounts: list[dict[str, Any]]) -> set[str] | None:
    """The ids of the units with units below them that hold accounts; None when not every account has its `Paths`.

    Most units of a large organization have none below them; not to ask each of them saves as many calls.
    """
    paths = [path.split("/") for account in accounts for path in account.get("Paths") or [""]]
    if any(path == [""] for path in paths):
        return None
    return {above for path in paths for above, below in itertools.pairwise(path) if below.startswith("ou-")}


def _units(reader: _Reader, inner: set[str] | None) -> Iterator[_Unit]:
    """The root and the organizational units, parents first: all of them, or only what is right under `inner` ones."""
    open_units = [_Unit((root["Name"],), (root["Id"],)) for root in reader.items("list_roots", "Roots")]
    while open_units:
        unit = open_units.pop(0)
        yield unit
        if inner is not None and unit.ids[-1] not in inner:
            continue
        children = reader.items("list_organizational_units_for_parent", "OrganizationalUnits", ParentId=unit.ids[-1])
        open_units += [_Unit((*unit.names, child["Name"]), (*unit.ids, child["Id"])) for child in children]


def _parents(reader: _Reader, accounts: list[dict[str, Any]], units: dict[str, _Unit]) -> dict[str, _Unit]:
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
        account["Id"]: unit
        for unit_id, unit in units.items()
        for account in reader.items("list_accounts_for_parent", "Accounts", ParentId=unit_id)
    }
