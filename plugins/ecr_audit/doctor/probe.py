"""Probes every account and region with the calls of a scan, by the code of a scan."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecr_audit.aws.accounts import (
    ASSUME_ROLE,
    AWS_FAULTS,
    DESCRIBE_REGIONS,
    Entry,
    HubIdentity,
    MemberIdentity,
    enter_account,
)
from ecr_audit.aws.connections import Connections
from ecr_audit.aws.dispatcher import Call, Dispatcher, Flow, Identity
from ecr_audit.aws.ecr.tags import GET_RESOURCES
from ecr_audit.aws.ecr.target import TargetScan, probe_target
from ecr_audit.aws.organization import Account
from ecr_audit.aws.outcomes import Outcome, error_code, error_message, outcome_of_assume_role
from ecr_audit.aws.regions import Region
from ecr_audit.aws.session import Hub
from ecr_audit.settings import Settings

# How long a throttled call is retried: a person waits for the result.
PROBE_SECONDS = 20


@dataclass(frozen=True)
class Visit:
    """The responses of one account."""

    account: Account
    # The error of each call that failed, by the action that allows it; how listing repositories ended is in `targets`.
    refusals: Mapping[str, Exception]
    # One a region: as a night would end there.
    targets: Sequence[TargetScan]


def visit_accounts(hub: Hub, accounts: Sequence[Account], regions: Sequence[Region], settings: Settings) -> list[Visit]:
    """Enter the accounts, and make in each region the calls that a scan makes, in small. In the order of the accounts.

    Over the connections of a scan, so that what stands in its way shows: proxies, trust, endpoints, names.
    """
    return asyncio.run(_visit_all(hub, accounts, regions, settings))


async def _visit_all(
    hub: Hub, accounts: Sequence[Account], regions: Sequence[Region], settings: Settings
) -> list[Visit]:
    in_flight = settings.concurrency
    async with Connections(hub.access, in_flight) as connections, Dispatcher(connections, in_flight) as dispatcher:
        visitor = _Visitor(hub, connections, dispatcher, regions, settings)
        return await asyncio.gather(*(visitor.visit(account) for account in accounts))


class _Visitor:
    def __init__(
        self, hub: Hub, connections: Connections, dispatcher: Dispatcher, regions: Sequence[Region], settings: Settings
    ) -> None:
        self._hub = hub
        self._connections = connections
        self._dispatcher = dispatcher
        self._regions = regions
        self._settings = settings

    async def visit(self, account: Account) -> Visit:
        identity = self._identity(account.account_id)
        ask_regions = any(region.opt_in for region in self._regions)
        entry = await self._result(enter_account(self._hub, identity, ask_regions=ask_regions))
        if isinstance(entry, Exception):
            entry = Entry(identity, None, entry)
        if entry.error is not None:
            outcome = outcome_of_assume_role(entry.error)
            targets = [_ended(account.account_id, region, outcome, entry.error) for region in self._regions]
            return Visit(account, {ASSUME_ROLE.action: entry.error}, targets)
        targets = await asyncio.gather(*(self._target(account.account_id, entry, region) for region in self._regions))
        tags_error = await self._tags_error(identity, targets)
        refusals = {DESCRIBE_REGIONS.action: entry.regions_error, GET_RESOURCES.action: tags_error}
        return Visit(account, {action: error for action, error in refusals.items() if error is not None}, targets)

    def _identity(self, account_id: str) -> HubIdentity | MemberIdentity:
        """In the hub account the hub's own, else the audit role's."""
        if account_id == self._hub.account_id:
            return HubIdentity(self._hub)
        settings = self._settings
        return MemberIdentity(self._hub, self._connections, account_id, settings.role_name, settings.external_id)

    async def _target(self, account_id: str, entry: Entry, region: Region) -> TargetScan:
        if entry.has_enabled(region.name, opt_in=region.opt_in) is False:
            return _ended(account_id, region, Outcome.REGION_DISABLED)
        may_be_disabled = entry.may_tell(region.name, opt_in=region.opt_in)
        flow = probe_target(entry.identity, account_id, region.name, may_be_disabled=may_be_disabled)
        ended = await self._result(flow)
        return _ended(account_id, region, Outcome.FAILED, ended) if isinstance(ended, Exception) else ended

    async def _tags_error(self, identity: Identity, targets: Sequence[TargetScan]) -> Exception | None:
        """Why tags cannot be read, in one region whose repositories can: the hub's, where that is one."""
        names = [target.region for target in targets if target.outcome is Outcome.COLLECTED]
        if not names or not self._settings.collect_tags:
            return None
        error: Exception | None = await self._result(_read_tags(identity, min(names, key=self._distance)))
        return error

    def _distance(self, region: str) -> bool:
        return region != self._hub.region

    async def _result(self, flow: Flow) -> Any:
        """The result of a flow; an exception when the program's own code failed."""
        done = asyncio.get_running_loop().create_future()
        self._dispatcher.submit(flow, seconds=PROBE_SECONDS, on_done=lambda result, _: done.set_result(result))
        return await done


def _read_tags(identity: Identity, region: str) -> Flow:
    few = {"ResourceTypeFilters": ["ecr:repository"], "ResourcesPerPage": 1}
    try:
        yield Call(identity, "resourcegroupstaggingapi", region, "get_resources", few, "ResourceTagMappingList")
    except AWS_FAULTS as error:
        return error
    return None


def _ended(account_id: str, region: Region, outcome: Outcome, error: Exception | None = None) -> TargetScan:
    code, message = (error_code(error), error_message(error)) if error else (None, None)
    return TargetScan(account_id, region.name, outcome, error_code=code, error_message=message)
