"""The application: its pages in one list, its login on all of them, and what is shown when something is wrong."""

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
from starlette.exceptions import HTTPException

from ecr_audit.publication import Published
from ecr_audit.web import static_files
from ecr_audit.web.api.document import documents
from ecr_audit.web.api.routes import router as api
from ecr_audit.web.headers import NOT_KEPT, SECURITY_HEADERS, SecurityHeaders
from ecr_audit.web.page import render
from ecr_audit.web.pages import (
    account,
    coverage,
    findings,
    framework,
    organization,
    overview,
    policy,
    repository,
    section,
)
from ecr_audit.web.published import Misconfigured, NewestPublication, NothingPublished, Unavailable, Unreadable

log = logging.getLogger(__name__)

# Every page. Add one by a module of pages/ and a line here.
ROUTERS = (
    overview.router,
    findings.router,
    repository.router,
    organization.router,
    account.router,
    coverage.router,
    policy.router,
    framework.router,
    section.router,
    api,
    documents,
    static_files.router,
)


def create_app(find: Callable[[], Published], login: Sequence[Depends]) -> FastAPI:
    """The application, to be mounted at `urls.PREFIX`.

    `find` names the newest publication (`ecr_audit.publication.newest`); it is asked once for each request.
    `login` are dependencies that refuse whoever may not see the pages. They hold for every route: also for the style
    sheet, and for the OpenAPI document, which FastAPI's own routes would show to anybody.
    """
    published = NewestPublication(find)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(published.prepare)
        yield
        published.close()

    app = FastAPI(
        title="ECR audit",
        lifespan=lifespan,
        dependencies=login,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # It would lead whoever asks, also without a login, to the name in the Host header, and by http:// behind TLS.
        redirect_slashes=False,
    )
    app.state.published = published
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(SecurityHeaders)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(duckdb.Error, _unreadable)
    app.add_exception_handler(Exception, _broken)
    return app


_REFUSALS = {
    401: ("You are not logged in", "Log in to Airflow, then open this page again."),
    403: (
        "You may not see this",
        "These pages are for who may see Airflow's plugins. Ask Airflow's administrator.",
    ),
    404: ("There is no such page", "What it was about may be gone since. Look for it from the overview."),
}


def _refused(request: Request, fault: Any) -> Response:
    phrase = HTTPStatus(fault.status_code).phrase
    title, what_to_do = _REFUSALS.get(fault.status_code, (phrase, phrase))
    told = what_to_do if fault.detail == phrase or fault.status_code in (401, 403) else str(fault.detail)
    return _problem(request, fault.status_code, title, told, fault.headers)


def _misunderstood(request: Request, fault: Any) -> Response:
    """Names each parameter, its value (shortened, it may be anything), and what is valid."""
    told = [
        f"{'.'.join(map(str, each['loc'][1:])):.100}: {str(each.get('input'))!r:.100}. {each['msg']}"
        for each in fault.errors()
    ]
    return _problem(request, 422, "The address says something that is not understood", "; ".join(told)[:2000])


def _unavailable(request: Request, fault: Exception) -> Response:
    if isinstance(fault, NothingPublished):
        title = "Nothing has been published yet"
        what_to_do = (
            "The DAG ecr_inventory reads the organization every night, and ecr_compliance publishes what it found. Run"
            " ecr_inventory now, or wait for the night. If it has run already, the web server reads another folder"
            " than the one that was published into: ECR_AUDIT_DATA has to be the same for both."
        )
    elif isinstance(fault, Misconfigured):
        log.error("The settings of the web server are wrong: %s", fault)
        title = "A setting of the audit is wrong"
        what_to_do = (
            "Correct it in the environment of the web server, then restart that. The details below name what is wrong;"
            " make doctor checks all settings."
        )
    else:
        log.error("The published file cannot be read: %s", fault)
        title = "What was published cannot be read"
        what_to_do = (
            "Run ecr_compliance again, which publishes anew. If that does not help, the details below and the log of"
            " the web server say what is wrong."
        )
    return _problem(request, 503, title, what_to_do, details=str(fault))


def _unreadable(request: Request, fault: Exception) -> Response:
    """A query failed on a file that could be opened: damaged, made by another version, or too little memory."""
    log.error("A query on the published file failed", exc_info=fault)
    return _unavailable(request, Unreadable(str(fault).splitlines()[0]))


def _broken(request: Request, fault: Exception) -> Response:
    """Starlette logs the fault itself; this answer is made outside the middleware, so it brings its headers."""
    headers = SECURITY_HEADERS | {"Cache-Control": NOT_KEPT}
    return _problem(request, 500, "This page broke", "The log of the web server says where.", headers)


def _problem(
    request: Request,
    status: int,
    title: str,
    what_to_do: str,
    headers: Any = None,
    details: str = "",
) -> Response:
    """A page that says what is wrong and what to do; for programs, the same as JSON."""
    if request.url.path.removeprefix(request.scope.get("root_path", "")).startswith("/api/"):
        body = {"title": title, "status": status, "detail": " ".join(filter(None, (what_to_do, details)))}
        answer: Response = JSONResponse(body, status, media_type="application/problem+json")
    else:
        answer = render(request, "problem.html", status=status, title=title, what_to_do=what_to_do, details=details)
    answer.headers.update(headers or {})
    return answer
