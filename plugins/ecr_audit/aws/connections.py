"""The connections to AWS, shared by all accounts: each call is signed with the credentials that it is made with.

A client per account x region costs milliseconds of CPU and a fresh TLS connection each. Here one operation is prepared
once for a region (endpoints.py), and connections are kept for the next calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp import hdrs
from botocore.credentials import ReadOnlyCredentials

from ecr_audit.aws.access import AwsAccess
from ecr_audit.aws.endpoints import Endpoint

# Headers that aiohttp would add to a request.
_UNASKED = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT, hdrs.CONTENT_TYPE)


class Connections:
    """Makes single calls, to any service and region, with any credentials. An async context manager, one event loop."""

    def __init__(self, access: AwsAccess, connections: int) -> None:
        """`connections`: how many may be open to one host, which is the number of calls in flight."""
        self._endpoints = access.endpoints
        self._connections = connections
        self._learning = asyncio.Lock()

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
        key = service, region, method
        endpoint = self._endpoints.known(*key) or await self._learn(*key, parameters)
        body, headers = endpoint.transport.request(parameters, credentials)
        if endpoint.url.scheme == "http":
            headers |= endpoint.proxy_headers
        async with self._http.post(
            endpoint.url,
            data=body,
            headers=headers,
            proxy=endpoint.proxy,
            proxy_headers=endpoint.proxy_headers,
            ssl=endpoint.tls,
            timeout=endpoint.timeout,
            allow_redirects=False,
        ) as response:
            return endpoint.transport.answer(response.status, response.headers, await response.read())

    async def _learn(self, service: str, region: str, method: str, parameters: Mapping[str, Any]) -> Endpoint:
        async with self._learning:
            # Making a client takes CPU time, which calls in flight need not wait for.
            return await asyncio.to_thread(self._endpoints.learn, service, region, method, parameters)
