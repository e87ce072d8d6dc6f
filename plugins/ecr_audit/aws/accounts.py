"""Entering an account: the hub's role in it, assumed once, and which opt-in regions it has enabled."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from ecr_audit.aws.connections import Connections
from ecr_audit.aws.dispatcher import Call, Flow, Pacer
from ecr_audit.aws.permissions import Option, Permission, Role
from ecr_audit.aws.session import Hub, HubError

# Errors that a call can raise once it is no longer retried.
AWS_FAULTS = (ClientError, BotoCoreError, HubError, aiohttp.ClientError, TimeoutError, ResponseParserError)

_AUDIT_ROLE = "arn:{partition}:iam::*:role{role}"
_REMEDIATION_ROLE = "arn:{partition}:iam::*:role{remediation_role}"
_SECURITY_HUB_ROLE = "arn:{partition}:iam::*:role{security_hub_role}"

ASSUME_ROLE = Permission((Role.HUB,), "sts:AssumeRole", "to assume the audit role of the accounts", (_AUDIT_ROLE,))

# The hub's own account is audited with its own role.
DESCRIBE_REGIONS = Permission(
    (Role.AUDIT, Role.HUB),
    "ec2:DescribeRegions",
    "which opt-in regions the account has enabled",
    without="opt-in regions are tried one by one, and a region whose state stays unknown is FAILED",
)

PERMISSIONS = (
    ASSUME_ROLE,
    # The tags by which EKS identifies the pod go with every AssumeRole.
    Permission((Role.HUB,), "sts:TagSession", "to pass on the tags of the pod's session", (_AUDIT_ROLE,), Option.PODS),
    DESCRIBE_REGIONS,
    Permission(
        (Role.HUB,),
        "sts:AssumeRole",
        "to assume the remediation role of the accounts",
        (_REMEDIATION_ROLE,),
        Option.REMEDIATION,
    ),
    Permission(
        (Role.HUB,), "sts:TagSession", "to pass on the tags of a session", (_REMEDIATION_ROLE,), Option.REMEDIATION
    ),
    Permission(
        (Role.HUB,),
        "sts:AssumeRole",
        "to assume the Security Hub role of the accounts",
        (_SECURITY_HUB_ROLE,),
        Option.SECURITY_HUB,
    ),
    Permission(
        (Role.HUB,), "sts:TagSession", "to pass on the tags of a session", (_SECURITY_HUB_ROLE,), Option.SECURITY_HUB
    ),
)

# The longest that role chaining allows (IAM User Guide, "Roles terms and concepts"): the hub is often a role itself.
SESSION_SECONDS = 3600

# AssumeRole is limited to 600/s per calling account and region, which all concurrent batches share.
ASSUME_ROLE_PACE = Pacer(rate=100)


def session_name(run_id: str) -> str:
    """The name of the sessions that a run opens in the accounts, so that CloudTrail there names the run.

    2 to 64 letters, digits or _+=,.@- (AssumeRole, RoleSessionName); whatever else an id has becomes a dot.
    """
    return re.sub(r"[^\w+=,.@-]", ".", f"ecr-audit@{run_id}", flags=re.ASCII)[:64]


def assume_role_request(hub: Hub, account_id: str, role_name: str, external_id: str | None) -> dict[str, Any]:
    """The parameters of AssumeRole by which the hub enters an account."""
    request: dict[str, Any] = {
        "RoleArn": f"arn:{hub.partition}:iam::{account_id}:role/{role_name}",
        "RoleSessionName": hub.session_name,
        "DurationSeconds": SESSION_SECONDS,
    }
    return request | ({"ExternalId": external_id} if external_id else {})


class HubIdentity:
    """The hub's own credentials; botocore renews them where their source can."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        # Whether they are known to be valid in each enabled region. It is unknown of which endpoint of STS a
        # token of theirs is; without a token they are a user's keys, which are valid.
        self.valid_in_enabled_regions = False

    async def credentials(self) -> ReadOnlyCredentials:
        # Their source may be a file, a process or a server.
        found = await asyncio.to_thread(self._hub.credentials)
        self.valid_in_enabled_regions = not found.token
        return found

    def expire(self, used: ReadOnlyCredentials) -> None:
        """Nothing to do: the source returns the current credentials at each call."""


class MemberIdentity:
    """The audit role in a member account. Credentials are global: one AssumeRole serves all regions."""

    # Their token is of a regional endpoint of STS, as `Connections` sees to.
    valid_in_enabled_regions = True

    def __init__(
        self, hub: Hub, connections: Connections, account_id: str, role_name: str, external_id: str | None
    ) -> None:
        self._hub = HubIdentity(hub)
        self._region = hub.region
        self._connections = connections
        self._renewing = asyncio.Lock()
        self._credentials: ReadOnlyCredentials | None = None
        self._renew_at = 0.0  # seconds since 1970
        self.request = assume_role_request(hub, account_id, role_name, external_id)

    def accept(self, answer: Mapping[str, Any]) -> None:
        """Take the credentials of an AssumeRole answer; they are renewed after nine tenths of their time.

        Without an expiration in the time that was asked for they count as given for all of it: AWS reports those that
        expire earlier. Raises ResponseParserError for an answer without credentials.
        """
        given = answer.get("Credentials") or {}
        keys = [given.get(name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
        if not all(keys):
            raise ResponseParserError("assume_role returned no key, secret or session token")
        now = datetime.now(UTC).timestamp()
        expiration = given.get("Expiration")
        seconds = expiration.timestamp() - now if expiration else SESSION_SECONDS
        self._renew_at = now + 0.9 * (seconds if 0 < seconds <= SESSION_SECONDS else SESSION_SECONDS)
        self._credentials = ReadOnlyCredentials(*keys)

    async def credentials(self) -> ReadOnlyCredentials:
        async with self._renewing:
            if self._credentials is None or datetime.now(UTC).timestamp() >= self._renew_at:
                as_hub = await self._hub.credentials()
                self.accept(await self._connections.call(as_hub, "sts", self._region, "assume_role", self.request))
            assert self._credentials is not None  # noqa: S101 - accept() sets it
            return self._credentials

    def expire(self, used: ReadOnlyCredentials) -> None:
        """Only if they are still the present ones: another flow may have renewed them already."""
        if self._credentials is used:
            self._credentials = None


@dataclass(frozen=True)
class Entry:
    """The result of entering an account."""

    identity: HubIdentity | MemberIdentity
    # The regions that the account can use; None when it was not asked, or did not answer, so that each must be tried.
    enabled_regions: frozenset[str] | None
    # Why the account cannot be entered at all; its targets end with the outcome of this.
    error: Exception | None = None
    # Why the account did not return its enabled regions.
    regions_error: Exception | None = None

    def has_enabled(self, region: str, *, opt_in: bool) -> bool | None:
        """Whether the account can use a region; None if unknown."""
        if not opt_in:
            return True
        return None if self.enabled_regions is None else region in self.enabled_regions

    def may_tell(self, region: str, *, opt_in: bool) -> bool:
        """Whether it is unknown if the region is enabled, so that only the region's own responses can show it."""
        return self.has_enabled(region, opt_in=opt_in) is None and self.identity.valid_in_enabled_regions


def enter_account(hub: Hub, identity: HubIdentity | MemberIdentity, *, ask_regions: bool) -> Flow:
    """A flow that assumes the role and, with `ask_regions`, asks which regions are enabled. Returns an Entry.

    The regional STS endpoint is used (`Connections` sees to it): tokens of the global one do not work in opt-in regions
    (IAM User Guide, "Manage AWS STS in an AWS Region"). Default regions are always enabled, so only opt-in ones need
    the look-up.
    """
    if isinstance(identity, MemberIdentity):
        hub_identity = HubIdentity(hub)
        try:
            answer = yield Call(
                hub_identity, "sts", hub.region, "assume_role", identity.request, "Credentials", ASSUME_ROLE_PACE
            )
            identity.accept(answer)
        except AWS_FAULTS as error:
            return Entry(identity, None, error)
    if not ask_regions:
        return Entry(identity, None)
    try:
        answer = yield Call(identity, "ec2", hub.region, "describe_regions", {}, "Regions")
    except AWS_FAULTS as error:
        return Entry(identity, None, regions_error=error)
    regions = answer["Regions"]
    enabled = frozenset(each.get("RegionName") for each in regions if each.get("OptInStatus") != "not-opted-in")
    # A region without a name could be any, and no account has none at all: then none may be taken for disabled.
    return Entry(identity, enabled if enabled and all(each.get("RegionName") for each in regions) else None)
