"""The published file as the pages see it: read-only, always the newest, within bounds of memory, threads and time.

A request reads one publication from its first query to its last, also when a newer one appears meanwhile. A
publication that is no longer the newest is closed when its last reader is done.
"""

from __future__ import annotations

import re
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from ecr_audit.errors import FinalError
from ecr_audit.publish.publication import Published
from ecr_audit.publish.published_file import open_published
from ecr_audit.settings import SQL_ROOT, SettingsError

# Limits for one open publication. While it is replaced by the next, two are open.
MEMORY_LIMIT = "100MB"
THREADS = 2

# Seconds after which a query is stopped. With 1 million repositories, the slowest page takes one.
QUERY_SECONDS = 15.0
DOWNLOAD_SECONDS = 120.0

# Results are cached until the next publication, up to this many rows in total.
KEPT_ROWS = 10_000

Row = dict[str, Any]


class Unavailable(Exception):  # noqa: N818 - a state of the audit, not a bug
    """No publication can be shown; the message says why."""


class NothingPublished(Unavailable):
    """No night has been published yet."""


class TooSlow(Exception):  # noqa: N818 - a state, too
    """A query exceeded its time limit, which the message names."""


class Misconfigured(Unavailable):
    """An invalid setting: the location of publications is not known."""


class Unreadable(Unavailable):
    """The publication exists but cannot be read."""


class PublishedDatabase:
    """One published file, open."""

    def __init__(self, published: Published, folder: Path | None = None) -> None:
        """`folder`: the one that files may be written to."""
        self.published = published
        self.version = published.version
        self.snapshot_date = published.snapshot_date
        self.missing_exports = published.missing_exports
        self.database = published.database
        self.readers = 0
        # DuckDB spills here, not beside the file, where the web server may not write.
        self._spill = tempfile.TemporaryDirectory(prefix="ecr-audit-")
        try:
            self._connection = open_published(
                published.database,
                limits={"memory_limit": MEMORY_LIMIT, "threads": THREADS, "temp_directory": self._spill.name},
                folder=folder,
            )
        except BaseException:
            self._spill.cleanup()
            raise
        self._answers: OrderedDict[tuple[Any, ...], list[Row]] = OrderedDict()
        self._kept_rows = 0
        self._lock = threading.Lock()

    def rows(self, name: str, **parameters: Any) -> list[Row]:
        """The rows of `sql/pages/<name>.sql`, by column. `parameters` must have a value for each $name in it.

        The result may be shared with other requests: do not change it. Raises duckdb.Error and TooSlow.
        """
        return self._answer(name, statement(name), parameters)

    def part(self, name: str, size: int, offset: int, **parameters: Any) -> list[Row]:
        """Part of those rows: at most `size`, starting at `offset`."""
        text = f"{statement(name)}\nLIMIT $size OFFSET $offset"
        return self._answer(f"{name}: part", text, parameters | {"size": size, "offset": offset})

    def count(self, name: str, **parameters: Any) -> int:
        """Number of those rows."""
        text = f"SELECT count(*) AS rows FROM (\n{statement(name)}\n)"
        return int(self._answer(f"{name}: count", text, parameters)[0]["rows"])

    def _answer(self, name: str, text: str, parameters: Mapping[str, Any]) -> list[Row]:
        key = (name, *((each, str(type(value)), str(value)) for each, value in sorted(parameters.items())))
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
        with self.connection(QUERY_SECONDS) as cursor:
            cursor.execute(text, dict(parameters) or None)
            columns = [column for column, *_ in cursor.description or ()]
            answer = [dict(zip(columns, values, strict=True)) for values in cursor.fetchall()]
        self._keep(key, answer)
        return answer

    @contextmanager
    def connection(self, seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
        """A separate connection whose query is stopped after `seconds`. Raises TooSlow then."""
        with self._connection.cursor() as cursor:
            watchdog = threading.Timer(seconds, cursor.interrupt)
            watchdog.daemon = True
            watchdog.start()
            try:
                yield cursor
            except duckdb.InterruptException as fault:
                raise TooSlow(f"{seconds:g} seconds") from fault
            finally:
                watchdog.cancel()

    def close(self) -> None:
        """Close the file, which must not have readers."""
        self._connection.close()
        self._spill.cleanup()

    def _keep(self, key: tuple[Any, ...], answer: list[Row]) -> None:
        with self._lock:
            if key in self._answers or len(answer) > KEPT_ROWS // 10:
                return
            self._answers[key] = answer
            self._kept_rows += len(answer) + 1
            while self._kept_rows > KEPT_ROWS:
                _, oldest = self._answers.popitem(last=False)
                self._kept_rows -= len(oldest) + 1


class NewestPublication:
    """Opens the newest publication, and the next one as soon as there is one.

    `find` returns the newest, or raises FileNotFoundError. Each request calls it, one at a
    time: others meanwhile get the open one, if any. So a version is downloaded from S3 only once.
    """

    def __init__(self, find: Callable[[], Published], folder: Path | None = None) -> None:
        self._find = find
        self._folder = folder
        self.current: PublishedDatabase | None = None
        self._lock = threading.Lock()
        self._looking = threading.Lock()

    def prepare(self) -> None:
        """Open the newest publication before the first request, and let DuckDB import what it needs to bind parameters.

        That is pandas, which takes a second and some 100 MB; without it the first reader would wait for it.
        """
        with duckdb.connect() as connection:
            connection.execute("SELECT $one", {"one": 1})
        with suppress(Unavailable), self.reading():
            pass

    @contextmanager
    def reading(self) -> Iterator[PublishedDatabase]:
        """The newest publication, which stays open and the same until the end.

        Raises NothingPublished, Misconfigured and Unreadable, whose messages are for people.
        """
        publication = self._enter()
        try:
            yield publication
        finally:
            with self._lock:
                publication.readers -= 1
                self._close_if_old(publication)

    def close(self) -> None:
        """Close the open publication, once its last reader is done."""
        with self._lock:
            previous, self.current = self.current, None
            if previous:
                self._close_if_old(previous)

    def _enter(self) -> PublishedDatabase:
        if self._looking.acquire(blocking=self.current is None):
            try:
                self._look()
            finally:
                self._looking.release()
        with self._lock:
            if self.current is None:
                raise NothingPublished("The publication has just been closed.")
            self.current.readers += 1
            return self.current

    def _look(self) -> None:
        """Make the newest publication the current one."""
        try:
            newest = self._find()
        except FileNotFoundError as fault:
            raise NothingPublished(str(fault)) from fault
        except SettingsError as fault:
            raise Misconfigured(str(fault)) from fault
        except (OSError, FinalError) as fault:
            raise Unreadable(str(fault)) from fault
        if self.current and self.current.version == newest.version:
            self.current.missing_exports = newest.missing_exports  # files are added to a publication
            return
        try:
            opened = PublishedDatabase(newest, self._folder)
        except (duckdb.Error, OSError, FinalError) as fault:
            raise Unreadable(f"{newest.database}: {fault}") from fault
        with self._lock:
            previous, self.current = self.current, opened
            if previous:
                self._close_if_old(previous)

    def _close_if_old(self, publication: PublishedDatabase) -> None:
        if publication is not self.current and publication.readers == 0:
            publication.close()


@cache
def statement(name: str) -> str:
    """The text of a query; {other/query} in it is replaced by that query's text, in parentheses."""
    text = (SQL_ROOT / "pages" / f"{name}.sql").read_text(encoding="utf-8")
    return re.sub(r"\{([a-z_/]+)\}", lambda named: f"(\n{statement(named[1])}\n)", text)


def unsorted(name: str) -> str:
    """The same without the ORDER BY that ends it, which begins a line, for results too large to sort.

    One that another line with a `)` follows is that of a subquery.
    """
    return re.sub(r"\nORDER BY\s((?!\nORDER BY|\n\)).)*\Z", "", statement(name), flags=re.DOTALL)
