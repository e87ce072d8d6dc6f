"""A registry: what creates repositories in it by itself, the verdicts on it, the fix, and its history."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from ecr_audit.web.creation_template import root_template
from ecr_audit.web.page import PageDep
from ecr_audit.web.pages.repository import as_texts, verdicts_on

router = APIRouter(include_in_schema=False)


@router.get("/registries/{account_id}/{region}", response_class=HTMLResponse)
def registry(page: PageDep, account_id: str, region: str) -> HTMLResponse:
    """The page of a registry, also of one without repositories as long as its history is known."""
    known = page.row("registry/arn", account_id=account_id, region=region)
    if known is None:
        raise HTTPException(404)
    found = page.row("registry/registry", arn=known["arn"])
    return page.render(
        "registry.html",
        arn=known["arn"],
        account_id=account_id,
        account=page.row("account/account", account_id=account_id),
        region=region,
        registry=found,
        root_template=root_template(found["creation_templates"], region) if found else {},
        raw=as_texts(found),
        **verdicts_on(page, known["arn"]),
    )
