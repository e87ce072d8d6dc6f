"""The application: the list of its pages, the login on all of them, and its error pages."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import duckdb
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from ecr_audit.publish.publication import Published
from ecr_audit.web import static_files
from ecr_audit.web.api.document import documents
from ecr_audit.web.api.routes import router as api
from ecr_audit.web.headers import NOT_KEPT, SECURITY_HEADERS, SecurityHeaders
from ecr_audit.web.limits import Busy, Turns
from ecr_audit.web.page import render, urls_of
from ecr_audit.web.pages import (
    account,
    coverage,
    evidence,
    exports,
    findings,
    framework,
    organization,
    overview,
    policy,
    registry,
    remediation,
    remediation_runs,
    repository,
    section,
    tag_moves,
)
from ecr_audit.web.published import (
    Misconfigured,
    NewestPublication,
    NothingPublished,
    TooSlow,
    Unavailable,
    Unreadable,
)
from ecr_audit.web.spool import Spool

log = logging.getLogger(__name__)

# Concurrent requests, requests that may wait, and their longest wait in seconds. Four pages keep two cores busy, with
# Airflow's own answers in between; a file takes a while to make.
PAGE_TURNS = (4, 100, 10)
DOWNLOAD_TURNS = (2, 10, 30)

# All routers. A new page is a module of pages/ and a line here.
ROUTERS = (
    overview.router,
    findings.router,
    repository.router,
    registry.router,
    tag_moves.router,
    remediation.router,
    remediation_runs.router,
    organization.router,
    account.router,
    coverage.router,
    evidence.router,
    exports.router,
    policy.router,
    framework.router,
    section.router,
    api,
    documents,
    static_files.router,
)


def create_app(find: Callable[[], Published], login: Sequence[Depends]) -> FastAPI:
    """The application, to be mounted at `urls.PREFIX`.

    `find` names the newest publication (`ecr_audit.publish.store.newest`); it is asked once for each request.
    `login` are dependencies that reject requests without access. They apply to every route: also to the style
    sheet, and for the OpenAPI document, which FastAPI's own routes would show to anybody.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(app.state.published.prepare)
        yield
        app.state.published.close()

    app = FastAPI(
        title="ECR audit",
        lifespan=lifespan,
        dependencies=login,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # It would redirect, even without a login, to the name in the Host header, and to http:// behind TLS.
        redirect_slashes=False,
    )
    begin(app, find)
    for router in ROUTERS:
        app.include_router(router)
    for route in app.routes:
        # As Starlette's own routes have it; FastAPI's answer GET alone (RFC 9110: HEAD is among what servers support).
        if isinstance(route, APIRoute) and "GET" in route.methods:
            route.methods.add("HEAD")
    app.add_middleware(SecurityHeaders)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(Busy, _busy)
    app.add_exception_handler(TooSlow, _too_slow)
    app.add_exception_handler(duckdb.Error, _unreadable)
    app.add_exception_handler(Exception, _broken)
    return app


def begin(app: FastAPI, find: Callable[[], Published]) -> None:
    """Give the application the state of one without a request so far: nothing is open, all turns are free."""
    app.state.spool = Spool()
    app.state.published = NewestPublication(find, app.state.spool.folder)
    app.state.page_turns = Turns(*PAGE_TURNS)
    app.state.download_turns = Turns(*DOWNLOAD_TURNS)


_REFUSALS = {
    401: ("You are not logged in", "Log in to Airflow, then open this page again."),
    403: (
        "You may not see this page",
        "These pages require permission to see Airflow's plugins. Ask your Airflow administrator.",
    ),
    404: ("Page not found", "Its subject may have been deleted since. Search for it from the overview."),
}


def _refused(request: Request, fault: Any) -> Response:
    phrase = HTTPStatus(fault.status_code).phrase
    title, what_to_do = _REFUSALS.get(fault.status_code, (phrase, phrase))
    message = what_to_do if fault.detail == phrase or fault.status_code in (401, 403) else str(fault.detail)
    login = ""
    if fault.status_code == 401:
        # The login returns to what was asked for.
        query = request.url.query
        login = urls_of(request).login(f"{request.url.path}{'?' if query else ''}{query}")
    return _problem(request, fault.status_code, title, message, fault.headers, login)


def _misunderstood(request: Request, fault: Any) -> Response:
    """Name each parameter, its value (shortened) and the valid values."""
    faults = [
        f"{'.'.join(map(str, each['loc'][1:])):.100}: {str(each.get('input'))!r:.100}. {each['msg']}"
        for each in fault.errors()
    ]
    return _problem(request, 422, "Invalid parameter", "; ".join(faults)[:2000])


def _unavailable(request: Request, fault: Exception) -> Response:
    """The details go to the log only: they name folders and settings, which not every reader may see."""
    log.error("No publication can be shown: %s", fault)
    if isinstance(fault, NothingPublished):
        title = "Nothing has been published yet"
        what_to_do = (
            "The DAG ecr_inventory reads the organization every night, and ecr_compliance publishes the results. Run"
            " ecr_inventory now, or wait for the night. If it has already run, the web server reads another folder"
            " than the one published to: ECR_AUDIT_DATA must be the same for both."
        )
    elif isinstance(fault, Misconfigured):
        title = "A setting of the audit is invalid"
        what_to_do = (
            "The log of the web server names it. Fix it in the environment of the web server, then restart the server;"
            " make doctor checks all settings."
        )
    else:
        title = "The publication cannot be read"
        what_to_do = "See the log of the web server for the reason. Running ecr_compliance again usually fixes it."
    return _problem(request, 503, title, what_to_do)


def _busy(request: Request, fault: Any) -> Response:
    what_to_do = f"{fault} Try again in a moment."
    return _problem(request, 503, "The pages are busy", what_to_do, {"Retry-After": str(fault.retry_after)})


def _too_slow(request: Request, fault: Exception) -> Response:
    log.warning("A query was stopped after %s: %r", fault, request.url.path)
    what_to_do = (
        f"The query was stopped after {fault}, since the server is shared. Narrow it with a filter; or"
        " query the published file itself, as docs/analysts.md shows."
    )
    return _problem(request, 503, "The query took too long", what_to_do)


def _unreadable(request: Request, fault: Exception) -> Response:
    """A query failed on a file that could be opened: damaged, made by another version, or too little memory."""
    log.error("A query on the published file failed", exc_info=fault)
    return _unavailable(request, Unreadable("a query failed"))


def _broken(request: Request, fault: Exception) -> Response:
    """Starlette logs the fault itself; this answer is made outside the middleware, so it brings its headers."""
    headers = SECURITY_HEADERS | {"Cache-Control": NOT_KEPT}
    return _problem(request, 500, "Internal error", "See the log of the web server for details.", headers)


def _problem(
    request: Request,
    status: int,
    title: str,
    what_to_do: str,
    headers: Any = None,
    login: str = "",
) -> Response:
    """An error page with advice, and a link to the login if that is what is missing; for the API, the same as JSON."""
    if request.url.path.removeprefix(request.scope.get("root_path", "")).startswith("/api/"):
        body = {"title": title, "status": status, "detail": what_to_do}
        answer: Response = JSONResponse(body, status, media_type="application/problem+json")
    else:
        answer = render(request, "problem.html", status=status, title=title, what_to_do=what_to_do, login=login)
    answer.headers.update(headers or {})
    return answer
