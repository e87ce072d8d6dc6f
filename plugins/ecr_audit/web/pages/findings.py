"""The findings: filtered, sorted and paged; as a file; with the commands that fix them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from ecr_audit.publish.csv_files import write_csv
from ecr_audit.publish.workbook import write_workbook
from ecr_audit.publish.workbook_cover import Excerpt
from ecr_audit.publish.workbook_sheets import FINDINGS_COLUMNS, FINDINGS_PRINTED, MAX_ROWS, Sheet
from ecr_audit.web.findings_query import ALL_POLICIES, DEFAULT_SORT, FindingsFilter, FindingsQuery
from ecr_audit.web.markdown import first_paragraph
from ecr_audit.web.page import DownloadDep, Page, PageDep
from ecr_audit.web.paging import paging
from ecr_audit.web.policy_choice import choose_policy
from ecr_audit.web.policy_texts import find_policy
from ecr_audit.web.published import DOWNLOAD_SECONDS, Row, statement
from ecr_audit.web.spool import SpooledFile

router = APIRouter(include_in_schema=False)

FINDINGS_A_PAGE = 50

# Files for people have the command that should be run, fix_command, and not the policy's; so has the workbook.
_DOWNLOAD = f"SELECT * EXCLUDE (remediation_command) FROM (\n{statement('findings/download')}\n)"

# Choices of the filter, in days.
AGES = (1, 7, 30, 90, 180, 365)


@router.get("/findings", response_class=HTMLResponse)
def findings(page: PageDep, query: Annotated[FindingsQuery, Query()]) -> HTMLResponse:
    """The page. Its address holds all of its state."""
    given = query.parameters(page)
    counts = page.rows("findings/count", **given)[0]
    part = paging(counts["findings"], query.page, FINDINGS_A_PAGE)
    found = page.rows("findings/findings", **given, sort=query.sort, size=part.size, offset=part.offset)
    choice = choose_policy(page, None if query.policy == ALL_POLICIES else query.policy)
    in_query = {name: value for name, value in query.in_query().items() if name != "page"}
    return page.render(
        "findings.html",
        choice=choice,
        severities={each["policy_id"]: each["severity"] for each in choice.policies},
        all_policies=query.policy == ALL_POLICIES,
        counts=counts,
        findings=found,
        commands=[row["fix_command"] for row in found if row["fix_command"]],
        warnings=_warnings(page, found),
        paging=part,
        query=query,
        in_query=in_query,
        filters={name: value for name, value in in_query.items() if name not in ("sort", "policy")},
        default_sort=DEFAULT_SORT,
        chosen_unit=given["ou"],
        choices=_choices(page, choice.policy_id),
        about_tags=page.rows("findings/about_tags", policy=given["policy"])[0]["about_tags"],
        ages=AGES,
        most_in_excel=MAX_ROWS,
    )


@router.get("/findings.csv", response_class=SpooledFile)
def as_csv(page: DownloadDep, query: Annotated[FindingsFilter, Query()]) -> SpooledFile:
    """All findings that match the filter, in the order of the table."""
    given = query.parameters(page)
    name = _file_name(page, query, _excerpt(page, query, given), "csv")

    def make(path: Path) -> None:
        with page.publication.connection(DOWNLOAD_SECONDS) as database:
            write_csv(database, f"({_DOWNLOAD})", path, given)

    return page.send(make, name)


@router.get("/findings.xlsx", response_class=SpooledFile)
def as_excel(page: DownloadDep, query: Annotated[FindingsFilter, Query()]) -> SpooledFile:
    """The findings that match the filter, up to MAX_ROWS; the sheet and its cover note it when there are more."""
    given = query.parameters(page)
    excerpt = _excerpt(page, query, given)
    columns = f"SELECT {FINDINGS_COLUMNS} FROM ({_DOWNLOAD})"
    sheet = Sheet("Findings", "findings", FINDINGS_PRINTED, "by policy, the oldest first", columns, given)

    def make(path: Path) -> None:
        with page.publication.connection(DOWNLOAD_SECONDS) as database:
            write_workbook(database, path, [sheet], excerpt)

    return page.send(make, _file_name(page, query, excerpt, "xlsx"))


def _excerpt(page: Page, query: FindingsFilter, given: dict[str, Any]) -> Excerpt:
    """The filter in words, the number of findings that match it, and their coverage."""
    nothing_else = dict.fromkeys(given) | {"policy": given["policy"]}
    scope = {name: given[name] for name in ("ou", "account", "region")}
    return Excerpt(
        filters={"Policy": given["policy"] or "all policies"} | query.in_words(),
        findings=page.rows("findings/count", **given)[0]["findings"],
        all_findings=page.rows("findings/count", **nothing_else)[0]["findings"],
        coverage_percent=page.rows("findings/coverage", **scope)[0]["coverage_percent"],
    )


def _warnings(page: Page, found: list[Row]) -> list[Row]:
    """Each policy that has commands among the findings, with the effects that its remediation begins with."""
    with_commands = sorted({row["policy_id"] for row in found if row["fix_command"]})
    texts = [find_policy(page.publication, policy_id) for policy_id in with_commands]
    return [{"policy": policy, "effects": first_paragraph(policy.remediation_md)} for policy in texts if policy]


def _choices(page: Page, policy_id: str) -> dict[str, list[Row]]:
    choices = defaultdict(list)
    for row in page.rows("findings/choices", policy_id=policy_id):
        choices[row["kind"]].append(row)
    return choices


def _file_name(page: Page, query: FindingsFilter, excerpt: Excerpt, kind: str) -> str:
    """The name shows that the file is a part: findings-2026-11-23-by-ou-age-391-of-610.csv."""
    filters = [name for name in query.in_query() if name in type(query).model_fields]
    by = "-".join(("by", *filters, "")) if filters else ""
    night = f"{page.publication.snapshot_date:%Y-%m-%d}"
    return f"findings-{night}-{by}{excerpt.findings}-of-{excerpt.all_findings}.{kind}"
