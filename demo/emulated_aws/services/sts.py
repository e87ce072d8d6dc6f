"""AWS STS: GetCallerIdentity and AssumeRole."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from demo.emulated_aws.protocols import AwsError, Call
from demo.emulated_aws.world import ADMINISTRATOR_ROLE

_ROLE_ARN = re.compile(r"arn:(?P<partition>[a-z-]+):iam::(?P<account>\d{12}):role/(?P<role>[\w+=,.@/-]+)")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")
# A role's default maximum, and also the limit of role chaining.
_MAX_SESSION_SECONDS = 3600


def get_caller_identity(call: Call) -> str:
    """Return whose credentials these are."""
    caller = call.caller
    return (
        f"<Arn>{escape(caller.arn)}</Arn><UserId>{escape(caller.user_id)}</UserId>"
        f"<Account>{caller.account_id}</Account>"
    )


def assume_role(call: Call) -> str:
    """Open a session in an account, or refuse in one and the same way whatever the reason is, as AWS does."""
    arn, name = call.parameters.get("RoleArn", ""), call.parameters.get("RoleSessionName", "")
    seconds = int(call.parameters.get("DurationSeconds", _MAX_SESSION_SECONDS))
    role = _ROLE_ARN.fullmatch(arn)
    if role is None:
        raise AwsError("ValidationError", f"{arn} is invalid")
    if _SESSION_NAME.fullmatch(name) is None:
        raise AwsError(
            "ValidationError",
            f"1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [\\w+=,.@-]*",
        )
    if seconds < 900:
        raise AwsError(
            "ValidationError",
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: "
            "Member must have value greater than or equal to 900",
        )
    if not _trusts(call, role["partition"], role["account"], role["role"]):
        raise AwsError(
            "AccessDenied",
            f"User: {call.caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}",
            403,
        )
    if seconds > _MAX_SESSION_SECONDS:
        raise AwsError(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    key_id, session = call.identities.issue(role["account"], role["role"], name, seconds)
    expiration = datetime.fromtimestamp(session.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f"<AssumedRoleUser><AssumedRoleId>{escape(session.user_id)}</AssumedRoleId>"
        f"<Arn>{escape(session.arn)}</Arn></AssumedRoleUser>"
        f"<Credentials><AccessKeyId>{key_id}</AccessKeyId>"
        f"<SecretAccessKey>{session.secret_access_key}</SecretAccessKey>"
        f"<SessionToken>{session.session_token}</SessionToken><Expiration>{expiration}</Expiration></Credentials>"
    )


def _trusts(call: Call, partition: str, account_id: str, role: str) -> bool:
    world = call.world
    account = world.accounts.get(account_id)
    if account is None or account.state != "ACTIVE" or partition != world.partition:
        return False
    if role == ADMINISTRATOR_ROLE:
        return call.account_id == world.management_account_id and account_id != world.management_account_id
    is_there = {
        world.role_name: account.assumable,
        world.remediation_role_name: account.remediable,
        world.security_hub_role_name: account.importable,
    }
    return (
        is_there.get(role, False)
        and call.account_id == world.hub_account_id
        and world.external_id in (None, call.parameters.get("ExternalId"))
    )


OPERATIONS = {"GetCallerIdentity": get_caller_identity, "AssumeRole": assume_role}
