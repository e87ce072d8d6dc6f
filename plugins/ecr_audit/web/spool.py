"""Downloads are written to disk first, then sent: a slow reader holds a file, but no query, connection or thread."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from ecr_audit.web.limits import Busy

# Maximum number of files being written or sent.
FILES = 16
# Maximum size of all of them together.
MOST_BYTES = 2 << 30

# A transfer is aborted after this many seconds without progress, or if it is slower than this on average.
IDLE_SECONDS = 30
SLOWEST_BYTES_A_SECOND = 64 * 1024


class Spool:
    """The folder of such files."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ecr-audit-"))
        # Removed at exit at the latest: not every process that creates the application serves it.
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.files = 0
        self.bytes_held = 0
        self._lock = threading.Lock()

    def send(self, make: Callable[[Path], Any], filename: str, media_type: str | None = None) -> SpooledFile:
        """Have a file made, at a path with the ending of its name, and send it. Raises Busy, and what `make` raises.

        `media_type`: where the ending does not say it.
        """
        with self._lock:
            if self.files >= FILES:
                raise Busy(f"{FILES} downloads are already in progress.")
            self.files += 1
        path, size = self.folder / f"{uuid.uuid4().hex}{Path(filename).suffix}", 0
        try:
            make(path)
            with self._lock:
                if self.bytes_held + path.stat().st_size > MOST_BYTES:
                    raise Busy("The downloads in progress use all the space allowed for them. Filter for fewer rows.")
                size = path.stat().st_size
                self.bytes_held += size
            return SpooledFile(path, filename, lambda: self._forget(path, size), media_type)
        except BaseException:
            self._forget(path, size)
            raise

    def _forget(self, path: Path, size: int) -> None:
        path.unlink(missing_ok=True)
        with self._lock:
            self.files -= 1
            self.bytes_held -= size


class SpooledFile(FileResponse):
    """Sends a file as an attachment, within a time limit, and removes it afterwards in any case.

    Whole, whatever range is asked for: the next request has another file made, perhaps of another night, and a transfer
    that goes on with it would hold a part of each.
    """

    # Airflow compresses what is smaller than 128 KiB in the event loop, and the rest in a thread.
    chunk_size = 256 * 1024

    def __init__(self, path: Path, filename: str, done: Callable[[], None], media_type: str | None = None) -> None:
        super().__init__(path, filename=filename, media_type=media_type, stat_result=path.stat())
        self.headers["Accept-Ranges"] = "none"
        self._seconds = IDLE_SECONDS + path.stat().st_size / SLOWEST_BYTES_A_SECOND
        self.done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. Raises TimeoutError, at which the server closes the connection: the receiver notices the cut."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(IDLE_SECONDS):
                await send(message)

        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        try:
            async with asyncio.timeout(self._seconds):
                await super().__call__({**scope, "headers": headers}, receive, send_in_time)
        finally:
            self.done()
