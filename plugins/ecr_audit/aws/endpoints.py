"""The endpoints of AWS, each learned once by a process: the URL of an operation in a region, and how it is reached.

A call goes the way that boto3's own client would: by the same proxy, trusting the same certificates, as patiently. One
client of a service shows that for all regions, since botocore's rules for endpoints need no client for each.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
from botocore.config import Config
from botocore.httpsession import create_urllib3_context, get_cert_path
from yarl import URL

from ecr_audit.aws.access import AwsAccess
from ecr_audit.aws.session import CONNECT_SECONDS, READ_SECONDS
from ecr_audit.aws.transport import Transport

# A body that trickles in is a timeout as well.
CALL_SECONDS = 60

# Requests are learned from clients with these; what they sign is never sent.
_NOBODY = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nobody"}


class Endpoint(NamedTuple):
    """One operation in one region, and how its endpoint is reached."""

    transport: Transport
    url: URL
    # None: directly.
    proxy: URL | None
    # The proxy's credentials: they go with the request itself when the proxy forwards it, which it does without TLS.
    proxy_headers: dict[str, str]
    tls: ssl.SSLContext | bool
    timeout: aiohttp.ClientTimeout


class Endpoints:
    """The endpoints learned so far. `AwsAccess.endpoints` keeps them."""

    def __init__(self, access: AwsAccess) -> None:
        self._access = access
        self._learned: dict[tuple[str, str, str], Endpoint] = {}
        # By service, in the region that was learned first.
        self._clients: dict[str, Any] = {}
        self._tls: ssl.SSLContext | None = None
        self._learning = threading.Lock()

    def known(self, service: str, region: str, method: str) -> Endpoint | None:
        """The endpoint of an operation; None when it was not learned before."""
        return self._learned.get((service, region, method))

    def learn(self, service: str, region: str, method: str, parameters: Mapping[str, Any]) -> Endpoint:
        """The endpoint of an operation. `method`: as a boto3 client names it; `parameters`: those of any such call."""
        key = (service, region, method)
        with self._learning:  # one after the other: they share clients and the TLS context
            if key not in self._learned:
                self._learned[key] = self._endpoint(*key, parameters)
        return self._learned[key]

    def _endpoint(self, service: str, region: str, method: str, parameters: Mapping[str, Any]) -> Endpoint:
        client = self._clients.get(service) or self._client(service, region)
        transport = Transport(client, method, parameters, region)
        url = URL(transport.url, encoded=True)
        # The client's own request sender. It is not in botocore's public API; to find out by other
        # means how it is configured could give a different result.
        theirs = client._endpoint.http_session
        if url.scheme == "https" and self._tls is None:
            self._tls = _tls_as(theirs)
        proxy, proxy_headers = _proxy_as(theirs, transport.url)
        connect, read = client.meta.config.connect_timeout, client.meta.config.read_timeout
        whole = max(CALL_SECONDS, (connect or 0) + (read or 0))
        timeout = aiohttp.ClientTimeout(whole, sock_connect=connect, sock_read=read)
        return Endpoint(transport, url, proxy, proxy_headers, self._tls or True, timeout)

    def _client(self, service: str, region: str) -> Any:
        config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)
        client = self._clients[service] = self._access.client(service, region, config, **_NOBODY)
        client.close()  # it sends nothing
        return client


def _tls_as(theirs: Any) -> ssl.SSLContext:
    """A TLS context as strict as botocore's: Python's own default rejects more certificates since 3.13."""
    context: ssl.SSLContext = create_urllib3_context()
    if theirs._verify:
        context.check_hostname = True  # urllib3 does so itself, once it is connected
        context.load_verify_locations(cafile=get_cert_path(theirs._verify))
    else:
        context.verify_mode = ssl.CERT_NONE
    if theirs._cert_file:
        context.load_cert_chain(theirs._cert_file, theirs._key_file)
    return context


def _proxy_as(theirs: Any, url: str) -> tuple[URL | None, dict[str, str]]:
    """The proxy that botocore would take, without the user and the password in its URL; and what logs these in."""
    found = theirs._proxy_config.proxy_url_for(url)
    if not found:
        return None, {}
    return URL(found).with_user(None), theirs._proxy_config.proxy_headers_for(found)
