"""A priority semaphore for calls in flight."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Seconds without a response after which a call hangs: until it ends, another one may use its slot.
HANGING_SECONDS = 2.0


class PrioritySemaphore:
    """A number of slots, given to the waiter with the lowest priority; equal ones in order of arrival.

    A slot held for longer than HANGING_SECONDS is lent to another call, so that hanging calls block nothing. At most
    as many are lent as there are.
    """

    def __init__(self, number: int) -> None:
        self._number = self._free = number
        self._lent = 0
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    @asynccontextmanager
    async def slot(self, priority: float) -> AsyncIterator[None]:
        """Hold a slot for the length of the block."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), turn))
        self._give_soon()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._take_back()
            raise
        is_lent = False

        def lend() -> None:
            nonlocal is_lent
            if self._lent < self._number:
                is_lent = True
                self._lent += 1
                self._take_back()

        timer = loop.call_later(HANGING_SECONDS, lend)
        try:
            yield
        finally:
            timer.cancel()
            if is_lent:
                self._lent -= 1
            else:
                self._take_back()

    def _take_back(self) -> None:
        self._free += 1
        self._give_soon()

    def _give_soon(self) -> None:
        # Calls that arrive in the meantime are in the queue by then, so that the lowest priority of all is next.
        asyncio.get_running_loop().call_soon(self._give)

    def _give(self) -> None:
        while self._free and self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                self._free -= 1
                turn.set_result(None)
