"""The calls in flight: who is next, and that calls which hang hold up nobody."""

from __future__ import annotations

import asyncio

import pytest

from ecr_audit.aws import semaphore
from ecr_audit.aws.semaphore import PrioritySemaphore
from support.processes import PATIENCE


class Holders:
    """Tasks that hold a slot until they are let go; `held` lists who got one, in order."""

    def __init__(self, number: int) -> None:
        self.slots = PrioritySemaphore(number)
        self.held: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._leave: dict[str, asyncio.Event] = {}

    def come(self, name: str, priority: float = 0.0) -> None:
        self._leave[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._hold(name, priority))

    async def _hold(self, name: str, priority: float) -> None:
        async with self.slots.slot(priority):
            self.held.append(name)
            await self._leave[name].wait()

    async def go(self, name: str) -> None:
        self._leave[name].set()
        await self.tasks[name]
        await asyncio.sleep(0)

    async def until(self, number: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.held) < number:
                await asyncio.sleep(0.001)

    async def settle(self) -> None:
        """Let everything happen that can happen now."""
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
def hang_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semaphore, "HANGING_SECONDS", 0.01)


def test_the_lowest_priority_is_next_and_equal_ones_in_the_order_they_came() -> None:
    async def main() -> list[str]:
        holders = Holders(1)
        for name, priority in [("c", 1.0), ("a", 0.0), ("d", 1.0), ("b", 0.0)]:
            holders.come(name, priority)
        for number, name in enumerate("abcd"):
            await holders.until(number + 1)
            await holders.go(name)
        return holders.held

    assert asyncio.run(main()) == ["a", "b", "c", "d"]


def test_no_more_are_held_than_there_are() -> None:
    async def main() -> None:
        holders = Holders(2)
        for name in "abc":
            holders.come(name)
        await holders.settle()
        assert holders.held == ["a", "b"]
        await holders.go("a")
        await holders.until(3)

    asyncio.run(main())


@pytest.mark.parametrize("when", ["waiting", "about to get it"])
def test_a_cancelled_waiter_keeps_no_slot(when: str) -> None:
    async def main() -> None:
        holders = Holders(1)
        for name in ("first", "cancelled", "last"):
            holders.come(name)
        await holders.settle()
        if when == "waiting":
            holders.tasks["cancelled"].cancel()
        # Let go without a pause: the slot is given to the second, which has not woken yet.
        holders._leave["first"].set()
        while not holders.tasks["first"].done():
            await asyncio.sleep(0)
        if when == "about to get it" and "cancelled" not in holders.held:
            holders.tasks["cancelled"].cancel()
        await holders.until(2)
        assert holders.held == ["first", "last"]
        await holders.go("last")

    asyncio.run(main())


def test_others_go_on_while_every_slot_hangs(hang_soon: None) -> None:
    async def main() -> None:
        holders = Holders(2)
        for name in ("hangs 1", "hangs 2", "other 1", "other 2"):
            holders.come(name)
        await holders.until(4)
        for name in ("other 1", "other 2", "hangs 1", "hangs 2"):
            await holders.go(name)

    asyncio.run(main())


def test_at_most_as_many_are_lent_as_there_are(hang_soon: None) -> None:
    async def main() -> None:
        holders = Holders(2)
        for number in range(10):
            holders.come(str(number))
        await holders.until(4)
        # A timer set now goes off after those of all who hold a slot.
        all_hang = asyncio.Event()
        asyncio.get_running_loop().call_later(semaphore.HANGING_SECONDS, all_hang.set)
        await all_hang.wait()
        await holders.settle()
        assert holders.held == ["0", "1", "2", "3"]
        for task in holders.tasks.values():
            task.cancel()

    asyncio.run(main())


def test_lent_slots_come_back(monkeypatch: pytest.MonkeyPatch, hang_soon: None) -> None:
    async def main() -> None:
        holders = Holders(1)
        holders.come("hangs")
        holders.come("other")
        await holders.until(2)
        monkeypatch.setattr(semaphore, "HANGING_SECONDS", 1000)
        await holders.go("hangs")
        await holders.go("other")
        for name in ("next", "last"):
            holders.come(name)
        await holders.until(3)
        await holders.settle()
        assert holders.held == ["hangs", "other", "next"]
        await holders.go("next")
        await holders.until(4)
        await holders.go("last")

    asyncio.run(main())
