"""Pieces of work in many accounts and regions, by a role of each account: one after the other in a registry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Generic, Protocol, TypeVar

from ecr_audit.aws.accounts import Entry, MemberIdentity, enter_account, session_name
from ecr_audit.aws.connections import Connections
from ecr_audit.aws.dispatcher import Dispatcher, Effort, Flow, Identity
from ecr_audit.aws.session import Hub
from ecr_audit.settings import Settings

# How often it is looked whether all are done.
_LOOK_SECONDS = 0.05


class Work(Protocol):
    """A piece of work."""

    @property
    def registry(self) -> tuple[str, str]:
        """Its account id and region."""


Piece = TypeVar("Piece", bound=Work)

# Makes the flow for one piece, which keeps its result itself.
Act = Callable[[Identity, Piece], Flow]
OnError = Callable[[Piece, BaseException], None]


def run_by_registry(
    hub: Hub,
    pieces: Sequence[Piece],
    settings: Settings,
    role: str,
    run_id: str,
    act: Act[Piece],
    on_error: OnError[Piece],
) -> None:
    """Do each piece of work, as a role of its account: one after the other in a registry.

    Registries go on concurrently, until all are done or ECR_AUDIT_BATCH_SECONDS are up. `role`: its path and name.
    `on_error` gets the pieces of an account that cannot be entered. Raises what is raised by `act` itself.
    """
    hub = replace(hub, session_name=session_name(run_id))
    asyncio.run(_run(hub, pieces, settings, role, act, on_error))


class _Run(Generic[Piece]):
    """The registries that are under way, and the first fault of the program's own."""

    def __init__(self, dispatcher: Dispatcher, seconds: float, act: Act[Piece], on_error: OnError[Piece]) -> None:
        self._dispatcher = dispatcher
        self._seconds = seconds
        self._act = act
        self._on_error = on_error
        self.pending = 0
        self.fault: Exception | None = None

    def enter(self, hub: Hub, identity: MemberIdentity, registries: Sequence[Sequence[Piece]]) -> None:
        """Enter an account, then go on with all its registries."""
        self.pending += len(registries)
        flow = enter_account(hub, identity, ask_regions=False)
        self._dispatcher.submit(flow, seconds=self._seconds, on_done=partial(self._entered, registries))

    def _entered(self, registries: Sequence[Sequence[Piece]], entry: Entry | Exception, _: Effort) -> None:
        error = entry if isinstance(entry, Exception) else entry.error
        for pieces in registries:
            if isinstance(entry, Entry) and error is None:
                self._next(entry.identity, iter(pieces), None)
                continue
            assert error is not None  # noqa: S101
            for piece in pieces:
                self._on_error(piece, error)
            self.pending -= 1

    def _next(self, identity: Identity, pieces: Iterator[Piece], fault: object, *_: Effort) -> None:
        """Go on with the next piece of a registry, each with its own time limit."""
        if isinstance(fault, Exception):
            self.fault = self.fault or fault
        piece = None if self.fault else next(pieces, None)
        if piece is None:
            self.pending -= 1
            return
        on_done = partial(self._next, identity, pieces)
        self._dispatcher.submit(self._act(identity, piece), seconds=self._seconds, on_done=on_done)


async def _run(
    hub: Hub, pieces: Sequence[Piece], settings: Settings, role: str, act: Act[Piece], on_error: OnError[Piece]
) -> None:
    registries: dict[str, dict[str, list[Piece]]] = {}
    for piece in pieces:
        account_id, region = piece.registry
        registries.setdefault(account_id, {}).setdefault(region, []).append(piece)
    deadline = time.monotonic() + settings.batch_seconds
    in_flight = settings.concurrency
    async with Connections(hub.access, in_flight) as connections, Dispatcher(connections, in_flight) as dispatcher:
        running = _Run(dispatcher, settings.target_seconds, act, on_error)
        for account_id, by_region in registries.items():
            identity = MemberIdentity(hub, connections, account_id, role, settings.external_id)
            running.enter(hub, identity, list(by_region.values()))
        while running.pending and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
    if running.fault is not None:
        raise running.fault
