"""Image tags that were overwritten, in all nights: filtered and paged; as a file."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from ecr_audit.publish.csv_files import write_csv
from ecr_audit.web.page import DownloadDep, Page, PageDep
from ecr_audit.web.paging import paging
from ecr_audit.web.published import DOWNLOAD_SECONDS, Row, statement
from ecr_audit.web.spool import SpooledFile
from ecr_audit.web.tag_moves_query import TagMovesFilter, TagMovesQuery

router = APIRouter(include_in_schema=False)

MOVES_A_PAGE = 50


@router.get("/tag-moves", response_class=HTMLResponse)
def tag_moves(page: PageDep, query: Annotated[TagMovesQuery, Query()]) -> HTMLResponse:
    """The page. Its address holds all of its state."""
    given = query.parameters(page)
    counts = page.rows("tag_moves/count", **given)[0]
    part = paging(counts["moves"], query.page, MOVES_A_PAGE)
    in_query = {name: value for name, value in query.in_query().items() if name != "page"}
    return page.render(
        "tag_moves.html",
        counts=counts,
        moves=page.rows("tag_moves/tag_moves", **given, size=part.size, offset=part.offset),
        paging=part,
        query=query,
        in_query=in_query,
        chosen_unit=given["ou"],
        choices=_choices(page),
    )


@router.get("/tag-moves.csv", response_class=SpooledFile)
def as_csv(page: DownloadDep, query: Annotated[TagMovesFilter, Query()]) -> SpooledFile:
    """All overwrites that match the filter, in the order of the published table."""
    given = query.parameters(page)
    moves = page.rows("tag_moves/count", **given)[0]["moves"]
    by = "-".join(("by", *query.in_query(), "")) if query.in_query() else ""

    def make(path: Path) -> None:
        with page.publication.connection(DOWNLOAD_SECONDS) as database:
            write_csv(database, f"(\n{statement('tag_moves/download')}\n)", path, given)

    return page.send(make, f"tag-moves-{page.publication.snapshot_date:%Y-%m-%d}-{by}{moves}.csv")


def _choices(page: Page) -> dict[str, list[Row]]:
    choices = defaultdict(list)
    for row in page.rows("tag_moves/choices"):
        choices[row["kind"]].append(row)
    return choices
