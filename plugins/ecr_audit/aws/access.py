"""The way to AWS: one session for all that the audit calls, and what its clients have to be made with.

Hub, scan, lake, publications and waivers share it: credentials, proxies, trusted certificates, region and endpoints are
those of boto3's own chain, or those of the source that `use_access` names, such as an Airflow connection. Light to
import, for callers that only name a source.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config

    from ecr_audit.aws.endpoints import Endpoints

log = logging.getLogger(__name__)

# A source is read again after this many seconds: a connection's keys may have been replaced, which a web server that
# runs for months has to notice.
SOURCE_SECONDS = 300

# Variables of the region, which precede the profile's, in the order of the AWS CLI (AWS CLI User Guide,
# "Environment variables"). boto3 by itself reads only the second.
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")

# One for each file read concurrently, and for each thread of a transfer.
_S3_CONNECTIONS = 32


@dataclass(frozen=True)
class AwsAccess:
    """How AWS is reached: whose credentials sign, and what every client is made with."""

    session: boto3.Session
    # Its options win over those that a caller of `client` gives.
    config: Config | None = None
    # True, False or the path of a bundle, as boto3 takes it; None: as botocore finds it.
    verify: bool | str | None = None
    # By service, as boto3 names it; "" for all others.
    endpoint_urls: Mapping[str, str] = field(default_factory=dict)

    @property
    def region(self) -> str | None:
        """The region that clients call unless they are given another; None when nothing names one."""
        named = self.session.region_name or getattr(self.config, "region_name", None)
        return named or region_of_environment()[0] or None

    def client(self, service: str, region: str | None = None, config: Config | None = None, **keys: Any) -> Any:
        """A boto3 client. `keys`: credentials instead of the session's, as boto3 names them. Raises BotoCoreError."""
        if config and self.config:
            config = config.merge(self.config)
        with _lock:
            # In any environment: a token of STS's global endpoint is not valid in opt-in regions.
            self.session._session.set_config_variable("sts_regional_endpoints", "regional")
            return self.session.client(
                service,
                region_name=region or self.region,
                config=config or self.config,
                verify=self.verify,
                endpoint_url=self.endpoint_urls.get(service) or self.endpoint_urls.get(""),
                **keys,
            )

    @cached_property
    def s3(self) -> Any:
        """The one client of all places on S3: to make another takes longer than most calls."""
        from botocore.config import Config

        return self.client("s3", config=Config(max_pool_connections=_S3_CONNECTIONS))

    @cached_property
    def endpoints(self) -> Endpoints:
        """The endpoints of the services, which `Connections` share: later ones need not learn them again."""
        from ecr_audit.aws.endpoints import Endpoints  # late: it loads aiohttp and botocore

        return Endpoints(self)


# Returns the AWS connection; None for boto3's own chain. May raise any error.
Source = Callable[[], AwsAccess | None]


@dataclass
class _Current:
    """The AWS access of this process."""

    source: Source | None = None
    access: AwsAccess | None = None
    # None: the source has named no other than boto3's own chain.
    asked_at: float | None = None


_current = _Current()

# Held to read a source and to make a client, for which boto3 is not thread-safe; calling a client is.
_lock = threading.RLock()


def use_access(source: Source | None) -> None:
    """Let this process reach AWS as `source` says, which is asked when AWS is needed; None: by boto3's own chain.

    Empty variables of AWS are taken out of the environment: like empty settings they are not given, but botocore fails
    on some of them. They come of `VARIABLE=` in an env file.
    """
    global _current
    _forget_empty_variables()
    with _lock:
        if source is None or source != _current.source:
            _current = _Current(source)


def aws_access() -> AwsAccess:
    """How this process reaches AWS. Raises what its source raises, and BotoCoreError for a profile that is not there.

    A source that fails when it is asked again changes nothing.
    """
    with _lock:
        asked = _current.asked_at
        if _current.access is None or (asked is not None and time.monotonic() > asked + SOURCE_SECONDS):
            _forget_empty_variables()
            try:
                given = _current.source() if _current.source else None
            except Exception:
                if _current.access is None:
                    raise
                log.warning("The AWS connection could not be read again; the known one is used", exc_info=True)
                given = _current.access
            _current.access = given or _own_chain()
            _current.asked_at = time.monotonic() if given else None
        return _current.access


def named_access() -> AwsAccess | None:
    """The way to AWS where it is another than boto3's own chain; else None. Raises as `aws_access` does."""
    access = aws_access()
    return access if _current.asked_at is not None else None


def region_of_environment() -> tuple[str, str]:
    """The region that a variable names, and the variable; both empty when none does."""
    named = ((os.environ.get(variable, "").strip(), variable) for variable in REGION_VARIABLES)
    return next(((region, variable) for region, variable in named if region), ("", ""))


def _own_chain() -> AwsAccess:
    import boto3

    return AwsAccess(boto3.Session(region_name=region_of_environment()[0] or None))


def _forget_empty_variables() -> None:
    for name in list(os.environ):
        if (name.startswith("AWS_") or name == "REQUESTS_CA_BUNDLE") and not os.environ[name].strip():
            del os.environ[name]
