"""Probes every account and region with the calls of a scan, by the code of a scan."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
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
from ecr_audit.aws.ecr.facet import Declaration, Registry
from ecr_audit.aws.ecr.facets import FACETS
from ecr_audit.aws.ecr.image_tags import probe_image_tags
from ecr_audit.aws.ecr.policies import ALLOWED
from ecr_audit.aws.ecr.target import TargetScan, probe_target, unread_target
from ecr_audit.aws.organization import Account
from ecr_audit.aws.outcomes import Outcome, error_code, outcome_of_assume_role
from ecr_audit.aws.permissions import action_of
from ecr_audit.aws.regions import Region
from ecr_audit.aws.session import Hub
from ecr_audit.settings import Settings
from ecr_audit.vocabulary import ImageTags

# How long a throttled call is retried: a person waits for the result.
PROBE_SECONDS = 20


@dataclass(frozen=True)
class Visit:
    """The responses of one account."""

    account: Account
    # The error of each call that failed, by the action that allows it; how listing repositories ended is in `targets`.
    refusals: Mapping[str, Exception]
    # The actions of facets and image tags that could be tried: each needs a repository, and keys one that is encrypted
    # by one.
    tried: Collection[str]
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
            targets = [unread_target(account.account_id, region.name, outcome, entry.error) for region in self._regions]
            return Visit(account, {ASSUME_ROLE.action: entry.error}, (), targets)
        targets = await asyncio.gather(*(self._target(account.account_id, entry, region) for region in self._regions))
        answers = await self._optional_answers(identity, targets)
        refusals = {action: error for action, error in answers.items() if error is not None}
        if entry.regions_error is not None:
            refusals[DESCRIBE_REGIONS.action] = entry.regions_error
        return Visit(account, refusals, answers.keys(), targets)

    def _identity(self, account_id: str) -> HubIdentity | MemberIdentity:
        """In the hub account the hub's own, else the audit role's."""
        if account_id == self._hub.account_id:
            return HubIdentity(self._hub)
        settings = self._settings
        return MemberIdentity(self._hub, self._connections, account_id, settings.role_name, settings.external_id)

    async def _target(self, account_id: str, entry: Entry, region: Region) -> TargetScan:
        if entry.has_enabled(region.name, opt_in=region.opt_in) is False:
            return unread_target(account_id, region.name, Outcome.REGION_DISABLED, None)
        may_be_disabled = entry.may_tell(region.name, opt_in=region.opt_in)
        flow = probe_target(entry.identity, account_id, region.name, may_be_disabled=may_be_disabled)
        ended: TargetScan | Exception = await self._result(flow)
        if isinstance(ended, Exception):
            return unread_target(account_id, region.name, Outcome.FAILED, ended)
        return ended

    async def _optional_answers(self, identity: Identity, targets: Sequence[TargetScan]) -> dict[str, Exception | None]:
        """The error of each action of the facets, and of image tags, None where it is allowed.

        Each is tried in one region with a repository: the hub's region, where it has one. They are read only where
        there are repositories: an account without any has nothing to ask for.
        """
        places = sorted((each for each in targets if each.repositories), key=lambda each: self._distance(each.region))
        calls = [
            call
            for declaration in FACETS
            if declaration.facet in self._settings.collect
            for call in self._first_probe(identity, declaration, places)
        ]
        if self._settings.image_tags is not ImageTags.OFF and places:
            calls.append(probe_image_tags(self._registry(identity, places[0]), places[0].repositories[0].name))
        errors = await asyncio.gather(*(self._result(_allowed(call)) for call in calls))
        return {action_of(call.service, call.method): error for call, error in zip(calls, errors, strict=True)}

    def _first_probe(
        self, identity: Identity, declaration: Declaration, places: Sequence[TargetScan]
    ) -> Sequence[Call]:
        """The calls that try a facet, in the first of the places that has something to ask for."""
        for place in places:
            if calls := declaration.probe(self._registry(identity, place), place.repositories[0]):
                return calls
        return ()

    def _registry(self, identity: Identity, place: TargetScan) -> Registry:
        return Registry(identity, place.account_id, place.region, self._settings.calls_per_registry)

    def _distance(self, region: str) -> bool:
        return region != self._hub.region

    async def _result(self, flow: Flow) -> Any:
        """The result of a flow; an exception when the program's own code failed."""
        done = asyncio.get_running_loop().create_future()
        self._dispatcher.submit(flow, seconds=PROBE_SECONDS, on_done=lambda result, _: done.set_result(result))
        return await done


def _allowed(call: Call) -> Flow:
    """A flow that makes a call; returns its error, None when the answer shows that the call is allowed."""
    try:
        yield call
    except AWS_FAULTS as error:
        return None if error_code(error) in ALLOWED else error
    return None
