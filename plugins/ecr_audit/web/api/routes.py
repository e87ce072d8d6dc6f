"""Routes of the API. Lists are paged, or whole as NDJSON; every response is from one publication."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias, TypeVar

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ValidationError

from ecr_audit.aws.outcomes import Outcome
from ecr_audit.web.api import asked as parameters
from ecr_audit.web.api import ndjson, records
from ecr_audit.web.api.asked import Asked
from ecr_audit.web.api.ndjson import ListDep
from ecr_audit.web.aws_console import repository_address
from ecr_audit.web.findings_query import must_exist, unit_path, unknown_name
from ecr_audit.web.page import Page, PageDep
from ecr_audit.web.policy_choice import PolicyQuery, choose_policy
from ecr_audit.web.published import Row, Unreadable
from ecr_audit.web.spool import SpooledFile

PREFIX = "/api/v1"

_PROBLEM = {"application/problem+json": {"schema": records.Problem.model_json_schema()}}

router = APIRouter(
    prefix=PREFIX,
    responses={
        404: {"description": "Not found.", "content": _PROBLEM},
        410: {"description": "The requested version is no longer published.", "content": _PROBLEM},
        422: {
            "description": "A parameter is invalid; `detail` names it and the valid values.",
            "content": _PROBLEM,
        },
        503: {"description": "Nothing is published yet, or it cannot be read.", "content": _PROBLEM},
    },
)

Item = TypeVar("Item", bound=records.Record)
Model = TypeVar("Model", bound=BaseModel)
Answer = TypeVar("Answer", bound=Callable[..., object])

# Response of a list: a page of it as JSON, or all of it as NDJSON.
Listed: TypeAlias = BaseModel | SpooledFile


def list_at(path: str, tag: str, record: type[records.Record]) -> Callable[[Answer], Answer]:
    """A route of a list, which the OpenAPI document describes in both formats."""
    return router.get(
        path,
        tags=[tag],
        response_model=records.Part[record],  # type: ignore[valid-type]  # a model made at run time
        responses={200: {"content": ndjson.content(record), "headers": ndjson.HEADERS}},
    )


@router.get("/publication", tags=["Publication"])
def publication(page: PageDep) -> records.CurrentPublication:
    """The publication: its night, missed nights since then, the versions and policies that it was made with."""
    row = page.row("api/publication") or {}
    now = {"nights_missed": page.nights_missed, "missing_exports": dict(page.publication.missing_exports)}
    return _read(records.CurrentPublication, row | now)


@router.get("/overview", tags=["Publication"])
def overview(page: PageDep, policy: PolicyQuery = None) -> records.Overview:
    """The figures of the overview: compliance, coverage and tonight's changes."""
    policy_id = _policy_id(page, policy)
    tonight = page.publication.part(
        "api/compliance", 1, 0, policy=policy_id, scope_type="organization", scope_id=None, since=None, until=None
    )
    return _read(
        records.Overview,
        {
            "snapshot_date": page.publication.snapshot_date,
            "nights_missed": page.nights_missed,
            "policy_id": policy_id,
            "tonight": tonight[0] if tonight else None,
            "changes": {
                row["change"]: row["repositories"] for row in page.rows("overview/changes", policy_id=policy_id)
            },
            "outcomes": {row["outcome"]: row["targets"] for row in page.rows("overview/outcomes")},
        }
        | (page.row("overview/unseen") or {}),
    )


@list_at("/findings", "Findings", records.Finding)
def findings(page: ListDep, asked: Annotated[parameters.FindingsAsked, Query()]) -> Listed:
    """Repositories that are incompliant, or were when last seen; the filters are those of the findings page."""
    _require_version(page, asked)
    given = asked.parameters(page)
    if ndjson.is_asked(page.request):
        return ndjson.send_whole(page, records.Finding, "findings/download", given)
    count = page.rows("findings/count", **given)[0]["findings"]
    rows = page.rows(
        "findings/findings", **given, sort=asked.sort, size=asked.size, offset=(asked.page - 1) * asked.size
    )
    return _part(page, records.Finding, asked, count, rows)


@list_at("/repositories", "Repositories", records.Repository)
def repositories(page: ListDep, asked: Annotated[parameters.RepositoriesAsked, Query()]) -> Listed:
    """All repositories, by account, region and name."""
    given = _filters(page, asked)
    if ndjson.is_asked(page.request):
        return ndjson.send_whole(page, records.Repository, "api/repositories_whole", given)
    count = page.publication.count("api/repositories_matching", **given)
    rows = page.rows("api/repositories", **given, page_size=asked.size, page_offset=(asked.page - 1) * asked.size)
    return _part(page, records.Repository, asked, count, rows)


@router.get("/repositories/{repository_arn:path}", tags=["Repositories"])
def repository(page: PageDep, repository_arn: str) -> records.RepositoryDetails:
    """A repository by its ARN: its setting, the verdicts on it, its history, its image tags."""
    found = page.row("repository/repository", arn=repository_arn)
    verdicts = page.rows("repository/verdicts", arn=repository_arn)
    history = page.rows("repository/timeline", arn=repository_arn)
    if not (found or verdicts or history):
        raise HTTPException(404, f"No repository has the ARN {repository_arn:.300}. /repositories lists those that do.")
    return _read(
        records.RepositoryDetails,
        {
            "repository": found,
            "verdicts": verdicts,
            "history": history,
            "image_tags": page.row("repository/image_tags", arn=repository_arn),
            "console": repository_address(repository_arn),
        },
    )


@list_at("/registries", "Repositories", records.Registry)
def registries(page: ListDep, asked: Annotated[parameters.RegistriesAsked, Query()]) -> Listed:
    """All registries, which are ECR in an account and region with repositories, by account and region."""
    return _list(page, "api/registries", records.Registry, asked)


@router.get("/registries/{account_id}/{region}", tags=["Repositories"])
def registry(page: PageDep, account_id: str, region: str) -> records.RegistryDetails:
    """A registry: what creates repositories in it by itself, the verdicts on it, its history."""
    known = page.row("registry/arn", account_id=account_id, region=region)
    if known is None:
        raise HTTPException(404, f"No registry is in {account_id:.100}/{region:.100}. /registries lists all.")
    return _read(
        records.RegistryDetails,
        {
            "registry": page.row("registry/registry", arn=known["arn"]),
            "verdicts": page.rows("repository/verdicts", arn=known["arn"]),
            "history": page.rows("repository/timeline", arn=known["arn"]),
        },
    )


@list_at("/tag-moves", "Image tags", records.TagMove)
def tag_moves(page: ListDep, asked: Annotated[parameters.TagMovesAsked, Query()]) -> Listed:
    """Image tags that were overwritten, the newest night first; the filters are those of the page *Tag moves*."""
    _require_version(page, asked)
    given = asked.parameters(page)
    if ndjson.is_asked(page.request):
        return ndjson.send_whole(page, records.TagMove, "tag_moves/download", given)
    count = page.rows("tag_moves/count", **given)[0]["moves"]
    rows = page.rows("tag_moves/tag_moves", **given, size=asked.size, offset=(asked.page - 1) * asked.size)
    return _part(page, records.TagMove, asked, count, rows)


@list_at("/image-tags", "Image tags", records.RepositoryImageTags)
def image_tags(page: ListDep, asked: Annotated[parameters.ImageTagsAsked, Query()]) -> Listed:
    """Repositories whose image tags are read: how, and what moved in 30 nights; by account, region and name."""
    return _list(page, "api/image_tags", records.RepositoryImageTags, asked)


@list_at("/ous", "Organization", records.Unit)
def ous(page: ListDep, asked: Annotated[parameters.UnitsAsked, Query()]) -> Listed:
    """Organizational units in the order of the tree; each counts those below it."""
    return _list(page, "api/ous", records.Unit, asked)


@list_at("/accounts", "Organization", records.Account)
def accounts(page: ListDep, asked: Annotated[parameters.AccountsAsked, Query()]) -> Listed:
    """Compliance of accounts under a policy."""
    return _list(page, "api/accounts", records.Account, asked)


@list_at("/owners", "Organization", records.Owner)
def owners(page: ListDep, asked: Annotated[parameters.OwnersAsked, Query()]) -> Listed:
    """Compliance under a policy by owner, and by account for repositories without an owner tag."""
    return _list(page, "api/owners", records.Owner, asked)


@list_at("/regions", "Organization", records.Region)
def regions(page: ListDep, asked: Annotated[parameters.RegionsAsked, Query()]) -> Listed:
    """Compliance of regions under a policy, by name."""
    return _list(page, "api/regions", records.Region, asked)


@list_at("/coverage", "Coverage", records.Coverage)
def coverage(page: ListDep, asked: Annotated[parameters.CoverageAsked, Query()]) -> Listed:
    """Coverage of each account."""
    return _list(page, "api/coverage", records.Coverage, asked)


@list_at("/targets", "Coverage", records.Target)
def targets(page: ListDep, asked: Annotated[parameters.TargetsAsked, Query()]) -> Listed:
    """Account-regions with the outcome of the scan and AWS's error."""
    return _list(page, "api/targets", records.Target, asked)


@list_at("/policies", "Policies and frameworks", records.Policy)
def policies(page: ListDep, asked: Annotated[Asked, Query()]) -> Listed:
    """The policies."""
    return _list(page, "api/policies", records.Policy, asked)


@list_at("/undetermined", "Policies and frameworks", records.UndeterminedReason)
def undetermined(page: ListDep, asked: Annotated[parameters.UndeterminedAsked, Query()]) -> Listed:
    """Why objects are undetermined under a policy, with their numbers."""
    return _list(page, "api/undetermined", records.UndeterminedReason, asked)


@list_at("/frameworks", "Policies and frameworks", records.Framework)
def frameworks(page: ListDep, asked: Annotated[Asked, Query()]) -> Listed:
    """The frameworks, by name."""
    return _list(page, "api/frameworks", records.Framework, asked)


@list_at("/sections", "Policies and frameworks", records.Section)
def sections(page: ListDep, asked: Annotated[parameters.SectionsAsked, Query()]) -> Listed:
    """Tonight's compliance of framework sections, for the organization, its units or its accounts."""
    return _list(page, "api/sections", records.Section, asked)


@list_at("/compliance", "History", records.DailyCompliance)
def compliance(page: ListDep, asked: Annotated[parameters.ComplianceAsked, Query()]) -> Listed:
    """Compliance of the organization, its units, accounts, owners or regions by night, the newest first."""
    return _list(page, "api/compliance", records.DailyCompliance, asked)


@list_at("/nights", "History", records.Night)
def nights(page: ListDep, asked: Annotated[Asked, Query()]) -> Listed:
    """The nights that were due, the newest first: whether each was audited, its coverage and its policies."""
    return _list(page, "api/nights", records.Night, asked)


@list_at("/history", "History", records.FindingHistory)
def history(page: ListDep, asked: Annotated[parameters.HistoryAsked, Query()]) -> Listed:
    """Incompliant stretches of repositories, ended or open, the newest first."""
    return _list(page, "api/history", records.FindingHistory, asked)


@list_at("/changes", "History", records.Change)
def changes(page: ListDep, asked: Annotated[parameters.ChangesAsked, Query()]) -> Listed:
    """Changes by night, the newest first."""
    return _list(page, "api/changes", records.Change, asked)


@list_at("/waivers", "Findings", records.Waiver)
def waivers(page: ListDep, asked: Annotated[Asked, Query()]) -> Listed:
    """Waivers, in the order in which they expire."""
    return _list(page, "api/waivers", records.Waiver, asked)


def _policy_id(page: Page, policy: str | None) -> str:
    must_exist(page, "policy", policy)
    return choose_policy(page, policy).policy_id


def _require_version(page: Page, asked: Asked) -> None:
    """Raise HTTPException 410 unless the publication is the one that earlier pages were read from."""
    if asked.version not in (None, page.publication.version):
        raise HTTPException(
            410,
            f"version: {asked.version!r:.120} is no longer published; {page.publication.version} is. Start again with"
            " the first page, without version.",
        )


def _filters(page: Page, asked: Asked) -> dict[str, Any]:
    """Parameters for the query of a list, without paging and sorting: names validated, the policy resolved."""
    _require_version(page, asked)
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
        given["policy"] = _policy_id(page, given["policy"])
    return {name: str(value) if isinstance(value, Outcome) else value for name, value in given.items()}


def _require_scope(page: Page, scope_type: str, scope_id: str) -> None:
    """Like `must_exist`, for a scope of any night, which may no longer exist."""
    nearest = [row["scope_id"] for row in page.rows("api/nearest_scopes", scope_type=scope_type, scope_id=scope_id)]
    if scope_id not in nearest[:1]:
        raise unknown_name("scope_id", scope_id, nearest)


def _list(page: Page, query: str, record: type[Item], asked: Asked) -> Listed:
    given = _filters(page, asked)
    if ndjson.is_asked(page.request):
        return ndjson.send_whole(page, record, query, given)
    if isinstance(asked, parameters.OwnersAsked):
        given["sort"] = asked.sort
    count = page.publication.count(query, **given)
    rows = page.publication.part(query, asked.size, (asked.page - 1) * asked.size, **given)
    return _part(page, record, asked, count, rows)


def _part(page: Page, record: type[Item], asked: Asked, count: int, rows: list[Row]) -> records.Part[Item]:
    """A page of a list. Pages after the last are empty, so that a script that counts up terminates."""
    pages = max(1, -(-count // asked.size))
    path = page.request.url.path.removeprefix(page.urls.root)
    others = asked.model_dump(mode="json", exclude_defaults=True, exclude={"page", "version"})
    following = others | {"page": asked.page + 1, "version": page.publication.version}
    return _read(
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


def _read(model: type[Model], row: Any) -> Model:
    """A model of published rows. Raises Unreadable for rows that another version of the audit published differently."""
    try:
        return model.model_validate(row)
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Unreadable(f"Published by another version of the audit: {where}: {first['msg']}") from fault
