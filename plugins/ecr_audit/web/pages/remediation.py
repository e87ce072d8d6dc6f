"""The remediation plan: the setting that each repository can take, and the evidence; filtered, paged, as a file."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from ecr_audit.publish.csv_files import write_csv
from ecr_audit.web.findings_query import ALL_POLICIES
from ecr_audit.web.page import DownloadDep, Page, PageDep
from ecr_audit.web.paging import paging
from ecr_audit.web.policy_choice import choose_policy
from ecr_audit.web.published import DOWNLOAD_SECONDS, Row, statement
from ecr_audit.web.remediation_query import PlanFilter, PlanQuery
from ecr_audit.web.spool import SpooledFile

router = APIRouter(include_in_schema=False)

ROWS_A_PAGE = 50

# Tags that moved, of one repository; the page of tag moves has all.
MOVING_TAGS = 20


@router.get("/remediation", response_class=HTMLResponse)
def plan(page: PageDep, query: Annotated[PlanQuery, Query()]) -> HTMLResponse:
    """The page. Its address holds all of its state."""
    given = query.parameters(page)
    counts = page.rows("remediation/count", **given)[0]
    part = paging(counts["findings"], query.page, ROWS_A_PAGE)
    in_query = {name: value for name, value in query.in_query().items() if name != "page"}
    choices = _choices(page)
    all_policies = query.policy == ALL_POLICIES
    choice = choose_policy(page, None if all_policies else query.policy)
    planned = {row["value"] for row in choices["policy"]} | {choice.policy_id}
    return page.render(
        "remediation.html",
        choice=choice,
        all_policies=all_policies,
        policies=[policy for policy in choice.policies if policy["policy_id"] in planned],
        counts=counts,
        rules=page.rows("remediation/rules", **given),
        rows=page.rows("remediation/plan", **given, size=part.size, offset=part.offset),
        moving_tags=MOVING_TAGS,
        paging=part,
        query=query,
        in_query=in_query,
        filters={name: value for name, value in in_query.items() if name != "policy"},
        chosen_unit=given["ou"],
        choices=choices,
    )


@router.get("/remediation.csv", response_class=SpooledFile)
def as_csv(page: DownloadDep, query: Annotated[PlanFilter, Query()]) -> SpooledFile:
    """All rows that match the filter, in the order of the published table."""
    given = query.parameters(page)
    rows = page.rows("remediation/count", **given)[0]["findings"]
    by = "-".join(("by", *query.in_query(), "")) if query.in_query() else ""

    def make(path: Path) -> None:
        with page.publication.connection(DOWNLOAD_SECONDS) as database:
            write_csv(database, f"(\n{statement('remediation/download')}\n)", path, given)

    return page.send(make, f"remediation-plan-{page.publication.snapshot_date:%Y-%m-%d}-{by}{rows}.csv")


def _choices(page: Page) -> dict[str, list[Row]]:
    choices = defaultdict(list)
    for row in page.rows("remediation/choices"):
        choices[row["kind"]].append(row)
    return choices
