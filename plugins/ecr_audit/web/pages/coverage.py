"""Coverage: the outcome of each account and region, AWS's error, and what to do about it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from ecr_audit.aws.outcomes import Outcome
from ecr_audit.inventory.missing import LeftOut, Missing
from ecr_audit.web.page import PageDep
from ecr_audit.web.paging import PageQuery, SearchQuery, paging

router = APIRouter(include_in_schema=False)

# With up to some 30 regions, the most that a browser still renders quickly.
ACCOUNTS_A_PAGE = 50


@router.get("/coverage", response_class=HTMLResponse)
def coverage(
    page: PageDep,
    search: SearchQuery = "",
    outcome: Outcome | Literal[""] = "",
    page_number: Annotated[PageQuery, Query(alias="page")] = 1,
) -> HTMLResponse:
    """The matrix of accounts and regions, and the errors in it."""
    given = {"search": search, "outcome": str(outcome)}
    part = paging(page.rows("coverage/count", **given)[0]["accounts"], page_number, ACCOUNTS_A_PAGE)
    accounts = page.rows("coverage/accounts", **given, size=part.size, offset=part.offset)
    account_ids = [account["account_id"] for account in accounts]
    # Files of older versions do not have these accounts and regions.
    published = page.row("api/publication") or {}
    left_out = LeftOut(published.get("left_out_accounts") or (), published.get("left_out_regions") or ())
    targets = page.rows("coverage/targets", account_ids=account_ids)
    return page.render(
        "coverage.html",
        missing=Missing(published.get("missing_accounts") or (), published.get("missing_regions") or ()).sentences(),
        left_out=left_out,
        counts={row["outcome"]: row for row in page.rows("coverage/outcomes")},
        regions=[row["region"] for row in page.rows("coverage/regions")],
        accounts=accounts,
        unread=page.unread(),
        unread_facets=page.unread_facets(),
        unread_of_accounts=page.rows("coverage/unread_values", account_ids=account_ids),
        cells={(row["account_id"], row["region"]): row["outcome"] for row in targets},
        errors=page.rows("coverage/errors", account_ids=account_ids),
        paging=part,
        outcome=outcome,
        query=given,
    )
