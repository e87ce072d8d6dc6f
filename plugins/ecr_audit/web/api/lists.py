"""Answers of lists: filters that are checked, a page as JSON or all of it as NDJSON, from one publication."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from fastapi import HTTPException
from pydantic import BaseModel, ValidationError

from ecr_audit.web.api import asked as parameters
from ecr_audit.web.api import ndjson, records
from ecr_audit.web.api.asked import Asked
from ecr_audit.web.findings_query import must_exist, unit_path, unknown_name
from ecr_audit.web.page import Page
from ecr_audit.web.policy_choice import choose_policy
from ecr_audit.web.published import Row, Unreadable
from ecr_audit.web.spool import SpooledFile

Item = TypeVar("Item", bound=records.Record)
Model = TypeVar("Model", bound=BaseModel)

# Response of a list: a page of it as JSON, or all of it as NDJSON.
Listed: TypeAlias = BaseModel | SpooledFile


def policy_id_of(page: Page, policy: str | None) -> str:
    """The id of the policy that is asked for; without one, the first's. Refuses an unknown one."""
    must_exist(page, "policy", policy)
    return choose_policy(page, policy).policy_id


def require_version(page: Page, asked: Asked) -> None:
    """Raise HTTPException 410 unless the publication is the one that earlier pages were read from."""
    if asked.version not in (None, page.publication.version):
        raise HTTPException(
            410,
            f"version: {asked.version!r:.120} has been replaced by {page.publication.version}. Start again with"
            " the first page, without version.",
        )


def filters_of(page: Page, asked: Asked) -> dict[str, Any]:
    """Parameters for the query of a list, without paging and sorting: names validated, the policy resolved."""
    require_version(page, asked)
    others = type(asked).model_fields.keys() - Asked.model_fields.keys() - {"sort"}
    given = {name: getattr(asked, name) for name in others}
    if "ou" in given:
        given["ou"] = unit_path(page, given["ou"])
    if given.get("scope_type") == "ou":
        given["scope_id"] = unit_path(page, given["scope_id"])
    for name in ("ou", "account", "region", "owner", "framework"):
        must_exist(page, name, given.get(name))
    if scope_id := given.get("scope_id"):
        _require_scope(page, given["scope_type"], scope_id)
    if "policy" in given:
        given["policy"] = policy_id_of(page, given["policy"])
    return {name: str(value) if isinstance(value, StrEnum) else value for name, value in given.items()}


def _require_scope(page: Page, scope_type: str, scope_id: str) -> None:
    """Like `must_exist`, for a scope of any night, which may no longer exist."""
    nearest = [row["scope_id"] for row in page.rows("api/nearest_scopes", scope_type=scope_type, scope_id=scope_id)]
    if scope_id not in nearest[:1]:
        raise unknown_name("scope_id", scope_id, nearest)


def list_of(page: Page, query: str, record: type[Item], asked: Asked) -> Listed:
    """The answer of a list whose filters are the parameters of its query."""
    given = filters_of(page, asked)
    if ndjson.is_asked(page.request):
        return ndjson.send_whole(page, record, query, given)
    if isinstance(asked, parameters.OwnersAsked):
        given["sort"] = asked.sort
    count = page.publication.count(query, **given)
    rows = page.publication.part(query, asked.size, (asked.page - 1) * asked.size, **given)
    return part_of(page, record, asked, count, rows)


def part_of(page: Page, record: type[Item], asked: Asked, count: int, rows: list[Row]) -> records.Part[Item]:
    """A page of a list. Pages after the last are empty, so that a script that counts up terminates."""
    pages = max(1, -(-count // asked.size))
    path = page.request.url.path.removeprefix(page.urls.root)
    others = asked.model_dump(mode="json", exclude_defaults=True, exclude={"page", "version"})
    following = others | {"page": asked.page + 1, "version": page.publication.version}
    return read(
        records.Part[record],  # type: ignore[valid-type]  # a model made at run time
        {
            "snapshot_date": page.publication.snapshot_date,
            "version": page.publication.version,
            "count": count,
            "page": asked.page,
            "pages": pages,
            "next": page.urls.to(path, following) if asked.page < pages else None,
            "items": rows,
        },
    )


def read(model: type[Model], row: Any) -> Model:
    """A model of published rows. Raises Unreadable for rows that another version of the audit published differently."""
    try:
        return model.model_validate(row)
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Unreadable(f"Published by another version of the audit: {where}: {first['msg']}") from fault
