"""What every page has: the publication that it shows, the answers of its queries, and its template."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import duckdb
from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ecr_audit.freshness import nights_missed
from ecr_audit.unread_values import QUERY, sentences
from ecr_audit.web import static_files, words
from ecr_audit.web.navigation import navigation
from ecr_audit.web.published import Busy, Publication, Row
from ecr_audit.web.urls import Urls

T = TypeVar("T")

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= words.FILTERS
_TEMPLATES.globals |= words.GLOBALS


class Page:
    """One request for a page."""

    def __init__(self, request: Request, publication: Publication, until_sent: ExitStack) -> None:
        self.request = request
        self.publication = publication
        self.urls = urls_of(request)
        self._until_sent = until_sent

    def rows(self, query: str, **parameters: Any) -> list[Row]:
        """The rows of `sql/pages/<query>.sql`; see `Publication.rows`."""
        return self.publication.rows(query, **parameters)

    def row(self, query: str, **parameters: Any) -> Row | None:
        """The first of those rows; None when there is none."""
        return next(iter(self.rows(query, **parameters)), None)

    def unread(self, account_id: str | None = None) -> list[str]:
        """What could not be read for the night, of an account or anywhere, in sentences."""
        return sentences(self.rows(QUERY, account_id=account_id))

    @property
    def nights_missed(self) -> int:
        """How many snapshots are due by now that the publication does not show."""
        return nights_missed(self.publication.snapshot_date, datetime.now(UTC))

    def until_sent(self, resource: AbstractContextManager[T]) -> T:
        """Something that is closed when the answer has been sent, or could not be."""
        return self._until_sent.enter_context(resource)

    def download(self) -> duckdb.DuckDBPyConnection:
        """A connection until the answer is sent (`Publication.download`); HTTPException 503 when there are too many."""
        try:
            return self.until_sent(self.publication.download())
        except Busy as fault:
            raise HTTPException(503, f"{fault} Try again in a minute.", {"Retry-After": "60"}) from fault

    def render(self, template: str, **context: Any) -> HTMLResponse:
        """The page: a template, which sees the context, `urls` and `snapshot`, the row of sql/pages/snapshot.sql."""
        return render(
            self.request, template, snapshot=self.row("snapshot"), nights_missed=self.nights_missed, **context
        )


def open_page(request: Request) -> Iterator[Page]:
    """The dependency of every page. The publication stays open until the answer is sent."""
    with request.app.state.published.reading() as publication, ExitStack() as until_sent:
        yield Page(request, publication, until_sent)


PageDep = Annotated[Page, Depends(open_page)]


def urls_of(request: Request) -> Urls:
    """The addresses as the request's sender sees them."""
    return Urls(request.scope.get("root_path", ""), static_files.VERSION)


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A page from its template; without a `snapshot` one that needs no publication."""
    urls = urls_of(request)
    context = {"snapshot": None, "urls": urls, "navigation": navigation(urls, request.url.path), **context}
    return HTMLResponse(_TEMPLATES.get_template(template).render(context), status)
