"""The organization: its units as a tree, each with its compliance, and the accounts in one of them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from ecr_audit.web.findings_query import unit_path
from ecr_audit.web.page import PageDep
from ecr_audit.web.paging import PageQuery, SearchQuery, paging
from ecr_audit.web.policy_choice import PolicyQuery, choose_policy

router = APIRouter(include_in_schema=False)

ACCOUNTS_A_PAGE = 50

SORTS = {
    "findings": "most incompliant",
    "compliance": "lowest compliance",
    "coverage": "lowest coverage",
    "name": "name",
}

UnitQuery = Annotated[
    str, Query(max_length=1000, description="Path of a unit, such as Root/Prod, or its id; empty: all of them.")
]


@router.get("/organization", response_class=HTMLResponse)
def organization(
    page: PageDep,
    policy: PolicyQuery = None,
    ou: UnitQuery = "",
    search: SearchQuery = "",
    sort: Literal["findings", "compliance", "coverage", "name"] = "findings",
    page_number: Annotated[PageQuery, Query(alias="page")] = 1,
) -> HTMLResponse:
    """The tree, and the accounts of a unit."""
    choice = choose_policy(page, policy)
    ou = unit_path(page, ou) or ""
    given = {"policy_id": choice.policy_id, "ou": ou, "search": search}
    count = page.rows("organization/count", **given)[0]["accounts"]
    part = paging(count, page_number, ACCOUNTS_A_PAGE)
    return page.render(
        "organization.html",
        choice=choice,
        units=page.rows("organization/units", policy_id=choice.policy_id),
        accounts=page.rows("organization/accounts", **given, sort=sort, size=part.size, offset=part.offset),
        paging=part,
        query={"policy": choice.in_query, "ou": ou, "search": search, "sort": None if sort == "findings" else sort},
        sorts=SORTS,
        sort=sort,
    )
