"""Routes of the API. Lists are paged, or whole as NDJSON; every response is from one publication."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, HTTPException, Query

from ecr_audit.web.api import asked as parameters
from ecr_audit.web.api import ndjson, records
from ecr_audit.web.api.asked import Asked
from ecr_audit.web.api.lists import Listed, filters_of, list_of, part_of, policy_id_of, read, require_version
from ecr_audit.web.api.ndjson import ListDep
from ecr_audit.web.aws_console import repository_address
from ecr_audit.web.page import PageDep
from ecr_audit.web.policy_choice import PolicyQuery

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

Answer = TypeVar("Answer", bound=Callable[..., object])


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
    return read(records.CurrentPublication, row | now)


@router.get("/overview", tags=["Publication"])
def overview(page: PageDep, policy: PolicyQuery = None) -> records.Overview:
    """The figures of the overview: compliance, coverage and tonight's changes."""
    policy_id = policy_id_of(page, policy)
    tonight = page.publication.part(
        "api/compliance", 1, 0, policy=policy_id, scope_type="organization", scope_id=None, since=None, until=None
    )
    return read(
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
    require_version(page, asked)
    given = asked.parameters(page)
    if ndjson.is_asked(page.request):
        return ndjson.send_whole(page, records.Finding, "findings/download", given)
    count = page.rows("findings/count", **given)[0]["findings"]
    rows = page.rows(
        "findings/findings", **given, sort=asked.sort, size=asked.size, offset=(asked.page - 1) * asked.size
    )
    return part_of(page, records.Finding, asked, count, rows)


@list_at("/repositories", "Repositories", records.Repository)
def repositories(page: ListDep, asked: Annotated[parameters.RepositoriesAsked, Query()]) -> Listed:
    """All repositories, by account, region and name."""
    given = filters_of(page, asked)
    if ndjson.is_asked(page.request):
        return ndjson.send_whole(page, records.Repository, "api/repositories_whole", given)
    count = page.publication.count("api/repositories_matching", **given)
    rows = page.rows("api/repositories", **given, page_size=asked.size, page_offset=(asked.page - 1) * asked.size)
    return part_of(page, records.Repository, asked, count, rows)


@router.get("/repositories/{repository_arn:path}", tags=["Repositories"])
def repository(page: PageDep, repository_arn: str) -> records.RepositoryDetails:
    """A repository by its ARN: its setting, the verdicts on it, its history, its image tags."""
    found = page.row("repository/repository", arn=repository_arn)
    verdicts = page.rows("repository/verdicts", arn=repository_arn)
    history = page.rows("repository/timeline", arn=repository_arn)
    actions = page.rows("repository/actions", arn=repository_arn)
    if not (found or verdicts or history or actions):
        raise HTTPException(404, f"No repository has the ARN {repository_arn:.300}. /repositories lists those that do.")
    return read(
        records.RepositoryDetails,
        {
            "repository": found,
            "verdicts": verdicts,
            "history": history,
            "image_tags": page.row("repository/image_tags", arn=repository_arn),
            "remediation_plan": page.rows("repository/planned", arn=repository_arn),
            "remediation_actions": actions,
            "console": repository_address(repository_arn),
        },
    )


@list_at("/registries", "Repositories", records.Registry)
def registries(page: ListDep, asked: Annotated[parameters.RegistriesAsked, Query()]) -> Listed:
    """All registries, which are ECR in an account and region with repositories, by account and region."""
    return list_of(page, "api/registries", records.Registry, asked)


@router.get("/registries/{account_id}/{region}", tags=["Repositories"])
def registry(page: PageDep, account_id: str, region: str) -> records.RegistryDetails:
    """A registry: what creates repositories in it by itself, the verdicts on it, its history."""
    known = page.row("registry/arn", account_id=account_id, region=region)
    if known is None:
        raise HTTPException(404, f"No registry is in {account_id:.100}/{region:.100}. /registries lists all.")
    return read(
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
    require_version(page, asked)
    given = asked.parameters(page)
    if ndjson.is_asked(page.request):
        return ndjson.send_whole(page, records.TagMove, "tag_moves/download", given)
    count = page.rows("tag_moves/count", **given)[0]["moves"]
    rows = page.rows("tag_moves/tag_moves", **given, size=asked.size, offset=(asked.page - 1) * asked.size)
    return part_of(page, records.TagMove, asked, count, rows)


@list_at("/image-tags", "Image tags", records.RepositoryImageTags)
def image_tags(page: ListDep, asked: Annotated[parameters.ImageTagsAsked, Query()]) -> Listed:
    """Repositories whose image tags are read: how, and what moved in 30 nights; by account, region and name."""
    return list_of(page, "api/image_tags", records.RepositoryImageTags, asked)


@list_at("/remediation-plan", "Remediation", records.PlannedFinding)
def remediation_plan(page: ListDep, asked: Annotated[parameters.PlanAsked, Query()]) -> Listed:
    """The setting that each repository can take, and why, what can be done first; the filters are those of the page."""
    require_version(page, asked)
    given = asked.parameters(page)
    if ndjson.is_asked(page.request):
        return ndjson.send_whole(page, records.PlannedFinding, "remediation/download", given)
    count = page.rows("remediation/count", **given)[0]["findings"]
    rows = page.rows("remediation/plan", **given, size=asked.size, offset=(asked.page - 1) * asked.size)
    return part_of(page, records.PlannedFinding, asked, count, rows)


@list_at("/remediation-approvals", "Remediation", records.RemediationApproval)
def remediation_approvals(page: ListDep, asked: Annotated[Asked, Query()]) -> Listed:
    """Plans that were put to a person, with the answer, the newest first."""
    return list_of(page, "api/remediation_approvals", records.RemediationApproval, asked)


@list_at("/remediation-actions", "Remediation", records.RemediationAction)
def remediation_actions(page: ListDep, asked: Annotated[parameters.ActionsAsked, Query()]) -> Listed:
    """How the changes of approved plans ended, the newest plan first."""
    return list_of(page, "api/remediation_actions", records.RemediationAction, asked)


@list_at("/ous", "Organization", records.Unit)
def ous(page: ListDep, asked: Annotated[parameters.UnitsAsked, Query()]) -> Listed:
    """Organizational units in the order of the tree; each counts those below it."""
    return list_of(page, "api/ous", records.Unit, asked)


@list_at("/accounts", "Organization", records.Account)
def accounts(page: ListDep, asked: Annotated[parameters.AccountsAsked, Query()]) -> Listed:
    """Compliance of accounts under a policy."""
    return list_of(page, "api/accounts", records.Account, asked)


@list_at("/owners", "Organization", records.Owner)
def owners(page: ListDep, asked: Annotated[parameters.OwnersAsked, Query()]) -> Listed:
    """Compliance under a policy by owner, and by account for repositories without an owner tag."""
    return list_of(page, "api/owners", records.Owner, asked)


@list_at("/regions", "Organization", records.Region)
def regions(page: ListDep, asked: Annotated[parameters.RegionsAsked, Query()]) -> Listed:
    """Compliance of regions under a policy, by name."""
    return list_of(page, "api/regions", records.Region, asked)


@list_at("/coverage", "Coverage", records.Coverage)
def coverage(page: ListDep, asked: Annotated[parameters.CoverageAsked, Query()]) -> Listed:
    """Coverage of each account."""
    return list_of(page, "api/coverage", records.Coverage, asked)


@list_at("/targets", "Coverage", records.Target)
def targets(page: ListDep, asked: Annotated[parameters.TargetsAsked, Query()]) -> Listed:
    """Account-regions with the outcome of the scan and AWS's error."""
    return list_of(page, "api/targets", records.Target, asked)


@list_at("/policies", "Policies and frameworks", records.Policy)
def policies(page: ListDep, asked: Annotated[Asked, Query()]) -> Listed:
    """The policies."""
    return list_of(page, "api/policies", records.Policy, asked)


@list_at("/undetermined", "Policies and frameworks", records.UndeterminedReason)
def undetermined(page: ListDep, asked: Annotated[parameters.UndeterminedAsked, Query()]) -> Listed:
    """Why objects are undetermined under a policy, with their numbers."""
    return list_of(page, "api/undetermined", records.UndeterminedReason, asked)


@list_at("/frameworks", "Policies and frameworks", records.Framework)
def frameworks(page: ListDep, asked: Annotated[Asked, Query()]) -> Listed:
    """The frameworks, by name."""
    return list_of(page, "api/frameworks", records.Framework, asked)


@list_at("/sections", "Policies and frameworks", records.Section)
def sections(page: ListDep, asked: Annotated[parameters.SectionsAsked, Query()]) -> Listed:
    """Tonight's compliance of framework sections, for the organization, its units or its accounts."""
    return list_of(page, "api/sections", records.Section, asked)


@list_at("/compliance", "History", records.DailyCompliance)
def compliance(page: ListDep, asked: Annotated[parameters.ComplianceAsked, Query()]) -> Listed:
    """Compliance of the organization, its units, accounts, owners or regions by night, the newest first."""
    return list_of(page, "api/compliance", records.DailyCompliance, asked)


@list_at("/nights", "History", records.Night)
def nights(page: ListDep, asked: Annotated[Asked, Query()]) -> Listed:
    """The nights that were due, the newest first: whether each was audited, its coverage and its policies."""
    return list_of(page, "api/nights", records.Night, asked)


@list_at("/history", "History", records.FindingHistory)
def history(page: ListDep, asked: Annotated[parameters.HistoryAsked, Query()]) -> Listed:
    """Incompliant stretches of repositories, ended or open, the newest first."""
    return list_of(page, "api/history", records.FindingHistory, asked)


@list_at("/changes", "History", records.Change)
def changes(page: ListDep, asked: Annotated[parameters.ChangesAsked, Query()]) -> Listed:
    """Changes by night, the newest first."""
    return list_of(page, "api/changes", records.Change, asked)


@list_at("/waivers", "Findings", records.Waiver)
def waivers(page: ListDep, asked: Annotated[Asked, Query()]) -> Listed:
    """Waivers, in the order in which they expire."""
    return list_of(page, "api/waivers", records.Waiver, asked)
