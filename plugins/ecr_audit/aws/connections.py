"""The connections to AWS, shared by all accounts: each call is signed with the credentials that it is made with.

A client per account x region costs milliseconds of CPU and a fresh TLS connection each. Here one operation is prepared
once for a region, and connections are kept for the next calls.

They go the way that boto3's own client would: by the same proxy, trusting the same certificates, as patiently.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
from aiohttp import hdrs
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.httpsession import create_urllib3_context, get_cert_path
from yarl import URL

from ecr_audit.aws.access import AwsAccess
from ecr_audit.aws.session import CONNECT_SECONDS, READ_SECONDS
from ecr_audit.aws.transport import Transport

# A body that trickles in is a timeout as well.
CALL_SECONDS = 60
# Headers that aiohttp would add to a request.
_UNASKED = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT, hdrs.CONTENT_TYPE)

# Requests are learned from clients with these; what they sign is never sent.
_NOBODY = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nobody"}


class _Way(NamedTuple):
    """One operation in one region, and how its endpoint is reached."""

    transport: Transport
    url: URL
    # None: directly.
    proxy: URL | None
    # The proxy's credentials: they go with the request itself when the proxy forwards it, which it does without TLS.
    proxy_headers: dict[str, str]
    tls: ssl.SSLContext | bool
    timeout: aiohttp.ClientTimeout


class Connections:
    """Makes single calls, to any service and region, with any credentials. An async context manager, one event loop."""

    def __init__(self, access: AwsAccess, connections: int) -> None:
        """`connections`: how many may be open to one host, which is the number of calls in flight."""
        self._access = access
        self._connections = connections
        self._ways: dict[tuple[str, str, str], _Way] = {}
        self._tls: ssl.SSLContext | None = None
        self._making = asyncio.Lock()

    async def __aenter__(self) -> Connections:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=self._connections),
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
        way = self._ways.get((service, region, method)) or await self.learn(service, region, method, parameters)
        body, headers = way.transport.request(parameters, credentials)
        if way.url.scheme == "http":
            headers |= way.proxy_headers
        async with self._http.post(
            way.url,
            data=body,
            headers=headers,
            proxy=way.proxy,
            proxy_headers=way.proxy_headers,
            ssl=way.tls,
            timeout=way.timeout,
            allow_redirects=False,
        ) as response:
            return way.transport.answer(response.status, response.headers, await response.read())

    async def learn(self, service: str, region: str, method: str, parameters: Mapping[str, Any]) -> _Way:
        key = (service, region, method)
        async with self._making:  # one after the other: they share the TLS context
            if key not in self._ways:
                # It takes CPU time, which calls in flight need not wait for.
                self._ways[key] = await asyncio.to_thread(self.rehearse, *key, parameters)
        return self._ways[key]

    def rehearse(self, service: str, region: str, method: str, parameters: Mapping[str, Any]) -> _Way:
        config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)
        client = self._access.client(service, region, config, **_NOBODY)
        transport = Transport(client, method, parameters)
        client.close()
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
        return _Way(transport, url, proxy, proxy_headers, self._tls or True, timeout)


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
