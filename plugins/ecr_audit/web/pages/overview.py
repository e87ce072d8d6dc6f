"""The overview: tonight's compliance and coverage, changes, and where to begin."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from ecr_audit.publish.unread_values import nothing_changed
from ecr_audit.web.charts import compliance_trend
from ecr_audit.web.page import PageDep
from ecr_audit.web.policy_choice import PolicyQuery, choose_policy
from ecr_audit.web.published import Row

router = APIRouter(include_in_schema=False)

# Rows of each list; the rest is behind its link.
SHOWN = 8


@router.get("/", response_class=HTMLResponse)
def overview(page: PageDep, policy: PolicyQuery = None) -> HTMLResponse:
    """The first page."""
    chosen = choose_policy(page, policy)
    of_policy = {"policy_id": chosen.policy_id}
    nights = page.rows("trend", **of_policy)
    unread = page.unread()
    return page.render(
        "overview.html",
        choice=chosen,
        tonight=nights[-1] if nights else None,
        earlier=_a_month_before(nights),
        trend=compliance_trend(nights),
        outcomes=page.rows("overview/outcomes"),
        unseen=page.row("overview/unseen"),
        unevaluated=page.row("unevaluated", policy_ids=[chosen.policy_id]),
        unread=unread,
        unread_facets=page.unread_facets(),
        missing_exports=page.publication.missing_exports,
        nothing_changed=nothing_changed(nights[-1]["coverage_percent"] if nights else None, unread),
        changes=_by_kind(page.rows("overview/changes", **of_policy)),
        sections=page.rows("linked_sections", **of_policy),
        units=page.rows("overview/units", **of_policy, shown=SHOWN),
        accounts=page.rows("overview/accounts", **of_policy, shown=SHOWN),
        owners=page.rows("overview/owners", **of_policy, shown=SHOWN),
        oldest=page.rows("overview/oldest_findings", **of_policy, shown=SHOWN),
        overwritten=page.rows("overview/overwritten")[0],
        overwritten_tags=page.rows("overview/overwritten_tags", shown=SHOWN),
        waivers=page.rows("overview/waivers", **of_policy, shown=SHOWN),
    )


def _a_month_before(nights: list[Row]) -> Row | None:
    """The last night that is at least 30 days older than the newest."""
    if not nights:
        return None
    newest = nights[-1]["snapshot_date"]
    return next((night for night in reversed(nights) if (newest - night["snapshot_date"]).days >= 30), None)


def _by_kind(changes: list[Row]) -> dict[str, Any]:
    return {row["change"]: row["repositories"] for row in changes}
