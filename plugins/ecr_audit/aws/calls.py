"""Many sequences of AWS calls at once, on few threads, each retried in its own time.

A *flow* is a generator: it yields the `Call` it wants made, is sent the answer (or has the error thrown in), and
returns its result. A flow that must wait, because AWS throttles it or a server failed, waits in a queue and holds no
thread; so a slow or throttled account costs the others nothing. AWS counts ECR's limits per account and region: backing
off is each flow's own business.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from ecr_audit.aws.outcomes import is_expired, is_throttle, is_transient
from ecr_audit.aws.session import Clients

log = logging.getLogger(__name__)

# A throttled call is repeated until its flow's time is up; any other fault only so often.
TRANSIENT_ATTEMPTS = 5
FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 10.0
# A call that has gone unanswered for so long hangs: until it ends, another thread does the work of its own.
HANGING_SECONDS = 2.0


class Identity(Protocol):
    """Whose credentials a call is signed with."""

    def credentials(self) -> ReadOnlyCredentials:
        """Credentials that are valid now, fetched if need be. Raises what AWS answers."""

    def expire(self, used: ReadOnlyCredentials) -> None:
        """AWS says that these are no longer valid."""


@dataclass(frozen=True)
class Call:
    """One call that a flow wants made: as whom, the client's method and its parameters."""

    identity: Identity
    service: str
    region: str
    method: str
    parameters: Mapping[str, Any]
    # The part of the answer that the flow lives on: an answer without it is not whole.
    expects: str
    pacer: Pacer | None = None


Flow = Generator[Call, Any, Any]


@dataclass
class Effort:
    """What a flow has cost so far."""

    started_at: float = field(default_factory=time.time)  # seconds since 1970
    started: float = field(default_factory=time.monotonic)
    calls: int = 0
    retries: int = 0
    throttles: int = 0

    @property
    def duration_ms(self) -> int:
        """Milliseconds since the start, time spent waiting included."""
        return round((time.monotonic() - self.started) * 1000)


class Pacer:
    """Spreads calls so that no more than `rate` start per second, after a first burst of as many."""

    def __init__(self, rate: float) -> None:
        self._interval = 1 / rate
        self._burst = 1.0
        self._next = 0.0
        self._lock = threading.Lock()

    def reserve(self) -> float:
        """Take the next slot; returns how many seconds it is away, 0 when it is now."""
        with self._lock:
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
    seconds: float
    priority: float
    on_done: Callable[[Any, Effort], None]
    effort: Effort = field(default_factory=Effort)
    call: Call | None = None
    # Of the present call only:
    attempts: int = 0
    faults: int = 0
    renewed: bool = False
    paced: bool = False

    def start(self) -> None:
        """Ask the flow for its first call; its time counts from here."""
        self.effort = Effort()
        self.call = next(self.flow)

    def land(self) -> None:
        """The present call is over, for better or worse; the next one starts with a clean slate."""
        self.attempts = self.faults = 0
        self.renewed = self.paced = False


class Dispatcher:
    """Runs flows on so many threads, and stand-ins for those whose call hangs, at most as many again.

    A context manager; leaving it waits for no flow.
    """

    def __init__(self, clients: Clients, threads: int) -> None:
        self._clients = clients
        # Two heaps: flights that can go on now, by priority; and those that wait, by the time at which they are due.
        self._ready: list[tuple[float, int, _Flight]] = []
        self._waiting: list[tuple[float, int, _Flight]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._random = random.Random()  # noqa: S311 - jitter, not a secret
        # Daemons: a call that hangs past the batch's deadline must not keep the process from ending.
        self._threads = [threading.Thread(target=self._work, daemon=True, name=f"aws-{n}") for n in range(threads)]
        self._watcher = threading.Thread(target=self._watch, daemon=True, name="aws-watcher")
        self._closing = threading.Event()
        self._running = self._wanted = threads
        # When the present call of each thread began, by the thread's number.
        self._calling: dict[int, float] = {}

    def __enter__(self) -> Dispatcher:
        for thread in (*self._threads, self._watcher):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def submit(
        self, flow: Flow, *, seconds: float, on_done: Callable[[Any, Effort], None], priority: float = 0.0
    ) -> None:
        """Queue a flow. `seconds`: how long it may go on retrying, from its first call. Lower priorities start first.

        `on_done` gets the flow's result and what it cost, in the thread that finished it. A fault of the flow's own
        code comes as its exception.
        """
        flight = _Flight(flow, seconds, priority, on_done)
        with self._changed:
            heapq.heappush(self._ready, (priority, next(self._order), flight))
            self._changed.notify()

    def _wait(self, flight: _Flight, seconds: float) -> None:
        with self._changed:
            heapq.heappush(self._waiting, (time.monotonic() + seconds, next(self._order), flight))
            self._changed.notify()

    def _next(self) -> _Flight | None:
        """The next flight that can go on; blocks until there is one. None when there is a thread too many, or closed.

        One that was under way goes before any that has not started: its time is running.
        """
        with self._changed:
            while not self._closed and self._running <= self._wanted:
                due_in = self._waiting[0][0] - time.monotonic() if self._waiting else None
                if due_in is not None and due_in <= 0:
                    return heapq.heappop(self._waiting)[2]
                if self._ready:
                    return heapq.heappop(self._ready)[2]
                self._changed.wait(due_in)
            self._running -= 1
            # What this thread was woken for is another's to do.
            self._changed.notify()
            return None

    def _watch(self) -> None:
        """See to it that calls which hang take no thread from the others."""
        threads = self._wanted
        while not self._closing.wait(HANGING_SECONDS / 4):
            overdue = time.monotonic() - HANGING_SECONDS
            hanging = sum(began < overdue for began in list(self._calling.values()))
            with self._changed:
                self._wanted = threads + min(hanging, threads)
                missing = self._wanted - self._running
                self._running += max(missing, 0)
            for _ in range(missing):
                threading.Thread(target=self._work, daemon=True, name="aws-stand-in").start()

    def _work(self) -> None:
        while (flight := self._next()) is not None:
            try:
                self._fly(flight)
            except StopIteration as end:
                flight.on_done(end.value, flight.effort)
            except Exception as fault:
                # A flow turns whatever AWS answers into a result; this is a fault of the program's own.
                log.exception("A step of the scan failed")
                flight.on_done(fault, flight.effort)

    def _fly(self, flight: _Flight) -> None:
        """Make the flight's calls one after the other, until it has to wait, or ends (StopIteration)."""
        if flight.call is None:
            flight.start()
        while not self._closed:
            call = flight.call
            assert call is not None  # noqa: S101 - set by start() and by each step below
            if call.pacer and not flight.paced:
                flight.paced = True
                if wait := call.pacer.reserve():
                    # In a large batch the last slots are minutes away: not time that a throttle has taken.
                    flight.seconds += wait
                    self._wait(flight, wait)
                    return
            try:
                answer = self._make(call, flight)
            except Exception as error:
                pause = self._pause_before_retry(flight, error)
                if pause is not None:
                    flight.effort.retries += 1
                    flight.paced = False
                    self._wait(flight, pause)
                    return
                flight.land()
                flight.call = flight.flow.throw(error)
            else:
                flight.land()
                flight.call = flight.flow.send(answer)

    def _make(self, call: Call, flight: _Flight) -> Any:
        credentials = call.identity.credentials()
        flight.effort.calls += 1
        self._calling[threading.get_ident()] = time.monotonic()
        try:
            answer = self._clients.call(credentials, call.service, call.region, call.method, call.parameters)
        except ClientError as error:
            if is_expired(error):
                call.identity.expire(credentials)
            raise
        finally:
            del self._calling[threading.get_ident()]
        if answer.get(call.expects) is None:
            raise ResponseParserError(f"{call.method} was answered without '{call.expects}': the body is not whole")
        return answer

    def _pause_before_retry(self, flight: _Flight, error: Exception) -> float | None:
        """Seconds to wait before the same call is made again; None when it is not to be.

        Exponential, with jitter and a cap (AWS Architecture Blog, "Exponential Backoff and Jitter").
        """
        flight.attempts += 1
        if is_expired(error) and not flight.renewed:
            flight.renewed = True
            return 0.0
        if is_throttle(error):
            flight.effort.throttles += 1
        else:
            flight.faults += 1  # on their own: a fault amid many throttled attempts is still the first of its kind
            if not is_transient(error) or flight.faults >= TRANSIENT_ATTEMPTS:
                return None
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(flight.attempts, 10))
        pause = self._random.uniform(longest / 4, longest)
        spent = time.monotonic() - flight.effort.started
        return pause if spent + pause < flight.seconds else None
