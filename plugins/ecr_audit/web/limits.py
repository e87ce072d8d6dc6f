"""Limits on concurrent work of the pages: the same web server also answers for Airflow's own pages and workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Busy(Exception):  # noqa: N818 - a state of the server, not a bug
    """The server is at its limit of concurrent work; the message is for people."""

    # Seconds after which it is worth asking again.
    retry_after = 10


class Turns:
    """A bounded queue: `at_once` requests run; others wait in order, in the event loop, so that they hold no thread."""

    def __init__(self, at_once: int, most_waiting: int, seconds: float) -> None:
        """At most `most_waiting` requests wait, each for at most `seconds`."""
        self.free = asyncio.Semaphore(at_once)
        self.most_waiting = most_waiting
        self._seconds = seconds
        self.waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it during the block. Raises Busy when the queue is full or the wait is too long."""
        if self.free.locked() and self.waiting >= self.most_waiting:
            raise Busy(f"{self.waiting} requests are already waiting.")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._seconds):
                await self.free.acquire()
        except TimeoutError:
            raise Busy(f"The request waited for {self._seconds:g} seconds.") from None
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self.free.release()
