"""AWS as dispatcher.py meets it: clients with a script, errors of each kind, and a clock that only tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError

from ecr_audit.aws import dispatcher
from ecr_audit.aws.connections import Connections
from ecr_audit.aws.dispatcher import Call, Effort
from support.processes import PATIENCE

MakeCall = Callable[..., Call]
MakeError = Callable[..., ClientError]


class FakeClients(Connections):
    """Answers a call by the function that `script` has for its method; an exception that it returns is raised.

    `made` lists all calls: (method, parameters, access key).
    """

    def __init__(self) -> None:
        self.script: dict[str, Callable[..., Any]] = {}
        self.made: list[tuple[str, Mapping[str, Any], str]] = []

    async def call(
        self, credentials: ReadOnlyCredentials, service: str, region: str, method: str, parameters: Mapping[str, Any]
    ) -> Any:
        self.made.append((method, parameters, credentials.access_key or ""))
        answer = self.script[method](**parameters)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeIdentity:
    """Credentials named after their holder and numbered, a new number after each expiry."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._present = ReadOnlyCredentials(f"{name}-1", "secret", "token")
        self.expired: list[str] = []

    async def credentials(self) -> ReadOnlyCredentials:
        return self._present

    def expire(self, used: ReadOnlyCredentials) -> None:
        self.expired.append(used.access_key or "")
        self._present = ReadOnlyCredentials(f"{self._name}-{len(self.expired) + 1}", "secret", "token")


class FakeTime:
    """Stands for the module `time` in dispatcher.py."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Results:
    """Results of flows, by name, in order."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.values: dict[str, Any] = {}
        self.efforts: dict[str, Effort] = {}
        self._arrived = asyncio.Event()

    def taker(self, name: str) -> Callable[[Any, Effort], None]:
        def take(value: Any, effort: Effort) -> None:
            self.order.append(name)
            self.values[name], self.efforts[name] = value, effort
            self._arrived.set()

        return take

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.order) < count:
                self._arrived.clear()
                await self._arrived.wait()


@pytest.fixture
def clients() -> FakeClients:
    return FakeClients()


@pytest.fixture
def identity() -> type[FakeIdentity]:
    return FakeIdentity


@pytest.fixture
def results() -> Results:
    return Results()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """No time passes but in waits, and those take none."""
    fake = FakeTime()
    pass_on = asyncio.sleep

    async def sleep_without_waiting(seconds: float) -> None:
        fake.sleep(seconds)
        await pass_on(0)

    monkeypatch.setattr(dispatcher, "time", fake)
    monkeypatch.setattr(dispatcher, "Effort", lambda: Effort(fake.time(), fake.monotonic()))
    monkeypatch.setattr(asyncio, "sleep", sleep_without_waiting)
    return fake


@pytest.fixture
def aws_error() -> MakeError:
    def make(code: str, status: int = 400, message: str = "no") -> ClientError:
        answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
        return ClientError(answer, "Operation")

    return make


@pytest.fixture
def call(identity: type[FakeIdentity]) -> MakeCall:
    """A call of a method, with parameters; the answer must hold `value`."""

    def make(method: str, caller: FakeIdentity | None = None, **parameters: Any) -> Call:
        return Call(caller or identity("anybody"), "ecr", "us-east-1", method, parameters, "value")

    return make
