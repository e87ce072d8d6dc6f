"""The tree of organizational units, and the unit that each account is in."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ecr_audit.aws.answers import cleaned
from ecr_audit.aws.organizations_reader import OrganizationsReader

# The longest name of an account or a unit (AWS Organizations API Reference, Account).
LONGEST_NAME = 128


@dataclass(frozen=True)
class Unit:
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


def list_units(reader: OrganizationsReader, inner: set[str] | None) -> Iterator[Unit]:
    """The root and the organizational units, parents first: all of them, or only those directly under `inner` ones."""
    open_units = [Unit((name_of(root) or root["Id"],), (root["Id"],)) for root in reader.items("list_roots", "Roots")]
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
            names = (*unit.names, name_of(child) or child["Id"])
            # Siblings have different names, except after cleaning, or while they are being renamed.
            while names in taken:
                names = (*unit.names, f"{names[-1]} ({child['Id']})")
            taken.add(names)
            open_units.append(Unit(names, (*unit.ids, child["Id"])))


def parents_of(reader: OrganizationsReader, accounts: list[dict[str, Any]], units: dict[str, Unit]) -> dict[str, Unit]:
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


def name_of(raw: dict[str, Any]) -> str:
    """The name of an account or a unit; empty when AWS gives none that is text."""
    name = raw.get("Name")
    return cleaned(name, LONGEST_NAME) if isinstance(name, str) else ""
