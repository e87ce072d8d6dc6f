"""Frameworks: the list, and each one as a tree of sections with the organization's compliance."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from ecr_audit.web.page import Page, PageDep
from ecr_audit.web.published import Row

router = APIRouter(include_in_schema=False)


@router.get("/frameworks", response_class=HTMLResponse)
def frameworks(page: PageDep) -> HTMLResponse:
    """All frameworks."""
    return page.render("frameworks.html", frameworks=page.rows("framework/list"))


@router.get("/frameworks/{name}", response_class=HTMLResponse)
def framework(page: PageDep, name: str) -> HTMLResponse:
    """The page of a framework, whose id is the whole path."""
    found = _found(page, name)
    framework_id = found["framework_id"]
    return page.render(
        "framework.html",
        framework=found,
        tree=page.rows("sections_below", framework_id=framework_id, section_id=None),
        is_read_strictly=bool(page.rows("framework/strict", framework_id=framework_id)),
    )


@router.get("/frameworks/{name}/strict", response_class=HTMLResponse)
def strict(page: PageDep, name: str) -> HTMLResponse:
    """Sections of a framework that would have another result by a stricter reading."""
    found = _found(page, name)
    readings = page.rows("framework/strict", framework_id=found["framework_id"])
    return page.render("strict.html", framework=found, readings=readings)


def _found(page: Page, name: str) -> Row:
    """The framework whose id ends with the name. Raises HTTPException 404."""
    framework_id = f"/frameworks/{name}"
    found = next((row for row in page.rows("framework/list") if row["framework_id"] == framework_id), None)
    if found is None:
        raise HTTPException(404)
    return found
