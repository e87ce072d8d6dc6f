"""A call that hangs takes no thread from the others: another one stands in for as long as it hangs."""

from __future__ import annotations

import threading

import pytest

from ecr_audit.aws import calls
from ecr_audit.aws.calls import Dispatcher


@pytest.fixture
def hanging(clients, call, monkeypatch):
    """Flows whose call hangs until the event is set: `flow, let_go = hanging`."""
    monkeypatch.setattr(calls, "HANGING_SECONDS", 0.04)
    let_go = threading.Event()
    clients.script = {"hang": lambda: {"value": let_go.wait(20)}, "list": lambda: {"value": 1}}
    yield lambda: flow_of(call("hang")), let_go
    let_go.set()


def flow_of(call):
    return (yield call)["value"]


def test_others_go_on_while_every_thread_hangs(clients, results, call, hanging):
    flow, let_go = hanging
    with Dispatcher(clients, 2) as dispatcher:
        for name in ("first", "second"):
            dispatcher.submit(flow(), seconds=60, on_done=results.taker(name))
        for number in range(50):
            dispatcher.submit(flow_of(call("list")), seconds=60, on_done=results.taker(str(number)), priority=1)
        results.wait(50)
        assert not {"first", "second"} & set(results.order)
        let_go.set()
        results.wait(52)


def test_there_are_at_most_as_many_stand_ins_as_threads(clients, results, hanging):
    flow, let_go = hanging
    with Dispatcher(clients, 2) as dispatcher:
        for number in range(10):
            dispatcher.submit(flow(), seconds=60, on_done=results.taker(str(number)))
        while len(clients.made) < 4:
            dispatcher._closing.wait(0.01)
        dispatcher._closing.wait(0.2)
        assert len(clients.made) == 4
        let_go.set()
        results.wait(10)


def test_stand_ins_end_with_the_hanging(clients, results, call, hanging):
    flow, let_go = hanging
    with Dispatcher(clients, 2) as dispatcher:
        for name in ("first", "second"):
            dispatcher.submit(flow(), seconds=60, on_done=results.taker(name))
        while dispatcher._running < 4:
            dispatcher._closing.wait(0.01)
        let_go.set()
        results.wait(2)
        number = 2
        while dispatcher._running > 2:
            # A thread that waits for work sees that it is one too many when there is some.
            dispatcher.submit(flow_of(call("list")), seconds=60, on_done=results.taker(str(number)))
            number += 1
            results.wait(number)
        dispatcher.submit(flow_of(call("list")), seconds=60, on_done=results.taker("last"))
        results.wait(number + 1)
