"""The way to AWS that a process has named, for a process of its own that runs a step: see own_process.py.

It crosses by the pipe between the two, never by the environment or a command line, which others can read. Where nothing
but boto3's own chain is named, nothing crosses: the other process has the same chain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialProvider, RefreshableCredentials
from botocore.exceptions import NoCredentialsError

from ecr_audit.aws.access import AwsAccess, aws_access, named_access

# botocore asks for credentials again when they have less than 15 minutes left, and so five minutes after it got these.
# The caller's own, which botocore renews in the same way, are then good for longer than that.
TAKEN_FOR = timedelta(minutes=20)


@dataclass(frozen=True)
class Handover:
    """An AwsAccess without its credentials, as it can be sent."""

    profile: str | None
    region: str | None
    config: Config | None
    verify: bool | str | None
    endpoint_urls: Mapping[str, str]


def describe() -> Handover | None:
    """In the caller: how AWS is reached; None by boto3's own chain."""
    access = named_access()
    if access is None:
        return None
    profile = access.session.profile_name
    return Handover(
        profile=None if profile == "default" else profile,  # as boto3 calls it when there is none
        region=access.session.region_name,
        config=access.config,
        verify=access.verify,
        endpoint_urls=dict(access.endpoint_urls),
    )


def credentials() -> dict[str, Any]:
    """In the caller: its credentials as they are now, as botocore takes them of who refreshes."""
    found = aws_access().session.get_credentials()
    if found is None:
        raise NoCredentialsError
    now = found.get_frozen_credentials()
    until = (datetime.now(UTC) + TAKEN_FOR).isoformat()
    return {"access_key": now.access_key, "secret_key": now.secret_key, "token": now.token, "expiry_time": until}


def access_of_caller(in_caller: Callable[[str], Any]) -> AwsAccess | None:
    """In the process of its own: how its caller reaches AWS. A source for `use_access`.

    `in_caller`: calls a function, which is named, in the caller.
    """
    handed = in_caller(f"{__name__}:describe")
    if handed is None:
        return None
    session = botocore.session.get_session()
    # Before all others, of which `env` is the first.
    session.get_component("credential_provider").insert_before("env", _OfCaller(in_caller))
    made = boto3.Session(botocore_session=session, profile_name=handed.profile, region_name=handed.region)
    return AwsAccess(made, handed.config, handed.verify, handed.endpoint_urls)


class _OfCaller(CredentialProvider):
    METHOD = "ecr-audit-caller"

    def __init__(self, in_caller: Callable[[str], Any]) -> None:
        super().__init__()
        self._in_caller = in_caller

    def load(self) -> RefreshableCredentials:
        def ask() -> dict[str, Any]:
            return dict(self._in_caller(f"{__name__}:credentials"))

        return RefreshableCredentials.create_from_metadata(ask(), ask, self.METHOD)
