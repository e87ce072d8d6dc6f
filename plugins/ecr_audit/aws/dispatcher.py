"""Many concurrent sequences of AWS calls in one event loop, each retried on its own.

A *flow* is a generator: it yields the `Call` it wants made, is sent the answer (or has the error thrown in), and
returns its result; or it yields `Calls`, several at once, or `NextPart`. A flow that must wait, because AWS throttles
it or a server failed, takes up no place among the calls in flight; so a slow or throttled account costs the others
nothing. AWS counts ECR's limits per account and region: backing off is each flow's own business.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from ecr_audit.aws.connections import Connections
from ecr_audit.aws.outcomes import is_expired, is_throttle, is_transient
from ecr_audit.aws.semaphore import PrioritySemaphore

log = logging.getLogger(__name__)

# A throttled call is repeated until its flow's time is up; any other fault only so often.
TRANSIENT_ATTEMPTS = 5
FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 10.0
# Before the first call of any flow: the time of one under way is running.
UNDER_WAY = float("-inf")


class Identity(Protocol):
    """Whose credentials a call is signed with."""

    async def credentials(self) -> ReadOnlyCredentials:
        """Credentials that are valid now, fetched if need be. Raises AWS's errors."""

    def expire(self, used: ReadOnlyCredentials) -> None:
        """AWS reports that these are no longer valid."""


@dataclass(frozen=True)
class Call:
    """One call of a flow: its credentials, the client's method and its parameters."""

    identity: Identity
    service: str
    region: str
    method: str
    parameters: Mapping[str, Any]
    # The part of the answer that the flow lives on: an answer without it is not whole.
    expects: str
    pacer: Pacer | None = None


@dataclass(frozen=True)
class Calls:
    """Calls of a flow that do not depend on each other, at most `at_once` of them in flight.

    The flow is sent a list, in their order: each one's answer, or the error that it ended with. Each may be retried for
    as long as a flow may: a registry that is slow may have 100,000 of them, one that does not answer ends at its first.
    """

    calls: Sequence[Call]
    at_once: int


@dataclass(frozen=True)
class NextPart:
    """The flow begins a part that does not depend on those before it: it may be retried for as long as a whole flow."""


Flow = Generator[Call | Calls | NextPart, Any, Any]


@dataclass
class Effort:
    """The calls of a flow so far."""

    started_at: float = field(default_factory=time.time)  # seconds since 1970
    started: float = field(default_factory=time.monotonic)
    # From the first call to the result, time spent waiting included.
    duration_ms: int = 0
    calls: int = 0
    retries: int = 0
    # Refused for their rate, whether they were made again or not.
    throttles: int = 0

    def include(self, other: Effort) -> None:
        """Count another flow's calls among this one's, not its time."""
        self.calls += other.calls
        self.retries += other.retries
        self.throttles += other.throttles

    def end(self) -> Effort:
        """The result is there."""
        self.duration_ms = round((time.monotonic() - self.started) * 1000)
        return self


class Pacer:
    """Spreads calls so that no more than `rate` start per second, after a first burst of as many."""

    def __init__(self, rate: float) -> None:
        self._interval = 1 / rate
        self._burst = 1.0
        self._next = 0.0

    def reserve(self) -> float:
        """Take the next slot; returns how many seconds it is away, 0 when it is now."""
        now = time.monotonic()
        self._next = max(self._next, now - self._burst) + self._interval
        return max(0.0, self._next - now)

    def wait(self) -> None:
        """Take the next slot and sleep until it has come."""
        time.sleep(self.reserve())


@dataclass
class _Flight:
    """A flow on its way."""

    flow: Flow
    # How long it may go on retrying, from the first call of its part.
    seconds: float
    # Among those that wait for their first call.
    priority: float
    # None until its first call is about to be made.
    effort: Effort | None = None
    # When the first call of its part was about to be made (time.monotonic); None: not yet.
    part_since: float | None = None

    def begin(self) -> Effort:
        """Its cost, which counts from here if it has not begun."""
        self.priority = UNDER_WAY
        self.effort = self.effort or Effort()
        if self.part_since is None:
            self.part_since = time.monotonic()
        return self.effort


@dataclass
class _Attempts:
    """The faults of the attempts at one call."""

    made: int = 0
    faults: int = 0
    renewed: bool = False
    # Since when retrying counts (time.monotonic); None: since the first call of the flow's part.
    since: float | None = None


class Dispatcher:
    """Runs flows with a limited number of calls in flight. An async context manager; leaving it cancels all flows."""

    def __init__(self, connections: Connections, in_flight: int) -> None:
        self._connections = connections
        self._semaphore = PrioritySemaphore(in_flight)
        self._tasks: set[asyncio.Task[None]] = set()
        self._random = random.Random()  # noqa: S311 - jitter, not a secret

    async def __aenter__(self) -> Dispatcher:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def submit(
        self, flow: Flow, *, seconds: float, on_done: Callable[[Any, Effort], None], priority: float = 0.0
    ) -> None:
        """Queue a flow. `seconds`: how long it may go on retrying, from its first call. Lower priorities start first.

        `on_done` gets the flow's result and its calls. A fault of the flow's own code comes as its exception.
        """
        task = asyncio.create_task(self._run(_Flight(flow, seconds, priority), on_done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, flight: _Flight, on_done: Callable[[Any, Effort], None]) -> None:
        try:
            result = await self._fly(flight)
        except Exception as fault:
            # A flow turns whatever AWS answers into a result; this is a fault of the program's own.
            log.exception("A step of the scan failed")
            result = fault
        on_done(result, flight.begin().end())

    async def _fly(self, flight: _Flight) -> Any:
        """Make what the flow asks for, one after the other; returns its result."""
        try:
            call = next(flight.flow)
            while True:
                if isinstance(call, NextPart):
                    flight.part_since = None
                    call = flight.flow.send(None)
                    continue
                try:
                    answer: Any = await (
                        self._answers(call, flight) if isinstance(call, Calls) else self._answer(call, flight)
                    )
                except Exception as error:
                    call = flight.flow.throw(error)
                else:
                    call = flight.flow.send(answer)
        except StopIteration as end:
            return end.value

    async def _answers(self, asked: Calls, flight: _Flight) -> list[Mapping[str, Any] | Exception]:
        """The response to each call, or the error of its last attempt."""
        answers: dict[int, Mapping[str, Any] | Exception] = {}
        waiting = iter(enumerate(asked.calls))

        async def make() -> None:
            for place, call in waiting:
                try:
                    answers[place] = await self._answer(call, flight, _Attempts(since=time.monotonic()))
                except Exception as error:
                    answers[place] = error

        await asyncio.gather(*(make() for _ in range(min(asked.at_once, len(asked.calls)))))
        return [answers[place] for place in range(len(asked.calls))]

    async def _answer(self, call: Call, flight: _Flight, attempts: _Attempts | None = None) -> Mapping[str, Any]:
        """The response to a call, which is retried as long as that may help. Raises the error of the last attempt."""
        attempts = attempts or _Attempts()
        while True:
            if call.pacer:
                await self._keep_pace(call.pacer, flight)
            async with self._semaphore.slot(flight.priority):
                effort = flight.begin()
                try:
                    return await self._make(call, effort)
                except Exception as error:
                    pause = self._pause_before_retry(error, attempts, flight, effort)
                    if pause is None:
                        raise
            effort.retries += 1
            await asyncio.sleep(pause)

    async def _keep_pace(self, pacer: Pacer, flight: _Flight) -> None:
        # In order: the first to begin gets the earlier slot.
        async with self._semaphore.slot(flight.priority):
            flight.begin()
            wait = pacer.reserve()
        # In a large batch the last slots are minutes away: not time that a throttle has taken.
        flight.seconds += wait
        await asyncio.sleep(wait)

    async def _make(self, call: Call, effort: Effort) -> Mapping[str, Any]:
        credentials = await call.identity.credentials()
        effort.calls += 1
        try:
            answer = await self._connections.call(credentials, call.service, call.region, call.method, call.parameters)
        except ClientError as error:
            if is_expired(error):
                call.identity.expire(credentials)
            raise
        if answer.get(call.expects) is None:
            raise ResponseParserError(f"{call.method} returned no '{call.expects}': the body is incomplete")
        return answer

    def _pause_before_retry(
        self, error: Exception, attempts: _Attempts, flight: _Flight, effort: Effort
    ) -> float | None:
        """Seconds to wait before the same call is made again; None when it is not to be.

        Exponential, with jitter and a cap (AWS Architecture Blog, "Exponential Backoff and Jitter").
        """
        attempts.made += 1
        if is_expired(error) and not attempts.renewed:
            attempts.renewed = True
            return 0.0
        if is_throttle(error):
            effort.throttles += 1
        else:
            attempts.faults += 1  # on their own: a fault amid many throttled attempts is still the first of its kind
            if not is_transient(error) or attempts.faults >= TRANSIENT_ATTEMPTS:
                return None
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(attempts.made, 10))
        pause = self._random.uniform(longest / 4, longest)
        spent = time.monotonic() - (attempts.since or flight.part_since or effort.started)
        return pause if spent + pause < flight.seconds else None
