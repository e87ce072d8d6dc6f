"""Who calls: the hub's own keys and the sessions that AssumeRole issued."""

from __future__ import annotations

import base64
import hashlib
import itertools
import time
from dataclasses import dataclass

from demo.emulated_aws.world import World

# The example keys of AWS's own documentation: they open nothing.
HUB_ACCESS_KEY_ID = "AKIAIOSFODNN7EXAMPLE"
HUB_SECRET_ACCESS_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105
HUB_USER = "ecr-audit-hub"


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity behind an access key. `role` is None for the hub's user; times are seconds since 1970."""

    account_id: str
    arn: str
    user_id: str
    role: str | None = None
    secret_access_key: str = ""
    session_token: str = ""
    issued_at: float = 0.0
    expires_at: float = float("inf")


class Identities:
    """The access keys that the emulated AWS knows. Signatures are not verified; keys, tokens and expiry are."""

    def __init__(self, world: World) -> None:
        hub_arn = f"arn:{world.partition}:iam::{world.hub_account_id}:user/{HUB_USER}"
        self._partition = world.partition
        self._callers = {HUB_ACCESS_KEY_ID: Caller(world.hub_account_id, hub_arn, "AIDAIOSFODNN7EXAMPLE")}
        self._serial = itertools.count()

    def find(self, access_key_id: str, session_token: str) -> Caller | None:
        """Return who holds this key, if it is known and came with the session token that belongs to it."""
        caller = self._callers.get(access_key_id)
        return caller if caller is not None and caller.session_token == session_token else None

    def issue(self, account_id: str, role: str, session_name: str, seconds: int) -> tuple[str, Caller]:
        """Open a session of a role, and return its access key id and its identity."""
        digest = hashlib.sha512(f"{account_id}/{role}/{session_name}/{next(self._serial)}".encode()).digest()
        key_id = "ASIA" + base64.b32encode(digest[:10]).decode()
        role_id = "AROA" + base64.b32encode(hashlib.sha256(f"{account_id}/{role}".encode()).digest()[:10]).decode()
        now = time.time()
        caller = Caller(
            account_id,
            arn=f"arn:{self._partition}:sts::{account_id}:assumed-role/{role}/{session_name}",
            user_id=f"{role_id}:{session_name}",
            role=role,
            secret_access_key=base64.b64encode(digest[10:40]).decode(),
            session_token=base64.b64encode(digest[10:] * 4).decode(),
            issued_at=now,
            expires_at=now + seconds,
        )
        self._callers[key_id] = caller
        return key_id, caller
