"""Middleware around Airflow's whole web server: which host names it answers to, and the pages' address without a slash.

A host name matters where a server listens on this machine alone. A page of the internet may have its own name lead to
127.0.0.1 (DNS rebinding), and its scripts then ask the server as if they were its own; the Host header has the name.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ecr_audit.web.urls import PREFIX

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def answered_hosts(listens_on: str, base_url: str) -> frozenset[str]:
    """The host names that a server answers to; empty means all, when it does not listen on loopback alone.

    `listens_on` is the address that it binds ([api] host), `base_url` the one that people reach it by ([api] base_url),
    which may be that of a proxy on this machine.
    """
    if listens_on.strip().strip("[]") not in LOOPBACK:
        return frozenset()
    return LOOPBACK | {urlsplit(base_url).hostname or "localhost"}


class FrontDoor:
    """ASGI middleware. `hosts` are the host names to answer to, in lower case; none: all."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        answer = self._answer(scope) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)

    def _answer(self, scope: Scope) -> ASGIApp | None:
        """The response of this middleware; None if Airflow has to answer."""
        if self._hosts and (host := _host(scope)) not in self._hosts:
            refusal = f"The host name {host!r} is not a name of this server. Valid: {', '.join(sorted(self._hosts))}."
            return PlainTextResponse(f"{refusal} AIRFLOW__API__BASE_URL adds that of a proxy.\n", 400)
        if scope["path"].removeprefix(scope.get("root_path", "")) == PREFIX and scope["method"] in ("GET", "HEAD"):
            # Relative, so that it works for any scheme, host name and path.
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(f"{PREFIX.removeprefix('/')}/{'?' if query else ''}{query}")
        return None


def _host(scope: Scope) -> str:
    """The name in the Host header, without its port, in lower case; empty when there is none that can be read."""
    header = next((value for name, value in scope["headers"] if name == b"host"), b"")
    try:
        return urlsplit(f"//{header.decode('latin-1')}").hostname or ""
    except ValueError:
        return ""
