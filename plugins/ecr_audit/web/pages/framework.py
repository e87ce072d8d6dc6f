"""Frameworks: the list, and each one as a tree of sections with the organization's compliance."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from ecr_audit.web.page import PageDep

router = APIRouter(include_in_schema=False)


@router.get("/frameworks", response_class=HTMLResponse)
def frameworks(page: PageDep) -> HTMLResponse:
    """All frameworks."""
    return page.render("frameworks.html", frameworks=page.rows("framework/list"))


@router.get("/frameworks/{name}", response_class=HTMLResponse)
def framework(page: PageDep, name: str) -> HTMLResponse:
    """The page of a framework, whose id is the whole path."""
    framework_id = f"/frameworks/{name}"
    found = next((row for row in page.rows("framework/list") if row["framework_id"] == framework_id), None)
    if found is None:
        raise HTTPException(404)
    tree = page.rows("sections_below", framework_id=framework_id, section_id=None)
    return page.render("framework.html", framework=found, tree=tree)
