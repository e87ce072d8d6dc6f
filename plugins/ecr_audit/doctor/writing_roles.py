"""The roles that write: whether the hub can enter the accounts with them. Nothing is read or written there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ecr_audit.aws.accounts import Entry, MemberIdentity, enter_account
from ecr_audit.aws.connections import Connections
from ecr_audit.aws.dispatcher import Dispatcher
from ecr_audit.aws.organization import Account
from ecr_audit.aws.outcomes import error_code, error_message
from ecr_audit.aws.session import Hub
from ecr_audit.doctor.probe import PROBE_SECONDS
from ecr_audit.doctor.results import Result, Status, ok
from ecr_audit.settings import Settings

REMEDIATION_ROLE = "Remediation role"
SECURITY_HUB_ROLE = "Security Hub role"


def check_remediation_role(hub: Hub, accounts: Sequence[Account], settings: Settings) -> Result:
    """Assume the remediation role in all accounts."""
    fix = (
        "Where repositories may be changed, deploy remediation-role.yaml, with this external id; and allow the hub to"
        " assume the role (hub-role.yaml: RemediationRoleName). Changes in other accounts end as DENIED."
    )
    return _check(hub, accounts, settings, settings.remediation_role_name or "", REMEDIATION_ROLE, fix)


def check_security_hub_role(hub: Hub, accounts: Sequence[Account], settings: Settings) -> Result:
    """Assume the Security Hub role in all accounts."""
    fix = (
        "Where findings are to be imported, deploy security-hub-role.yaml, with this external id; and allow the hub to"
        " assume the role (hub-role.yaml: SecurityHubRoleName). Imports in other accounts end as ASSUME_ROLE_DENIED."
    )
    return _check(hub, accounts, settings, settings.security_hub_role_name or "", SECURITY_HUB_ROLE, fix)


def _check(hub: Hub, accounts: Sequence[Account], settings: Settings, role: str, title: str, fix: str) -> Result:
    """Assume a role in all accounts. That some lack it is a warning: it may be meant so."""
    errors = asyncio.run(_enter_all(hub, accounts, role, settings))
    refused = [(account, error) for account, error in zip(accounts, errors, strict=True) if error is not None]
    if not refused:
        return ok(title, f"role {role} assumed in all {len(accounts)} accounts")
    found = f"role {role} assumed in {len(accounts) - len(refused)} of {len(accounts)} accounts, not in:"
    cases = [f"{each.account_id} {each.name}: {error_code(error)}: {error_message(error)}" for each, error in refused]
    return Result(Status.WARN, title, found, fix, cases)


async def _enter_all(hub: Hub, accounts: Sequence[Account], role: str, settings: Settings) -> list[Exception | None]:
    in_flight = settings.concurrency
    async with Connections(hub.access, in_flight) as connections, Dispatcher(connections, in_flight) as dispatcher:

        async def enter(account: Account) -> Exception | None:
            identity = MemberIdentity(hub, connections, account.account_id, role, settings.external_id)
            done: asyncio.Future[Entry | Exception] = asyncio.get_running_loop().create_future()
            dispatcher.submit(
                enter_account(hub, identity, ask_regions=False),
                seconds=PROBE_SECONDS,
                on_done=lambda result, _: done.set_result(result),
            )
            entry = await done
            return entry if isinstance(entry, Exception) else entry.error

        return await asyncio.gather(*(enter(account) for account in accounts))
