"""Limits of one reader at the web server, which others need: turns, time, and files on their way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message, Scope, Send

from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.publication import Published
from ecr_audit.web import published as published_module
from ecr_audit.web import spool as spool_module
from ecr_audit.web.api import ndjson
from ecr_audit.web.limits import Busy, Turns
from ecr_audit.web.pages import findings
from ecr_audit.web.published import NewestPublication, TooSlow
from ecr_audit.web.spool import Spool, SpooledFile

ENDLESS = "SELECT count(*) AS rows FROM range(1_000_000_000_000)"


@contextmanager
def all_turns(turns: Turns) -> Iterator[None]:
    """Others have every turn, and as many as may are waiting."""
    free, turns.free = turns.free, asyncio.Semaphore(0)
    turns.waiting += turns.most_waiting
    try:
        yield
    finally:
        turns.free = free
        turns.waiting -= turns.most_waiting


def test_turns_are_taken_in_order_by_no_more_than_may() -> None:
    turns, seen, now = Turns(2, 10, 60), list[int](), list[int]()

    async def work(number: int) -> None:
        async with turns.turn():
            seen.append(number)
            now.append(1)
            assert len(now) <= 2
            await asyncio.sleep(0)
            now.pop()

    async def all_at_once() -> None:
        await asyncio.gather(*(work(number) for number in range(12)))

    asyncio.run(all_at_once())
    assert seen == list(range(12))


def test_a_request_that_would_wait_too_long_is_refused_and_a_later_one_is_not() -> None:
    async def waits() -> None:
        turns = Turns(1, 0, 60)
        async with turns.turn():
            with pytest.raises(Busy, match="0 requests are already waiting"):
                async with turns.turn():
                    pass
        async with turns.turn():
            pass
        turns = Turns(1, 1, 0.01)
        async with turns.turn():
            with pytest.raises(Busy, match=r"for 0\.01 seconds"):
                async with turns.turn():
                    pass
        async with turns.turn():
            pass

    asyncio.run(waits())


@pytest.mark.parametrize(
    ("turns", "refused", "answered"),
    [
        ("page_turns", "/findings", "/findings.csv"),
        ("download_turns", "/findings.csv", "/findings"),
        ("page_turns", "/api/v1/findings", "/api/v1/findings?format=ndjson"),
        ("download_turns", "/api/v1/findings?format=ndjson", "/api/v1/findings?format=json"),
    ],
)
def test_busy_pages_answer_503_and_downloads_are_counted_separately(
    client: TestClient, pages: FastAPI, published: Callable[..., None], turns: str, refused: str, answered: str
) -> None:
    published(repositories=[{}])
    with all_turns(getattr(pages.state, turns)):
        busy = client.get(refused)
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "10")
        assert "The pages are busy" in busy.text
        assert client.get(answered).status_code == 200
        assert client.get("/static/pages.css").status_code == 200
    assert client.get(refused).status_code == 200


@pytest.mark.parametrize("path", ["/coverage", "/api/v1/coverage", "/findings.csv", "/api/v1/coverage?format=ndjson"])
def test_a_query_that_takes_too_long_is_stopped(
    client: TestClient, published: Callable[..., None], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    published(repositories=[{}])
    monkeypatch.setattr(published_module, "QUERY_SECONDS", 0.05)
    for module in (findings, ndjson):
        monkeypatch.setattr(module, "DOWNLOAD_SECONDS", 0.05)
    whole = published_module.statement
    endless = "SELECT asked.* FROM (\n{}\n) AS asked, range(1_000_000_000_000) AS endless WHERE hash(endless.range) = 0"
    monkeypatch.setattr(published_module, "statement", lambda name: endless.format(whole(name)))
    answer = client.get(path)
    assert answer.status_code == 503
    assert "The query took too long" in answer.text
    assert "0.05 seconds" in answer.text
    monkeypatch.undo()
    assert client.get(path).status_code == 200


@pytest.fixture
def spool() -> Iterator[Spool]:
    spool = Spool()
    yield spool
    assert list(spool.folder.iterdir()) == []
    assert (spool.files, spool.bytes_held) == (0, 0)


def send(file: SpooledFile, taken: Send) -> None:
    """Send a file to a receiver that never disconnects and takes each message as set."""

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    scope: Scope = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.3"}}
    asyncio.run(file(scope, receive, taken))


def test_a_file_is_gone_when_it_is_sent(spool: Spool) -> None:
    got = []

    async def take(message: Message) -> None:
        got.append(message.get("body", b""))

    send(spool.send(lambda path: path.write_bytes(b"x" * 1_000_000), "x.csv"), take)
    assert b"".join(got) == b"x" * 1_000_000


@pytest.mark.parametrize(("idle", "rate"), [(0.05, 1), (60, 1e9)])
def test_a_reader_that_is_too_slow_is_disconnected(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, idle: float, rate: float
) -> None:
    monkeypatch.setattr(spool_module, "SLOWEST_BYTES_A_SECOND", rate)
    monkeypatch.setattr(spool_module, "IDLE_SECONDS", idle if rate == 1 else 0.05)
    file = spool.send(lambda path: path.write_bytes(b"x" * 100_000), "x.csv")
    monkeypatch.setattr(spool_module, "IDLE_SECONDS", idle)

    async def take_nothing(message: Message) -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        send(file, take_nothing)


def test_files_have_bounds_of_number_and_size(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "MOST_BYTES", 10)

    def make(path: Path) -> None:
        path.write_bytes(b"123456")

    first = spool.send(make, "x.csv")
    with pytest.raises(Busy, match="all the space"):
        spool.send(make, "x.csv")
    monkeypatch.setattr(spool_module, "FILES", 1)
    with pytest.raises(Busy, match="1 downloads are already in progress"):
        spool.send(make, "x.csv")
    first.done()
    with pytest.raises(ZeroDivisionError):
        spool.send(lambda _: 1 / 0, "x.csv")
    spool.send(make, "x.csv").done()


def test_nothing_is_held_while_a_file_is_sent(
    client: TestClient, pages: FastAPI, published: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    published(repositories=[{}])
    seen = []
    call = SpooledFile.__call__
    pages.state.download_turns.free = asyncio.Semaphore(1)

    async def look(self: SpooledFile, *given: Any) -> None:
        publication = pages.state.published.current
        seen.append((publication.readers, pages.state.download_turns.free.locked()))
        await call(self, *given)

    monkeypatch.setattr(SpooledFile, "__call__", look)
    for path in ("/findings.csv", "/findings.xlsx", "/api/v1/findings?format=ndjson"):
        assert client.get(path).status_code == 200
    assert seen == [(0, False)] * 3
    assert list(pages.state.spool.folder.iterdir()) == []


@pytest.mark.parametrize("path", ["/findings.csv", "/findings.xlsx", "/api/v1/findings?format=ndjson"])
def test_a_transfer_that_was_cut_does_not_go_on_with_another_file(
    client: TestClient, published: Callable[..., None], path: str
) -> None:
    """As `curl --continue-at` asks: what it has may be of the night before."""
    published(repositories=[{}])
    answer = client.get(path, headers={"Range": "bytes=20-"})
    assert answer.status_code == 200
    assert answer.headers["accept-ranges"] == "none"
    # Two workbooks made one after the other may differ in length: by when they were made.
    assert answer.content[:20] == client.get(path).content[:20]


def test_one_request_looks_for_the_newest_and_others_use_the_current(
    folder: Path, published: Callable[..., None]
) -> None:

    looks, slow, asked = list[int](), threading.Event(), threading.Event()
    slow.set()

    def find() -> Published:
        looks.append(1)
        asked.set()
        assert slow.wait(60)
        return PublicationStore(folder).newest()

    newest = NewestPublication(find)
    published(date(2026, 11, 1), repositories=[{}])
    with newest.reading() as first:
        assert first.snapshot_date == date(2026, 11, 1)
    published(date(2026, 11, 2), repositories=[{}])
    slow.clear()
    asked.clear()

    def read() -> date:
        with newest.reading() as publication:
            return publication.snapshot_date

    with ThreadPoolExecutor(1) as others:
        looking = others.submit(read)
        assert asked.wait(60)
        assert {read() for _ in range(12)} == {date(2026, 11, 1)}
        slow.set()
        assert looking.result() == date(2026, 11, 2)
    assert read() == date(2026, 11, 2)
    assert len(looks) == 3
    newest.close()


def test_a_query_is_stopped_wherever_it_is_asked(pages: FastAPI, published: Callable[..., None]) -> None:
    published(repositories=[{}])
    with pages.state.published.reading() as publication:
        with pytest.raises(TooSlow, match=r"0\.05 seconds"), publication.connection(0.05) as connection:
            connection.execute(ENDLESS)
        with ExitStack() as stack:
            assert stack.enter_context(publication.connection(60)).execute("SELECT 1").fetchall() == [(1,)]
