"""AWS as calls.py meets it: clients with a script, errors of each kind, and a clock that only tests move."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError

from ecr_audit.aws import calls
from ecr_audit.aws.calls import Call, Dispatcher, Effort


class FakeClients:
    """Answers a call by the function that `script` has for its method; an exception that it returns is raised.

    `made` lists all calls: (method, parameters, access key).
    """

    def __init__(self) -> None:
        self.script: dict[str, Callable[..., Any]] = {}
        self.made: list[tuple[str, Mapping[str, Any], str]] = []
        self._lock = threading.Lock()

    def call(
        self, credentials: ReadOnlyCredentials, service: str, region: str, method: str, parameters: Mapping[str, Any]
    ) -> Any:
        with self._lock:
            self.made.append((method, parameters, credentials.access_key))
        answer = self.script[method](**parameters)
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeIdentity:
    """Credentials named after their holder and numbered, a new number after each expiry."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._present = ReadOnlyCredentials(f"{name}-1", "secret", "token")
        self.expired: list[str] = []

    def credentials(self) -> ReadOnlyCredentials:
        return self._present

    def expire(self, used: ReadOnlyCredentials) -> None:
        self.expired.append(used.access_key)
        self._present = ReadOnlyCredentials(f"{self._name}-{len(self.expired) + 1}", "secret", "token")


class FakeTime:
    """Stands for the module `time` in calls.py."""

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
    """What flows came to, by name, and in which order."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.values: dict[str, Any] = {}
        self.efforts: dict[str, Effort] = {}
        self._arrived = threading.Condition()

    def taker(self, name: str) -> Callable[[Any, Effort], None]:
        def take(value: Any, effort: Effort) -> None:
            with self._arrived:
                self.order.append(name)
                self.values[name], self.efforts[name] = value, effort
                self._arrived.notify_all()

        return take

    def wait(self, count: int) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.order) >= count, timeout=20), f"only {self.order} came back"


@pytest.fixture
def clients() -> FakeClients:
    return FakeClients()


@pytest.fixture
def identity() -> Callable[[str], FakeIdentity]:
    return FakeIdentity


@pytest.fixture
def results() -> Results:
    return Results()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTime]:
    """No time passes but in waits, and those take none: a flight that waits is due at once, at a later time."""
    fake = FakeTime()
    wait = Dispatcher._wait

    def wait_without_waiting(self: Dispatcher, flight: Any, seconds: float) -> None:
        fake.sleep(seconds)
        wait(self, flight, 0)

    monkeypatch.setattr(calls, "time", fake)
    monkeypatch.setattr(calls, "Effort", lambda: Effort(fake.time(), fake.monotonic()))
    monkeypatch.setattr(Dispatcher, "_wait", wait_without_waiting)
    return fake


@pytest.fixture
def aws_error() -> Callable[..., ClientError]:
    def make(code: str, status: int = 400, message: str = "no") -> ClientError:
        answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
        return ClientError(answer, "Operation")

    return make


@pytest.fixture
def call(identity: Callable[[str], FakeIdentity]) -> Callable[..., Call]:
    """A call of a method, with parameters; the answer must hold `value`."""

    def make(method: str, caller: FakeIdentity | None = None, **parameters: Any) -> Call:
        return Call(caller or identity("anybody"), "ecr", "us-east-1", method, parameters, "value")

    return make
