"""The connections to AWS, shared by all accounts: each call is signed with the credentials that it is made with.

A client per account x region costs milliseconds of CPU and a fresh TLS connection each. Here one operation is prepared
once for a region, and connections are kept for whoever calls there next.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import botocore.session
from aiohttp import hdrs
from botocore.credentials import ReadOnlyCredentials
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies
from yarl import URL

from ecr_audit.aws.session import CONNECT_SECONDS, READ_SECONDS
from ecr_audit.aws.wire import Wire

# A body that trickles is no answer either.
CALL_SECONDS = 60
# What aiohttp would add to a request.
_UNASKED = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT, hdrs.CONTENT_TYPE)


class Clients:
    """Makes single calls, to any service and region, as whoever. An async context manager, of one event loop."""

    def __init__(self, connections: int) -> None:
        """`connections`: how many may be open to one host, which is the number of calls in flight."""
        # Never used to call: requests are learned from it (see wire.py).
        self._rehearsals = botocore.session.Session()
        self._rehearsals.set_credentials("nobody", "nobody")
        # Whatever the environment says: a token of the global endpoint is not valid in opt-in regions.
        self._rehearsals.set_config_variable("sts_regional_endpoints", "regional")
        self._connections = connections
        self._wires: dict[tuple[str, str, str], tuple[Wire, URL, str | None]] = {}
        self._making = asyncio.Lock()

    async def __aenter__(self) -> Clients:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=self._connections, ssl=self._tls()),
            timeout=aiohttp.ClientTimeout(total=CALL_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_UNASKED,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def call(
        self, credentials: ReadOnlyCredentials, service: str, region: str, method: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Make one call, signed with these credentials. `method`: as a boto3 client names it.

        Raises ClientError for an error of AWS, aiohttp's ClientError or TimeoutError for one of the way to it, and
        ResponseParserError for an answer that is none. Answers of JSON services hold timestamps as seconds since 1970.
        """
        known = self._wires.get((service, region, method))
        wire, url, proxy = known or await self._learn(service, region, method, parameters)
        body, headers = wire.request(parameters, credentials)
        async with self._http.post(url, data=body, headers=headers, proxy=proxy, allow_redirects=False) as response:
            return wire.answer(response.status, response.headers, await response.read())

    async def _learn(
        self, service: str, region: str, method: str, parameters: Mapping[str, Any]
    ) -> tuple[Wire, URL, str | None]:
        key = (service, region, method)
        async with self._making:  # botocore's clients are not made by two threads at once
            if key not in self._wires:
                # Some 20 ms of CPU, which calls that are on their way need not wait for.
                self._wires[key] = await asyncio.to_thread(self._rehearse, *key, parameters)
        return self._wires[key]

    def _rehearse(
        self, service: str, region: str, method: str, parameters: Mapping[str, Any]
    ) -> tuple[Wire, URL, str | None]:
        client = self._rehearsals.create_client(service, region_name=region)
        wire = Wire(client, method, parameters)
        client.close()
        return wire, URL(wire.url, encoded=True), get_environ_proxies(wire.url).get(urlsplit(wire.url).scheme)

    def _tls(self) -> ssl.SSLContext:
        """Trust in whom botocore trusts: the bundle of its configuration, of the environment, or its own."""
        configured = self._rehearsals.get_config_variable("ca_bundle")
        bundle = configured or os.environ.get("REQUESTS_CA_BUNDLE") or get_cert_path(True)
        return ssl.create_default_context(cafile=bundle)
