"""The organization: its accounts, with state and OU path."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ecr_audit.aws.answers import Unread, quoted
from ecr_audit.aws.organizations_reader import OrganizationsReader
from ecr_audit.aws.permissions import Permission, Role
from ecr_audit.aws.regions import DESCRIBE_REGIONS
from ecr_audit.aws.session import Hub, HubError
from ecr_audit.aws.units import Unit, inner_units, list_units, name_of, parents_of
from ecr_audit.unit_paths import join_names

log = logging.getLogger(__name__)

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

ACTIVE = "ACTIVE"
# AWS Organizations API Reference, Account.
STATES = ("PENDING_ACTIVATION", ACTIVE, "SUSPENDED", "PENDING_CLOSURE", "CLOSED")
_ACCOUNT_ID = re.compile("[0-9]{12}")


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


def organization_id(hub: Hub) -> str:
    """The id of the hub's organization, `o-…`. Raises HubError naming the permission when the hub may not ask."""
    its_id = OrganizationsReader(hub).ask("describe_organization", "Organization")["Organization"].get("Id")
    if not its_id:
        raise HubError("AWS Organizations returned no organization id for describe_organization")
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
    reader = OrganizationsReader(hub)
    raw = _identified(reader.items("list_accounts", "Accounts"))
    parents, units_error = {}, None
    try:
        units = {unit.ids[-1]: unit for unit in list_units(reader, inner_units(raw))}
        parents = parents_of(reader, raw, units)
    except HubError as error:
        units_error = error
    accounts = (_account(each, parents.get(each["Id"])) for each in raw)
    return ListedAccounts(sorted(accounts, key=lambda account: account.account_id), units_error)


def _identified(accounts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One account per id. A listing is not a snapshot: for an account on two pages the later one wins."""
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


def _account(raw: dict[str, Any], parent: Unit | None) -> Account:
    return Account(
        account_id=raw["Id"],
        name=name_of(raw),
        state=_state(raw),
        ou_id=parent.ids[-1] if parent else None,
        ou_path=join_names(parent.names) if parent else None,
        unit_ids=parent.ids if parent else (),
        joined_at=raw.get("JoinedTimestamp"),
    )


def _state(raw: dict[str, Any]) -> str:
    """The account's state. One that gives none, or none that is known, is scanned: to leave it out would be blindness.

    `Status` was retired for `State` on 2026-09-09.
    """
    given = raw.get("State") or raw.get("Status") or ACTIVE
    if given in STATES:
        return str(given)
    log.warning("Account %s: unknown state %s; it is scanned like an active one", raw["Id"], quoted(given))
    return ACTIVE
