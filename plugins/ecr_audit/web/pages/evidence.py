"""Evidence: the nights that are sealed and signed, gaps, the head to compare, and the last verification."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from ecr_audit.web.page import PageDep
from ecr_audit.web.paging import PageQuery, paging

router = APIRouter(include_in_schema=False)

NIGHTS_A_PAGE = 100


@router.get("/evidence", response_class=HTMLResponse)
def evidence(page: PageDep, page_number: Annotated[PageQuery, Query(alias="page")] = 1) -> HTMLResponse:
    """The log as it was when this publication was made. Whether it is as it was sealed, `make verify` finds out."""
    publication = page.row("api/publication") or {}
    # Files of older versions know no evidence.
    if "evidence_head" not in publication:
        return page.render("evidence.html", publication=None)
    counts = page.rows("evidence/counts")[0]
    part = paging(counts["nights"], page_number, NIGHTS_A_PAGE)
    return page.render(
        "evidence.html",
        publication=publication,
        counts=counts,
        nights=page.rows("evidence/nights", size=part.size, offset=part.offset),
        paging=part,
    )
