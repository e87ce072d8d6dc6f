"""Policies: the list, and each one with its logic, remediation and description."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse, PlainTextResponse

from ecr_audit.catalog import Policy
from ecr_audit.vocabulary import ENGINE_CONDITIONS
from ecr_audit.web.charts import compliance_trend
from ecr_audit.web.markdown import to_html
from ecr_audit.web.page import Page, PageDep
from ecr_audit.web.policy_texts import find_policy
from ecr_audit.web.published import Row

router = APIRouter(include_in_schema=False)

# The files of a policy that are shown as they are, and the attribute that holds each.
FILES = {
    "description.md": "description_md",
    "remediation.md": "remediation_md",
    "logic.sql": "logic_sql",
    "policy.yaml": "policy_yaml",
}

# The parts of a policy's id in the breadcrumb: /ce/ca/aws/ecr/… is Compliance Engine, Cloudaware, AWS, ECR.
ID_WORDS = {"ce": "Compliance Engine", "ca": "Cloudaware", "aws": "AWS", "ecr": "ECR"}


@router.get("/policies", response_class=HTMLResponse)
def policies(page: PageDep) -> HTMLResponse:
    """All policies."""
    return page.render("policies.html", policies=page.rows("policy/list"), unread_facets=page.unread_facets())


@router.get("/policies/{path:path}/files/{name}", response_class=PlainTextResponse)
def file(
    page: PageDep, path: str, name: Literal["description.md", "remediation.md", "logic.sql", "policy.yaml"]
) -> PlainTextResponse:
    """A file of a policy, unchanged."""
    found = find_policy(page.publication, f"/{path}")
    if found is None:
        raise HTTPException(404)
    return PlainTextResponse(getattr(found, FILES[name]))


@router.get("/policies/{path:path}", response_class=HTMLResponse)
def policy(page: PageDep, path: str) -> HTMLResponse:
    """The page of a policy, whose id is the path."""
    policy_id = f"/{path}"
    found = page.row("policy/policy", policy_id=policy_id)
    if found is None:
        raise HTTPException(404)
    texts = find_policy(page.publication, policy_id)
    return page.render(
        "policy.html",
        policy=found,
        texts=texts,
        unevaluated=page.row("unevaluated", policy_ids=[policy_id]),
        trend=compliance_trend(page.rows("trend", policy_id=policy_id)),
        crumbs=[ID_WORDS.get(part, part) for part in path.split("/")[:-1]],
        description=to_html(texts.description_md, heading=3) if texts else None,
        remediation=to_html(texts.remediation_md, heading=3) if texts else None,
        conditions=_conditions(page, policy_id, texts),
        rules=page.rows("policy/rules", policy_id=policy_id),
        sections=page.rows("linked_sections", policy_id=policy_id),
    )


def _conditions(page: Page, policy_id: str, texts: Policy | None) -> list[dict[str, Any]]:
    """Each condition in words, in the order in which they are tried, with its number of repositories tonight.

    A condition that was used tonight but is no longer in the files has no words.
    """
    counted = {
        (row["condition_index"], row["status"]): row["repositories"]
        for row in page.rows("policy/conditions", policy_id=policy_id)
    }
    in_words: list[Row] = [asdict(condition) for condition in ENGINE_CONDITIONS]
    in_words += [condition.model_dump() for condition in texts.conditions] if texts else []
    known = {(each["index"], each["status"]) for each in in_words}
    in_words += [{"index": index, "status": status, "when": None} for index, status in sorted(counted.keys() - known)]
    return [each | {"repositories": counted.get((each["index"], each["status"]), 0)} for each in in_words]
