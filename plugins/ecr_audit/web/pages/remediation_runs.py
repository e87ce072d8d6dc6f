"""Remediation plans that people were asked to approve: who answered what, and how each change ended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse

from ecr_audit.publish.csv_files import write_csv
from ecr_audit.remediation.outcomes import ActionOutcome
from ecr_audit.web.page import DownloadDep, Page, PageDep
from ecr_audit.web.paging import PageQuery, paging
from ecr_audit.web.published import DOWNLOAD_SECONDS, Row, statement
from ecr_audit.web.spool import SpooledFile

router = APIRouter(include_in_schema=False)

RUNS_A_PAGE = 50
ACTIONS_A_PAGE = 100

OutcomeQuery = Annotated[ActionOutcome | None, Query(description="How the change ended.")]


@router.get("/remediation/runs", response_class=HTMLResponse)
def runs(page: PageDep, page_number: Annotated[PageQuery, Query(alias="page")] = 1) -> HTMLResponse:
    """All plans that were put to a person, the newest first."""
    part = paging(page.publication.count("remediation/runs", plan_id=None), page_number, RUNS_A_PAGE)
    found = page.publication.part("remediation/runs", part.size, part.offset, plan_id=None)
    return page.render("remediation_runs.html", runs=found, paging=part)


@router.get("/remediation/runs/{plan_id}.csv", response_class=SpooledFile)
def as_csv(page: DownloadDep, plan_id: str, outcome: OutcomeQuery = None) -> SpooledFile:
    """How the changes of a plan ended, with all columns of the published table."""
    _run(page, plan_id)
    given = {"plan_id": plan_id, "outcome": outcome and outcome.value}

    def make(path: Path) -> None:
        with page.publication.connection(DOWNLOAD_SECONDS) as database:
            write_csv(database, f"(\n{statement('remediation/actions_download')}\n)", path, given)

    return page.send(make, f"remediation-{plan_id[:12]}{f'-{outcome.value}' if outcome else ''}.csv")


@router.get("/remediation/runs/{plan_id}", response_class=HTMLResponse)
def run(
    page: PageDep,
    plan_id: str,
    outcome: OutcomeQuery = None,
    page_number: Annotated[PageQuery, Query(alias="page")] = 1,
) -> HTMLResponse:
    """A plan: its answer, how each of its changes ended, and how to take it back."""
    found = _run(page, plan_id)
    given = {"plan_id": plan_id, "outcome": outcome and outcome.value}
    part = paging(page.publication.count("remediation/actions", **given), page_number, ACTIONS_A_PAGE)
    return page.render(
        "remediation_run.html",
        run=found,
        done=any(each["outcome"] == ActionOutcome.DONE for each in found["outcomes"]),
        outcome=given["outcome"],
        actions=page.publication.part("remediation/actions", part.size, part.offset, **given),
        paging=part,
    )


def _run(page: Page, plan_id: str) -> Row:
    found = page.row("remediation/runs", plan_id=plan_id)
    if found is None:
        raise HTTPException(404)
    return found
