"""The hub's own session, and clients whose credentials are looked up at every call.

A client per account x region costs milliseconds of CPU and a fresh TLS connection each. So there is one client per
service and region, shared by all accounts and threads: its signer asks `CallerCredentials` whose call this is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from ecr_audit.aws.outcomes import error_code, error_message
from ecr_audit.aws.wire import Wire

CONNECT_SECONDS = 5
# ECR answers in well under a second; what takes longer hangs, and is tried again on a fresh connection.
READ_SECONDS = 20


class HubError(RuntimeError):
    """The hub account cannot be used: no credentials, or a call that the audit cannot do without was refused."""


@dataclass(frozen=True)
class Hub:
    """The account that the audit runs from: the management account, or a delegated administrator."""

    session: boto3.Session
    account_id: str
    partition: str
    region: str

    def client(self, service: str) -> Any:
        """A client with the hub's own credentials, in its region, that retries as botocore's standard mode does."""
        retries: Any = {"mode": "standard", "total_max_attempts": 8}
        config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)
        return self.session.client(service, region_name=self.region, config=config)

    def credentials(self) -> ReadOnlyCredentials:
        """The hub's credentials as they are now; refreshed by botocore where their source can refresh."""
        found = self.session.get_credentials()
        if found is None:
            raise HubError(NO_CREDENTIALS)
        return found.get_frozen_credentials()


NO_CREDENTIALS = (
    "No AWS credentials for the hub account. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run "
    "where a role is attached, or name an Airflow connection in ECR_AUDIT_AWS_CONN_ID."
)

# The services that each target is asked for: their calls are nearly all of a scan, and go the short way.
WIRED = ("ecr", "resourcegroupstaggingapi")

# Where STS and Organizations are reached when the environment names no region.
HOME_REGION = "us-east-1"


def connect_hub(session: boto3.Session | None = None) -> Hub:
    """Find out who the hub is. `session`: from an Airflow connection; default: boto3's own chain.

    The partition comes from the caller's ARN, so that GovCloud and China work without a setting.
    Raises HubError when there are no credentials or they are refused.
    """
    try:
        session = session or boto3.Session()
        region = session.region_name or HOME_REGION
        identity = Hub(session, "", "", region).client("sts").get_caller_identity()
    except ClientError as error:
        raise HubError(f"AWS refuses the hub's credentials: {error_code(error)}: {error_message(error)}") from error
    except BotoCoreError as error:
        if error_code(error) in ("NoCredentialsError", "PartialCredentialsError"):
            raise HubError(NO_CREDENTIALS) from error
        raise HubError(f"AWS cannot be asked who the hub is: {error}") from error
    return Hub(session, identity["Account"], identity["Arn"].split(":")[1], region)


_caller: ContextVar[ReadOnlyCredentials] = ContextVar("caller")


@contextmanager
def calling_as(credentials: ReadOnlyCredentials) -> Iterator[None]:
    """All calls of this thread within the block are signed with these credentials."""
    token = _caller.set(credentials)
    try:
        yield
    finally:
        _caller.reset(token)


# Whose call a rehearsal is, which is never sent.
NOBODY = ReadOnlyCredentials("nobody", "nobody", None)


class CallerCredentials(Credentials):
    """Credentials that are those of whoever calls now (see `calling_as`)."""

    def __init__(self) -> None:
        super().__init__("set", "per call")

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Called by botocore's signer, once per request."""
        return _caller.get()


class _CallerCredentialsProvider:
    """Stands where botocore expects its chain of credential providers."""

    def load_credentials(self) -> CallerCredentials:
        return CallerCredentials()


class Clients:
    """One client per service and region, shared by all accounts. Clients are thread-safe; making them is not."""

    def __init__(self, connections: int) -> None:
        """`connections`: how many a client may keep open, which is the number of threads that call."""
        core = botocore.session.Session()
        core.register_component("credential_provider", _CallerCredentialsProvider())
        self._session = boto3.Session(botocore_session=core, region_name=HOME_REGION)
        # No retries of botocore's own: they would hold a thread asleep, and draw on a quota that all accounts of a
        # client share, so that one throttled account would cost the others their retries. calls.py retries instead.
        attempts: Any = {"mode": "standard", "total_max_attempts": 1}
        self._config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries=attempts,
            max_pool_connections=connections,
            tcp_keepalive=True,
        )
        self._clients: dict[tuple[str, str], Any] = {}
        self._wires: dict[tuple[str, str, str], Wire] = {}
        self._making = threading.Lock()

    def call(
        self, credentials: ReadOnlyCredentials, service: str, region: str, method: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Make one call, signed with these credentials. Raises what botocore does.

        Answers of WIRED services are JSON as it came: timestamps are seconds since 1970.
        """
        if service in WIRED:
            return self._wire(service, region, method).call(parameters, credentials)
        with calling_as(credentials):
            answer: Mapping[str, Any] = getattr(self._client(service, region), method)(**parameters)
            return answer

    def _client(self, service: str, region: str) -> Any:
        """The client of a service in a region, made at first use."""
        client = self._clients.get((service, region))
        if client is None:
            with self._making:
                client = self._clients.get((service, region))
                if client is None:
                    client = self._session.client(service, region_name=region, config=self._config)
                    self._clients[service, region] = client
        return client

    def _wire(self, service: str, region: str, method: str) -> Wire:
        wire = self._wires.get((service, region, method))
        if wire is None:
            with calling_as(NOBODY):
                wire = Wire(self._client(service, region), method)
            self._wires[service, region, method] = wire
        return wire

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            client.close()
