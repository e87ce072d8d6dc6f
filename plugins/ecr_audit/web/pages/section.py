"""A framework section: its result over time and by unit, the policies that decide it, and their oldest findings."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from ecr_audit.web.charts import compliance_trend
from ecr_audit.web.page import PageDep

router = APIRouter(include_in_schema=False)

FINDINGS_SHOWN = 12


@router.get("/sections/{path:path}", response_class=HTMLResponse)
def section(page: PageDep, path: str) -> HTMLResponse:
    """The page of a section: /frameworks/nist-sp-800-53-r5/cm/02 is at /sections/nist-sp-800-53-r5/cm/02."""
    of_section = {"section_id": f"/frameworks/{path}"}
    found = page.row("section/section", **of_section)
    if found is None:
        raise HTTPException(404)
    held = page.rows("section/policies", **of_section)
    policies = {row["policy_id"]: row for row in held}
    return page.render(
        "section.html",
        section=found,
        below=page.rows("sections_below", framework_id=found["framework_id"], **of_section),
        held=held,
        policies=list(policies.values()),
        unevaluated=page.row("unevaluated", policy_ids=sorted(policies)),
        units=page.rows("section/units", **of_section),
        trend=compliance_trend(page.rows("section/trend", **of_section)),
        findings=page.rows("section/findings", policy_ids=sorted(policies), shown=FINDINGS_SHOWN),
    )
