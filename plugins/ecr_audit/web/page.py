"""The base of every page: the publication that it shows, its queries and its template."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ecr_audit.publish import unread_facets, unread_values
from ecr_audit.publish.freshness import nights_missed
from ecr_audit.web import static_files, words
from ecr_audit.web.navigation import navigation
from ecr_audit.web.published import PublishedDatabase, Row
from ecr_audit.web.spool import Spool, SpooledFile
from ecr_audit.web.urls import Urls

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

    def __init__(self, request: Request, publication: PublishedDatabase) -> None:
        self.request = request
        self.publication = publication
        self.urls = urls_of(request)

    def rows(self, query: str, **parameters: Any) -> list[Row]:
        """The rows of `sql/pages/<query>.sql`; see `PublishedDatabase.rows`."""
        return self.publication.rows(query, **parameters)

    def row(self, query: str, **parameters: Any) -> Row | None:
        """The first of those rows; None if there are no rows."""
        return next(iter(self.rows(query, **parameters)), None)

    def unread(self, account_id: str | None = None) -> list[str]:
        """Sentences on the values that could not be read for the night, in one account or anywhere."""
        return unread_values.sentences(self.rows(unread_values.QUERY, account_id=account_id))

    def unread_facets(self) -> list[str]:
        """Sentences on the policies that lack a facet that they read."""
        return unread_facets.sentences(self.rows(unread_facets.QUERY))

    @property
    def nights_missed(self) -> int:
        """Number of snapshots that are due but not in the publication."""
        return nights_missed(self.publication.snapshot_date, datetime.now(UTC))

    def send(self, make: Callable[[Path], None], filename: str, media_type: str | None = None) -> SpooledFile:
        """A file that is made first; see `Spool.send`."""
        spool: Spool = self.request.app.state.spool
        return spool.send(make, filename, media_type)

    def render(self, template: str, **context: Any) -> HTMLResponse:
        """The page: a template, which sees the context, `urls` and those below.

        `snapshot` is the row of sql/pages/snapshot.sql.
        """
        # Files of older versions have fewer columns.
        publication = self.row("api/publication") or {}
        image_tags_date = publication.get("image_tags_date")
        return render(
            self.request,
            template,
            snapshot=self.row("snapshot"),
            navigation=navigation(
                self.urls,
                self.request.url.path,
                with_tag_moves=image_tags_date is not None,
                with_evidence=bool(publication.get("evidence_head") or publication.get("evidence_error")),
            ),
            organization_id=publication.get("organization_id"),
            image_tags_date=image_tags_date,
            nights_missed=self.nights_missed,
            **context,
        )


async def _page_turn(request: Request) -> AsyncIterator[None]:
    async with request.app.state.page_turns.turn():
        yield


async def _download_turn(request: Request) -> AsyncIterator[None]:
    async with request.app.state.download_turns.turn():
        yield


# Both end when the response is complete and before it is sent, so that a slow receiver does not hold a turn.
_PageTurn = Annotated[None, Depends(_page_turn, scope="function")]
_DownloadTurn = Annotated[None, Depends(_download_turn, scope="function")]


def open_page(request: Request, _: _PageTurn) -> Iterator[Page]:
    """The dependency of every page: waits in the queue, then opens the publication until the response is complete."""
    with request.app.state.published.reading() as publication:
        yield Page(request, publication)


def open_download(request: Request, _: _DownloadTurn) -> Iterator[Page]:
    """The same for downloads, which take much longer than a page and so have their own queue."""
    with request.app.state.published.reading() as publication:
        yield Page(request, publication)


PageDep = Annotated[Page, Depends(open_page, scope="function")]
DownloadDep = Annotated[Page, Depends(open_download, scope="function")]


def urls_of(request: Request) -> Urls:
    """The addresses as the request's sender sees them."""
    return Urls(request.scope.get("root_path", ""), static_files.VERSION)


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A page from its template; without a `snapshot` one that needs no publication."""
    urls = urls_of(request)
    context = {"snapshot": None, "urls": urls, "navigation": navigation(urls, request.url.path), **context}
    return HTMLResponse(_TEMPLATES.get_template(template).render(context), status)
