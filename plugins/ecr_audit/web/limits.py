"""How much work the pages take on at once: the web server has Airflow's own pages, and its workers, to answer, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Busy(Exception):  # noqa: N818 - a state of the server's, not a mistake of the program's
    """There is as much to do as can be done at once; the message is for people."""

    # Seconds after which it is worth asking again.
    retry_after = 10


class Turns:
    """So many at a time; the others wait in order, in the event loop, where a waiting request holds no thread."""

    def __init__(self, at_once: int, most_waiting: int, seconds: float) -> None:
        """`most_waiting` at most wait, each for at most so many `seconds`."""
        self.free = asyncio.Semaphore(at_once)
        self.most_waiting = most_waiting
        self._seconds = seconds
        self.waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it for as long as the block takes. Raises Busy when the wait is too long."""
        if self.free.locked() and self.waiting >= self.most_waiting:
            raise Busy(f"{self.waiting} others are waiting already.")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._seconds):
                await self.free.acquire()
        except TimeoutError:
            raise Busy(f"It was not its turn for {self._seconds:g} seconds.") from None
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self.free.release()
