"""An account: the outcome of each of its regions, its repositories, their tags that moved, and its changes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse

from ecr_audit.aws.advice import distinct_advice
from ecr_audit.aws.outcomes import UNREAD
from ecr_audit.web.charts import compliance_trend
from ecr_audit.web.page import PageDep
from ecr_audit.web.paging import PageQuery, paging
from ecr_audit.web.policy_choice import PolicyQuery, choose_policy

router = APIRouter(include_in_schema=False)

REPOSITORIES_A_PAGE = 50

CHANGES_SHOWN = 50

# Repositories with tags that were overwritten; the rest is behind their link.
MOVING_SHOWN = 8


@router.get("/accounts/{account_id}", response_class=HTMLResponse)
def account(
    page: PageDep,
    account_id: str,
    policy: PolicyQuery = None,
    page_number: Annotated[PageQuery, Query(alias="page")] = 1,
) -> HTMLResponse:
    """The page of an account."""
    found = page.row("account/account", account_id=account_id)
    if found is None:
        raise HTTPException(404)
    choice = choose_policy(page, policy)
    given = {"policy_id": choice.policy_id, "account_id": account_id}
    part = paging(page.rows("account/count", **given)[0]["repositories"], page_number, REPOSITORIES_A_PAGE)
    regions = page.rows("account/regions", **given)
    return page.render(
        "account.html",
        account=found,
        unread=page.unread(account_id),
        choice=choice,
        policies=page.rows("account/policies", account_id=account_id),
        regions=regions,
        advice=distinct_advice(
            (each["outcome"], each["error_code"], each["error_message"])
            for each in regions
            if each["outcome"] in UNREAD
        ),
        repositories=page.rows("account/repositories", **given, size=part.size, offset=part.offset),
        paging=part,
        image_tags=page.rows("account/image_tags", account_id=account_id)[0],
        moving=page.rows("account/moving_repositories", account_id=account_id, shown=MOVING_SHOWN),
        history=page.rows("account/history", account_id=account_id),
        trend=compliance_trend(page.rows("account/trend", **given)),
        changes=page.rows("account/changes", **given, shown=CHANGES_SHOWN),
        changes_shown=CHANGES_SHOWN,
    )
