"""The dispatcher: many flows of calls, few in flight, each retried in its own time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NoReturn

import aiohttp
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.parsers import ResponseParserError

from ecr_audit.aws.dispatcher import (
    LONGEST_WAIT_SECONDS,
    TRANSIENT_ATTEMPTS,
    Call,
    Calls,
    Dispatcher,
    Flow,
    NextPart,
    Pacer,
)
from support.processes import PATIENCE

from .conftest import FakeClients, FakeIdentity, FakeTime, MakeCall, MakeError, Results


def answers(*script: object) -> Callable[..., Any]:
    """A method that answers so, one after the other, and goes on with the last one for ever."""
    left = itertools.chain(script, itertools.repeat(script[-1]))
    return lambda **_: next(left)


def flow_of(*calls: Call) -> Flow:
    """A flow that makes some calls, and returns their answers or the error that ended it."""
    values = []
    for each in calls:
        try:
            answer = yield each
        except Exception as error:
            return error
        values.append(answer["value"])
    return values


def run(clients: FakeClients, results: Results, *flows: Flow, in_flight: int = 1, seconds: float = 120.0) -> None:
    async def main() -> None:
        async with Dispatcher(clients, in_flight) as dispatcher:
            for number, flow in enumerate(flows):
                dispatcher.submit(flow, seconds=seconds, on_done=results.taker(str(number)))
            await results.wait(len(flows))

    asyncio.run(main())


def test_a_flow_is_sent_the_answers_to_its_calls_and_its_result_comes_back(
    clients: FakeClients, results: Results, call: MakeCall, identity: type[FakeIdentity]
) -> None:
    clients.script = {"echo": lambda number: {"value": number * 10}}
    somebody = identity("somebody")
    run(clients, results, flow_of(call("echo", somebody, number=1), call("echo", somebody, number=2)))
    assert results.values["0"] == [10, 20]
    assert clients.made == [("echo", {"number": 1}, "somebody-1"), ("echo", {"number": 2}, "somebody-1")]
    effort = results.efforts["0"]
    assert (effort.calls, effort.retries, effort.throttles) == (2, 0, 0)


def test_a_flow_may_end_without_any_call(clients: FakeClients, results: Results) -> None:
    run(clients, results, flow_of())
    assert results.values["0"] == []
    assert results.efforts["0"].calls == 0


def test_every_call_is_signed_as_its_own_flow_however_many_there_are(
    clients: FakeClients, results: Results, call: MakeCall, identity: type[FakeIdentity]
) -> None:
    clients.script = {"whoami": lambda name: {"value": name}}
    names = [f"account{number}" for number in range(40)]
    flows = [flow_of(*(call("whoami", identity(name), name=name) for _ in range(5))) for name in names]
    run(clients, results, *flows, in_flight=8)
    assert len(clients.made) == 200
    assert all(key == f"{parameters['name']}-1" for _, parameters, key in clients.made)


def test_a_throttled_call_is_repeated_until_it_passes(
    clients: FakeClients, results: Results, call: MakeCall, clock: FakeTime, aws_error: MakeError
) -> None:
    clients.script = {"list": answers(*[aws_error("ThrottlingException")] * 12, {"value": 1})}
    run(clients, results, flow_of(call("list"), call("list")))
    assert results.values["0"] == [1, 1]
    effort = results.efforts["0"]
    assert (effort.calls, effort.retries, effort.throttles) == (14, 12, 12)


def test_pauses_double_up_to_the_longest_and_vary(
    clients: FakeClients, results: Results, call: MakeCall, clock: FakeTime, aws_error: MakeError
) -> None:
    clients.script = {"list": answers(*[aws_error("ThrottlingException")] * 12, {"value": 1})}
    run(clients, results, flow_of(call("list")))
    longest = [min(LONGEST_WAIT_SECONDS, 0.25 * 2**attempt) for attempt in range(1, 13)]
    assert longest[-1] == LONGEST_WAIT_SECONDS == longest[5]
    for pause, bound in zip(clock.slept, longest, strict=True):
        assert bound / 4 <= pause <= bound
    assert len(set(clock.slept)) == len(clock.slept)


def test_a_call_is_throttled_until_the_flows_time_is_up_and_no_longer(
    clients: FakeClients, results: Results, call: MakeCall, clock: FakeTime, aws_error: MakeError
) -> None:
    error = aws_error("ThrottlingException")
    clients.script = {"list": answers(error)}
    run(clients, results, flow_of(call("list")), seconds=60)
    assert results.values["0"] is error
    # Another pause, at most 10 s, would have gone beyond.
    assert 60 - LONGEST_WAIT_SECONDS <= sum(clock.slept) < 60


def test_the_time_is_the_whole_flows_not_each_calls(
    clients: FakeClients, results: Results, call: MakeCall, clock: FakeTime, aws_error: MakeError
) -> None:
    error = aws_error("ThrottlingException")
    clients.script = {"first": answers(*[error] * 8, {"value": 1}), "second": answers(error)}
    run(clients, results, flow_of(call("first"), call("second")), seconds=60)
    assert results.values["0"] is error
    assert sum(clock.slept) < 60


def test_each_part_of_a_flow_has_the_whole_time(
    clients: FakeClients, results: Results, call: MakeCall, clock: FakeTime, aws_error: MakeError
) -> None:
    """The first part is throttled until its time is up; the second one's first call is throttled twice."""
    throttle = aws_error("ThrottlingException")
    clients.script = {"first": answers(throttle), "second": answers(throttle, throttle, {"value": "ok"})}

    def parts() -> Flow:
        yield NextPart()
        first = yield from flow_of(call("first"))
        yield NextPart()
        second = yield from flow_of(call("second"))
        return first, second

    run(clients, results, parts(), seconds=30.0)
    first, second = results.values["0"]
    assert (first, second) == (throttle, ["ok"])
    assert sum(clock.slept) > 30 - LONGEST_WAIT_SECONDS, "the second began with next to no time left"


def several(*calls: Call, at_once: int) -> Flow:
    """A flow that asks for calls together; returns their answers and errors."""
    return (yield Calls(calls, at_once))


def test_calls_asked_for_together_are_answered_in_order_and_fail_each_for_itself(
    clients: FakeClients, results: Results, call: MakeCall, aws_error: MakeError
) -> None:
    refused = aws_error("AccessDeniedException")
    clients.script = {"echo": lambda number: refused if number == 2 else {"value": number}}
    run(clients, results, several(*(call("echo", number=number) for number in range(5)), at_once=2), in_flight=9)
    assert results.values["0"] == [{"value": 0}, {"value": 1}, refused, {"value": 3}, {"value": 4}]
    assert results.efforts["0"].calls == 5


@pytest.mark.parametrize(("flows", "in_flight", "expected"), [(1, 64, 3), (4, 5, 5)])
def test_calls_asked_for_together_keep_to_both_limits(
    clients: FakeClients, results: Results, call: MakeCall, flows: int, in_flight: int, expected: int
) -> None:
    """That of their flow, and that of all flows."""
    present, most = 0, 0

    async def one_of_many() -> dict[str, int]:
        nonlocal present, most
        present += 1
        most = max(most, present)
        await asyncio.sleep(0)
        present -= 1
        return {"value": 1}

    clients.script = {"list": one_of_many}
    each = [call("list") for _ in range(50)]
    run(clients, results, *(several(*each, at_once=3) for _ in range(flows)), in_flight=in_flight)
    assert (present, most, len(clients.made)) == (0, expected, 50 * flows)


def test_each_of_many_calls_may_take_the_flows_time(
    clients: FakeClients, results: Results, call: MakeCall, clock: FakeTime, aws_error: MakeError
) -> None:
    error = aws_error("ThrottlingException")
    clients.script = {f"call{number}": answers(*[error] * 8, {"value": number}) for number in range(6)}
    run(clients, results, several(*(call(method) for method in clients.script), at_once=1), seconds=60)
    assert results.values["0"] == [{"value": number} for number in range(6)]
    assert sum(clock.slept) > 60


def test_a_call_that_is_throttled_for_ever_ends_alone(
    clients: FakeClients, results: Results, call: MakeCall, clock: FakeTime, aws_error: MakeError
) -> None:
    error = aws_error("ThrottlingException")
    clients.script = {"first": answers(error), "second": answers({"value": 2})}
    run(clients, results, several(call("first"), call("second"), at_once=1), seconds=60)
    assert results.values["0"] == [error, {"value": 2}]


def test_a_flows_time_starts_with_its_first_call_not_in_the_queue(
    clients: FakeClients, results: Results, call: MakeCall, clock: FakeTime, aws_error: MakeError
) -> None:
    def takes_long() -> dict[str, int]:
        clock.now += 1000
        return {"value": 0}

    clients.script = {"long": takes_long, "list": answers(aws_error("ThrottlingException"), {"value": 1})}
    run(clients, results, flow_of(call("long")), flow_of(call("list")), seconds=5)
    assert results.values == {"0": [0], "1": [1]}
    assert [results.efforts[name].duration_ms >= 1_000_000 for name in "01"] == [True, False]


TRANSIENT: dict[str, Callable[[MakeError], object]] = {
    "an internal error": lambda aws_error: aws_error("ServerException", 500),
    "a bad gateway": lambda aws_error: aws_error("502", 502),
    "a request that came too slowly": lambda aws_error: aws_error("RequestTimeout", 400),
    "the connection cannot be made": lambda _: aiohttp.ClientConnectionError(),
    "no answer in time": lambda _: aiohttp.SocketTimeoutError(),
    "the connection broke": lambda _: aiohttp.ServerDisconnectedError(),
    "a body that breaks off": lambda _: aiohttp.ClientPayloadError(),
    "the source of the hub's credentials does not answer": lambda _: EndpointConnectionError(endpoint_url="https://x"),
    "a body that cannot be parsed": lambda _: ResponseParserError("not XML"),
    "an answer without what it is asked for": lambda _: {"message": '{"repositories": [{'},
}


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_transient_fault_is_tried_again_a_few_times(
    clients: FakeClients, results: Results, call: MakeCall, clock: FakeTime, aws_error: MakeError, fault: str
) -> None:
    make = TRANSIENT[fault]
    clients.script = {"list": answers(*[make(aws_error)] * (TRANSIENT_ATTEMPTS - 1), {"value": 1})}
    run(clients, results, flow_of(call("list")))
    assert results.values["0"] == [1]
    assert results.efforts["0"].retries == TRANSIENT_ATTEMPTS - 1


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_fault_that_stays_is_not_tried_for_ever(
    clients: FakeClients, results: Results, call: MakeCall, clock: FakeTime, aws_error: MakeError, fault: str
) -> None:
    clients.script = {"list": answers(TRANSIENT[fault](aws_error))}
    run(clients, results, flow_of(call("list")))
    assert isinstance(results.values["0"], Exception)
    assert len(clients.made) == TRANSIENT_ATTEMPTS


@pytest.mark.parametrize("number", [3, TRANSIENT_ATTEMPTS, 10])
def test_a_fault_amid_throttled_attempts_is_tried_again(
    clients: FakeClients, results: Results, call: MakeCall, clock: FakeTime, aws_error: MakeError, number: int
) -> None:
    script = [*[aws_error("ThrottlingException")] * number, aws_error("ServerException", 500), {"value": 1}]
    clients.script = {"list": answers(*script)}
    run(clients, results, flow_of(call("list")))
    assert results.values["0"] == [1]


def test_each_call_has_attempts_of_its_own(
    clients: FakeClients, results: Results, call: MakeCall, clock: FakeTime, aws_error: MakeError
) -> None:
    stumble = [*[aws_error("ServerException", 500)] * (TRANSIENT_ATTEMPTS - 1), {"value": 1}]
    clients.script = {"list": answers(*stumble * 3)}
    run(clients, results, flow_of(*[call("list")] * 3))
    assert results.values["0"] == [1, 1, 1]


@pytest.mark.parametrize("error", ["AccessDeniedException", "ValidationError", "UnrecognizedClientException"])
def test_a_refusal_is_not_tried_again(
    clients: FakeClients, results: Results, call: MakeCall, clock: FakeTime, aws_error: MakeError, error: str
) -> None:
    refusal = aws_error(error)
    clients.script = {"list": answers(refusal)}
    run(clients, results, flow_of(call("list")))
    assert results.values["0"] is refusal
    assert len(clients.made) == 1


def test_an_identity_that_has_no_credentials_is_an_error_of_the_call(
    clients: FakeClients,
    results: Results,
    call: MakeCall,
    identity: type[FakeIdentity],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    somebody = identity("somebody")
    monkeypatch.setattr(somebody, "credentials", answers_by_raising(NoCredentialsError()))
    run(clients, results, flow_of(call("list", somebody)))
    assert isinstance(results.values["0"], NoCredentialsError)
    assert clients.made == []


def answers_by_raising(error: Exception) -> Callable[[], NoReturn]:
    def credentials() -> NoReturn:
        raise error

    return credentials


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
def test_expired_credentials_are_renewed_and_the_call_repeated_at_once(
    clients: FakeClients,
    results: Results,
    call: MakeCall,
    identity: type[FakeIdentity],
    clock: FakeTime,
    aws_error: MakeError,
    code: str,
) -> None:
    clients.script = {"list": answers(aws_error(code, 403), {"value": 1})}
    somebody = identity("somebody")
    run(clients, results, flow_of(call("list", somebody)))
    assert results.values["0"] == [1]
    assert somebody.expired == ["somebody-1"]
    assert [key for _, _, key in clients.made] == ["somebody-1", "somebody-2"]
    assert clock.slept == [0.0]


def test_credentials_are_renewed_once_a_call(
    clients: FakeClients,
    results: Results,
    call: MakeCall,
    identity: type[FakeIdentity],
    clock: FakeTime,
    aws_error: MakeError,
) -> None:
    expired = aws_error("ExpiredToken", 403)
    clients.script = {"list": answers(expired, {"value": 1}, expired, {"value": 2}), "other": answers(expired, expired)}
    somebody = identity("somebody")
    run(clients, results, flow_of(*[call("list", somebody)] * 2), flow_of(call("other", somebody)))
    assert results.values == {"0": [1, 2], "1": expired}
    assert len(clients.made) == 6


def test_a_fault_of_a_flows_own_comes_back_as_its_result_and_stops_no_other(
    clients: FakeClients, results: Results, call: MakeCall, caplog: pytest.LogCaptureFixture
) -> None:
    clients.script = {"list": answers({"value": 1})}

    def faulty() -> Flow:
        yield call("list")
        raise KeyError("repositoryName")

    run(clients, results, faulty(), flow_of(call("list")))
    assert isinstance(results.values["0"], KeyError)
    assert results.values["1"] == [1]
    assert "A step of the scan failed" in caplog.text


def run_named(
    clients: FakeClients,
    results: Results,
    flows: Iterable[tuple[str, Flow, float, float]],
    *,
    wait_for: int,
    in_flight: int = 1,
) -> None:
    """Run `flows`: (name, flow, priority, seconds), until `count` have returned."""

    async def main() -> None:
        async with Dispatcher(clients, in_flight) as dispatcher:
            for name, flow, priority, seconds in flows:
                dispatcher.submit(flow, seconds=seconds, on_done=results.taker(name), priority=priority)
            await results.wait(wait_for)

    asyncio.run(main())


def test_lower_priorities_start_first_and_equal_ones_in_the_order_they_came(
    clients: FakeClients, results: Results, call: MakeCall
) -> None:
    clients.script = {"list": answers({"value": 1})}
    named = [("c", 1.0), ("a", 0.0), ("d", 1.0), ("b", 0.0)]
    run_named(clients, results, [(name, flow_of(call("list")), priority, 1) for name, priority in named], wait_for=4)
    assert results.order == ["a", "b", "c", "d"]


def test_a_flow_under_way_goes_before_those_that_have_not_started(
    clients: FakeClients, results: Results, call: MakeCall
) -> None:
    clients.script = {"list": answers({"value": 1})}
    first, later = flow_of(call("list"), call("list")), flow_of(call("list"))
    run_named(clients, results, [("first", first, 0, 60), ("later", later, 1, 60)], wait_for=2)
    assert results.order == ["first", "later"]


def test_flows_that_wait_take_no_place_in_flight(
    clients: FakeClients, results: Results, call: MakeCall, aws_error: MakeError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call in flight, and fifty flows that wait an hour each: another one passes all the same."""
    monkeypatch.setattr("ecr_audit.aws.dispatcher.FIRST_WAIT_SECONDS", 3600.0)
    monkeypatch.setattr("ecr_audit.aws.dispatcher.LONGEST_WAIT_SECONDS", 3600.0)
    clients.script = {"throttled": answers(aws_error("ThrottlingException")), "list": answers({"value": 1})}
    throttled = [("throttled", flow_of(call("throttled")), 0, 1e6) for _ in range(50)]
    run_named(clients, results, [*throttled, ("other", flow_of(call("list")), 1, 1)], wait_for=1)
    assert results.order == ["other"]
    assert len(clients.made) == 51


def test_flows_that_keep_pace_take_no_place_in_flight_and_are_not_made_early(
    clients: FakeClients, results: Results, call: MakeCall
) -> None:
    clients.script = {"assume_role": answers({"value": 0}), "list": answers({"value": 1})}
    pacer = Pacer(rate=1 / 3600)
    pacer.reserve()
    paced = flow_of(replace(call("assume_role"), pacer=pacer))
    run_named(clients, results, [("paced", paced, 0, 1), ("other", flow_of(call("list")), 0, 1)], wait_for=1)
    assert [method for method, _, _ in clients.made] == ["list"]


def test_a_retry_takes_a_slot_of_its_own(
    clients: FakeClients, results: Results, call: MakeCall, clock: FakeTime, aws_error: MakeError
) -> None:
    slots = []

    class Counting(Pacer):
        def reserve(self) -> float:
            slots.append(super().reserve())
            return slots[-1]

    clients.script = {"list": answers(*[aws_error("Throttling")] * 3, {"value": 1})}
    run(clients, results, flow_of(replace(call("list"), pacer=Counting(rate=100))))
    assert len(slots) == len(clients.made) == 4


def test_a_pacer_lets_a_burst_pass_and_then_one_each_interval(clock: FakeTime) -> None:
    pacer = Pacer(rate=8)
    waits = [pacer.reserve() for _ in range(20)]
    assert waits == pytest.approx([0.0] * 8 + [number / 8 for number in range(1, 13)])
    clock.now += 100
    assert [pacer.reserve() for _ in range(9)] == pytest.approx([0.0] * 8 + [1 / 8])


def test_leaving_ends_all_flows_where_they_are(clients: FakeClients, results: Results, call: MakeCall) -> None:
    entered = asyncio.Event()
    ended = []

    async def hang() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("hang")

    async def main() -> None:
        async with asyncio.timeout(PATIENCE), Dispatcher(clients, 2) as dispatcher:
            dispatcher.submit(flow_of(call("hang"), call("list")), seconds=1, on_done=results.taker("0"))
            await entered.wait()
        assert len(asyncio.all_tasks()) == 1

    clients.script = {"hang": hang, "list": answers({"value": 1})}
    asyncio.run(main())
    assert results.order == []
    assert ended == [method for method, _, _ in clients.made] == ["hang"]


@pytest.mark.parametrize("answered_at_once", [True, False])
def test_a_thousand_flows_keep_to_the_calls_in_flight(
    clients: FakeClients, results: Results, call: MakeCall, answered_at_once: bool
) -> None:
    present, most = 0, 0

    async def one_of_many() -> dict[str, int]:
        nonlocal present, most
        present += 1
        most = max(most, present)
        await asyncio.sleep(0 if answered_at_once else 0.001)
        present -= 1
        return {"value": 1}

    clients.script = {"list": one_of_many}
    run(clients, results, *(flow_of(call("list")) for _ in range(1000)), in_flight=7)
    assert (present, most, len(clients.made)) == (0, 7, 1000)
