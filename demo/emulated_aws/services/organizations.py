"""AWS Organizations: the accounts, and the tree that they hang in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from demo.emulated_aws.protocols import AwsError, Call, page_offset, page_token
from demo.emulated_aws.world import Account, OrganizationalUnit

Item = TypeVar("Item")

# "Maximum number of results" of every listing of AWS Organizations.
_PAGE = 20


def _authorize(call: Call) -> None:
    """Let only the organization's management account or a delegated administrator (the hub) ask."""
    if call.account_id not in (call.world.management_account_id, call.world.hub_account_id):
        raise AwsError("AccessDeniedException", "You don't have permissions to access this resource.")


def _page(call: Call, member: str, items: Sequence[Item], render: Callable[[Call, Item], Any]) -> dict[str, Any]:
    """Return one page of a listing, and the token of the next."""
    _authorize(call)
    size = call.parameters.get("MaxResults", _PAGE)
    offset = page_offset(call.operation, call.parameters.get("NextToken"))
    if offset is None or not 1 <= size <= _PAGE:
        reason = "INVALID_NEXT_TOKEN" if offset is None else "MAX_VALUE_EXCEEDED"
        raise AwsError(
            "InvalidInputException", f"You provided a value that does not match the required pattern: {reason}."
        )
    answer: dict[str, Any] = {member: [render(call, item) for item in items[offset : offset + size]]}
    if offset + size < len(items):
        answer["NextToken"] = page_token(call.operation, offset + size)
    return answer


def _arn(call: Call, kind: str, name: str) -> str:
    world = call.world
    account = world.management_account_id
    return f"arn:{world.partition}:organizations::{account}:{kind}/{world.organization_id}/{name}"


def _account(call: Call, account: Account) -> dict[str, Any]:
    """Render an account. Its `Paths` ends with its own id, as the pattern of the API's `Path` type allows."""
    answer: dict[str, Any] = {
        "Id": account.id,
        "Arn": _arn(call, "account", account.id),
        "Email": f"aws+{account.id}@example.com",
        "Name": account.name,
        "State": account.state,
        "JoinedMethod": "CREATED",
        "JoinedTimestamp": account.joined_at,
    }
    if call.world.has_status:
        # The older field knows three states; Status of a closed account stays SUSPENDED.
        answer["Status"] = "SUSPENDED" if account.state == "CLOSED" else account.state
    if call.world.has_paths:
        answer["Paths"] = [f"{call.world.entity_path(account.parent_id)}{account.id}/"]
    return answer


def _unit(call: Call, unit: OrganizationalUnit) -> dict[str, Any]:
    return {
        "Id": unit.id,
        "Arn": _arn(call, "ou", unit.id),
        "Name": unit.name,
        "Path": call.world.entity_path(unit.id),
    }


def describe_organization(call: Call) -> Any:
    """Describe the organization; any of its accounts may ask."""
    management = call.world.management_account_id
    return {
        "Organization": {
            "Id": call.world.organization_id,
            "Arn": _arn(call, "organization", "").rstrip("/"),
            "FeatureSet": "ALL",
            "MasterAccountArn": _arn(call, "account", management),
            "MasterAccountId": management,
            "MasterAccountEmail": f"aws+{management}@example.com",
            "AvailablePolicyTypes": [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}],
        }
    }


def list_accounts(call: Call) -> Any:
    """List all accounts, 20 a page."""
    return _page(call, "Accounts", call.world.account_list, _account)


def list_roots(call: Call) -> Any:
    """List the only root there is."""
    root = {
        "Id": call.world.root_id,
        "Arn": _arn(call, "root", call.world.root_id),
        "Name": "Root",
        "PolicyTypes": [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}],
    }
    return _page(call, "Roots", [root], lambda _, item: item)


def list_organizational_units_for_parent(call: Call) -> Any:
    """List the units right under a parent."""
    parent = _parent(call)
    units = [unit for unit in call.world.units.values() if unit.parent_id == parent]
    return _page(call, "OrganizationalUnits", units, _unit)


def list_accounts_for_parent(call: Call) -> Any:
    """List the accounts right under a parent."""
    parent = _parent(call)
    accounts = [account for account in call.world.account_list if account.parent_id == parent]
    return _page(call, "Accounts", accounts, _account)


def _parent(call: Call) -> str:
    parent = str(call.parameters["ParentId"])
    if parent != call.world.root_id and parent not in call.world.units:
        raise AwsError("ParentNotFoundException", "You specified parent that doesn't exist.")
    return parent


def list_parents(call: Call) -> Any:
    """Name the parent of an account or a unit."""
    child = call.parameters["ChildId"]
    node = call.world.accounts.get(child) or call.world.units.get(child)
    if node is None:
        raise AwsError("ChildNotFoundException", "You specified child that doesn't exist.")
    kind = "ROOT" if node.parent_id == call.world.root_id else "ORGANIZATIONAL_UNIT"
    return _page(call, "Parents", [{"Id": node.parent_id, "Type": kind}], lambda _, item: item)


def describe_organizational_unit(call: Call) -> Any:
    """Describe one unit."""
    _authorize(call)
    unit = call.world.units.get(call.parameters["OrganizationalUnitId"])
    if unit is None:
        raise AwsError(
            "OrganizationalUnitNotFoundException", "You specified an organizational unit that doesn't exist."
        )
    return {"OrganizationalUnit": _unit(call, unit)}


OPERATIONS = {
    "DescribeOrganization": describe_organization,
    "ListAccounts": list_accounts,
    "ListRoots": list_roots,
    "ListOrganizationalUnitsForParent": list_organizational_units_for_parent,
    "ListAccountsForParent": list_accounts_for_parent,
    "ListParents": list_parents,
    "DescribeOrganizationalUnit": describe_organizational_unit,
}
