"""A repository: its setting, which of its tags can be overwritten and which were, verdicts, remediation, history."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from ecr_audit.web.aws_console import repository_address
from ecr_audit.web.image_tags import image_tags_of
from ecr_audit.web.page import Page, PageDep
from ecr_audit.web.published import Row

router = APIRouter(include_in_schema=False)

TagQuery = Annotated[str | None, Query(max_length=1000, description="Image tag whose history is shown.")]


@dataclass(frozen=True)
class Stretch:
    """A period of incompliance on a strip of 1000 units, from the first such day to tonight; open: no end."""

    x: float
    width: float
    started: date
    started_known: bool
    ended: date | None
    days: int


@router.get("/repositories/{repository_arn:path}", response_class=HTMLResponse)
def repository(page: PageDep, repository_arn: str, tag: TagQuery = None) -> Response:
    """The page of a repository, also of a deleted one as long as its history is known."""
    _, _, _, region, account_id, resource = [*repository_arn.split(":", 5), *[""] * 6][:6]
    if resource == "registry":
        return RedirectResponse(page.urls.registry(account_id, region))
    found = page.row("repository/repository", arn=repository_arn)
    evaluated = verdicts_on(page, repository_arn)
    image_tags = image_tags_of(page, repository_arn, tag)
    actions = page.rows("repository/actions", arn=repository_arn)
    if not (found or evaluated["verdicts"] or evaluated["events"] or image_tags.moved or actions):
        raise HTTPException(404)
    return page.render(
        "repository.html",
        arn=repository_arn,
        name=resource.removeprefix("repository/"),
        account_id=account_id,
        account=page.row("account/account", account_id=account_id),
        region=region,
        has_registry=page.row("registry/arn", account_id=account_id, region=region) is not None,
        repository=found,
        console=repository_address(repository_arn),
        image_tags=image_tags,
        planned=page.rows("repository/planned", arn=repository_arn),
        actions=actions,
        raw=as_texts(found),
        raw_image_tags=as_texts(image_tags.read),
        **evaluated,
    )


def verdicts_on(page: Page, object_id: str) -> dict[str, Any]:
    """The values for _verdicts.html: the verdicts on a repository or registry, and its history by policy."""
    events, stretches = defaultdict(list), defaultdict(list)
    for event in page.rows("repository/timeline", arn=object_id):
        events[event["policy_id"]].append(event)
    for stretch in page.rows("repository/stretches", arn=object_id):
        stretches[stretch["policy_id"]].append(stretch)
    return {
        "verdicts": page.rows("repository/verdicts", arn=object_id),
        "events": events,
        # Those of tonight: a policy that was removed has history, but no page.
        "policies": {policy["policy_id"] for policy in page.rows("policies")},
        "strips": {policy_id: strip(each, page.publication.snapshot_date) for policy_id, each in stretches.items()},
    }


def strip(stretches: list[Row], today: date) -> list[Stretch]:
    """The position of each stretch on the strip, in order. One that began today has the smallest visible width."""
    first = stretches[0]["started"]
    unit = 1000 / max((today - first).days, 1)
    return [
        Stretch(
            round((each["started"] - first).days * unit, 1),
            round(max(((each["ended"] or today) - each["started"]).days * unit, 6), 1),
            each["started"],
            each["started_known"],
            each["ended"],
            each["days"],
        )
        for each in stretches
    ]


def as_texts(row: Row | None) -> dict[str, str]:
    """The columns of a published row as texts; none without a row."""
    return {name: _as_text(value) for name, value in (row or {}).items()}


def _as_text(value: Any) -> str:
    """A cell of the raw row: text unchanged, times in ISO 8601, other values as JSON."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
