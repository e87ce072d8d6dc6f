"""The emulated AWS itself: all its services on one port of this machine."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections import Counter
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from demo.emulated_aws.faults import (
    Delay,
    Effect,
    EmptyPage,
    Expire,
    Faults,
    Hang,
    RateLimit,
    Refuse,
    Reset,
    Rewrite,
    ServerError,
    Throttle,
    TruncatedBody,
)
from demo.emulated_aws.identities import Identities
from demo.emulated_aws.protocols import (
    ERROR_HEADER,
    JSON,
    REST_JSON,
    SERVICES,
    AwsError,
    Call,
    Service,
    credential_scope,
    new_request_id,
    page_offset,
    page_token,
    parse_call,
    render_answer,
    render_error,
)
from demo.emulated_aws.services import LISTINGS, OPERATIONS
from demo.emulated_aws.world import World

# The services that an account can call only in regions that are enabled for it. (So is STS; but the hub signs for the
# region that it is in, which need not be one of the world's.)
_REGIONAL = ("ec2", "ecr", "kms", "tagging", "securityhub")

_CONTENT_TYPES = {JSON: "application/x-amz-json-1.1", REST_JSON: "application/json"}


class Counters:
    """Counters of the emulated AWS since its start.

    `operations`: calls by "service:Operation". `targets`: calls of ECR, tagging and KMS by (account id, region).
    `connections`: TCP connections accepted. `max_in_flight`: the maximum of concurrent calls. `first_called`: when each
    operation was called for the first time; `answered_at`: when a call was last answered, both by time.monotonic().
    """

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.targets: Counter[tuple[str, str]] = Counter()
        self.connections = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.first_called: dict[str, float] = {}
        self.answered_at = 0.0


class _HttpServer(web.Server):
    """aiohttp's low-level server, without router and middleware, which counts its connections."""

    def __init__(self, *args: Any, counters: Counters, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counters = counters

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        self._counters.connections += 1
        super().connection_made(handler, transport)


class EmulatedAws:
    """An AWS of one world on this machine, served by a thread of its own; use it as a context manager.

    `host` is the address to listen on: 0.0.0.0 in a container, where others must reach it. `port` 0 takes a free one.
    `world` and `faults` may be replaced while it runs: the next call sees the new ones.
    """

    def __init__(self, world: World, faults: Faults | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.world = world
        self.faults = faults or Faults()
        self.counters = Counters()
        self.endpoint_url = ""
        self._host = host
        self._port = port
        self.identities = Identities(world)
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start to serve, and set `endpoint_url`. Raises OSError when the port is taken."""
        started: Future[int] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="emulated-aws", daemon=True
        )
        self._thread.start()
        self.endpoint_url = f"http://127.0.0.1:{started.result()}"

    def stop(self) -> None:
        """Close all connections, also those of calls that still wait for an answer, and end the thread."""
        if self._thread is not None and self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._thread = self._loop = None

    async def _serve(self, started: Future[int]) -> None:
        server = _HttpServer(self._handle, counters=self.counters, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        self._stop = asyncio.Event()
        try:
            await web.TCPSite(runner, self._host, self._port, backlog=4096).start()
            self._loop = asyncio.get_running_loop()
            started.set_result(runner.addresses[0][1])
            await self._stop.wait()
        except OSError as error:
            started.set_exception(error)
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        counters = self.counters
        counters.in_flight += 1
        counters.max_in_flight = max(counters.max_in_flight, counters.in_flight)
        try:
            return await self._respond(request, await request.read())
        finally:
            counters.in_flight -= 1
            counters.answered_at = time.monotonic()

    async def _respond(self, request: web.BaseRequest, body: bytes) -> web.Response:
        request_id = new_request_id()
        service, status, error_header = SERVICES["sts"], 200, {}
        try:
            key_id, region, service_name = credential_scope(request.headers.get("Authorization", ""))
            service = _service(service_name)
            call = self._understand(request, service_name, region, key_id, body)
            answer = await self.answer(call, service, request, request_id)
        except AwsError as error:
            status, answer = error.status, render_error(service, error, request_id)
            error_header = {ERROR_HEADER: error.code} if service.protocol == REST_JSON else {}
        content_type = _CONTENT_TYPES.get(service.protocol, "text/xml")
        headers = {"Content-Type": content_type, "x-amzn-RequestId": request_id, **error_header}
        return web.Response(status=status, body=answer, headers=headers)

    def _understand(self, request: web.BaseRequest, service_name: str, region: str, key_id: str, body: bytes) -> Call:
        """Make a call of a request: who asks for what. Raises AwsError for an unknown key or an expired session.

        A region does not know the keys of an account that has not enabled it.
        """
        service = SERVICES[service_name]
        caller = self.identities.find(key_id, request.headers.get("X-Amz-Security-Token", ""))
        if caller is None:
            raise AwsError(*service.unknown_key)
        is_there = caller.session_token or region in self.world.opt_in_regions
        if (service_name in _REGIONAL or (service_name == "sts" and is_there)) and not self.world.is_enabled(
            caller.account_id, region
        ):
            raise AwsError(*service.unknown_key)
        if caller.expires_at < time.time():
            raise AwsError(*service.expired_key)
        operation, parameters = parse_call(service, request.headers.get("X-Amz-Target", ""), request.path, body)
        called = f"{service_name}:{operation}"
        self.counters.operations[called] += 1
        if called not in self.counters.first_called:
            self.counters.first_called[called] = time.monotonic()
        if service_name in ("ecr", "kms", "tagging"):
            self.counters.targets[caller.account_id, region] += 1
        return Call(self.world, self.identities, caller, service_name, operation, region, parameters)

    def _operate(self, call: Call) -> Any:
        operation = OPERATIONS[call.service].get(call.operation)
        if operation is None:
            known = ", ".join(OPERATIONS[call.service])
            raise AwsError("UnknownOperationException", f"{call.operation} is not emulated; {call.service} has {known}")
        return operation(call)

    async def answer(self, call: Call, service: Service, request: web.BaseRequest, request_id: str) -> bytes:
        """Let the faults that strike this call have their way, and return the body of the answer."""
        truncated = emptied = False
        changes = []
        for effect in self.faults.strike(call.service, call.operation, call.account_id, call.region):
            if isinstance(effect, Delay):
                await asyncio.sleep(effect.seconds)
            elif isinstance(effect, Hang):
                await asyncio.Event().wait()
            elif isinstance(effect, Reset):
                _reset(request)
            elif isinstance(effect, TruncatedBody):
                truncated = True
            elif isinstance(effect, EmptyPage):
                emptied = call.operation in LISTINGS
            elif isinstance(effect, Rewrite):
                changes.append(effect.change)
            else:
                _refuse(effect, call, service)
        answer = self._empty_page(call) if emptied else self._operate(call)
        body = render_answer(service, call.operation, answer, request_id)
        for change in changes:
            body = change(body)
        return body[: len(body) // 2] if truncated else body

    def _empty_page(self, call: Call) -> dict[str, Any]:
        answer = self._operate(call)
        answer = json.loads(answer) if isinstance(answer, bytes) else answer
        items, token = LISTINGS[call.operation]
        offset = page_offset(call.operation, call.parameters.get(token)) or 0
        return {**answer, items: [], token: page_token(call.operation, offset)}


def _service(name: str) -> Service:
    try:
        return SERVICES[name]
    except KeyError:
        known = ", ".join(SERVICES)
        raise AwsError("InvalidAction", f"Service {name} is not emulated; those are: {known}", 404) from None


def _refuse(effect: Effect, call: Call, service: Service) -> None:
    """Raise the error that an effect stands for, if it strikes this caller."""
    if isinstance(effect, Throttle | RateLimit):
        raise AwsError(*service.throttled)
    if isinstance(effect, ServerError):
        raise AwsError(service.failed, "An internal error occurred.", effect.status)
    if isinstance(effect, Refuse):
        raise AwsError(effect.code, effect.message, effect.status)
    if isinstance(effect, Expire) and call.caller.session_token and time.time() - call.caller.issued_at >= effect.after:
        raise AwsError(*service.expired_key)


def _reset(request: web.BaseRequest) -> None:
    """Break the connection off: with no time to linger, closing a socket sends a TCP RST."""
    transport = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    raise asyncio.CancelledError
