"""Query parameters of each list, validated and described for the OpenAPI document."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ecr_audit.aws.outcomes import Outcome
from ecr_audit.remediation.outcomes import ActionOutcome
from ecr_audit.vocabulary import Change, OverwritableTags
from ecr_audit.web.findings_query import FindingsFilter, Sort, without_empty
from ecr_audit.web.remediation_query import PlanFilter
from ecr_audit.web.tag_moves_query import TagMovesFilter

PolicyId = Annotated[str | None, Field(max_length=200, description="Id of a policy. Without it: the first.")]
AccountId = Annotated[str | None, Field(max_length=200, description="Id of an account.")]
RegionName = Annotated[str | None, Field(max_length=200, description="An AWS region, such as eu-west-1.")]
UnitPath = Annotated[
    str | None,
    Field(max_length=1000, description="Path of a unit, such as Root/Prod, or its id; those below it are included."),
]
Search = Annotated[str | None, Field(max_length=200, description="Part of the name; case does not matter.")]
ScopeType = Annotated[
    Literal["organization", "ou", "account", "owner", "untagged", "region"],
    Field(description="Kind of scope; `untagged`: the repositories of an account without an owner tag."),
]
ScopeId = Annotated[
    str | None,
    Field(
        max_length=1000,
        description="`organization`, a unit's path or id, an account's id, an owner, a region. Without it: all.",
    ),
]
Since = Annotated[date | None, Field(description="The first night, as 2026-11-23.")]
Until = Annotated[date | None, Field(description="The last night, as 2026-11-23.")]


class Asked(BaseModel):
    """Parameters of every list; unknown parameters are rejected, empty ones ignored."""

    model_config = ConfigDict(extra="forbid")

    page: int = Field(1, ge=1, le=1_000_000, description="Page number, from 1.")
    size: int = Field(100, ge=1, le=1000, description="Items per page.")
    version: str | None = Field(
        None,
        max_length=100,
        description="Require this version of the publication, as `next` does: 410 if another has replaced it.",
    )

    format: Literal["json", "ndjson"] | None = Field(
        None,
        description="`json`: a page of the list; `ndjson`: the whole list, one record per line, without `page`, `size`"
        " and `sort`. Without it: as the Accept header says, else JSON.",
    )

    _without_empty = model_validator(mode="before")(without_empty)


class FindingsAsked(FindingsFilter, Asked):
    """Findings."""

    sort: Sort = Field("-age", description="Sort order; a leading `-` sorts descending.")


class TagMovesAsked(TagMovesFilter, Asked):
    """Image tags that were overwritten."""


class PlanAsked(PlanFilter, Asked):
    """Rows of the remediation plan."""


class ActionsAsked(Asked):
    """Changes of remediation plans that people approved."""

    plan_id: Annotated[str | None, Field(max_length=64, description="Id of a plan.")] = None
    outcome: Annotated[ActionOutcome | None, Field(description="How the change ended.")] = None
    account: AccountId = None
    repository: Annotated[str | None, Field(max_length=1000, description="ARN of a repository.")] = None


class ImageTagsAsked(Asked):
    """Repositories whose image tags are read."""

    account: AccountId = None
    region: RegionName = None
    ou: UnitPath = None
    owner: Annotated[str | None, Field(max_length=1000, description="Owner of the repository.")] = None
    nothing_moved: Annotated[bool | None, Field(description="Whether no tag moved in 30 nights.")] = None


class RepositoriesAsked(Asked):
    """Repositories."""

    account: AccountId = None
    region: RegionName = None
    ou: UnitPath = None
    owner: Annotated[str | None, Field(max_length=1000, description="Owner of the repository.")] = None
    tags: Annotated[OverwritableTags | None, Field(description="Which tags can be overwritten.")] = None
    search: Search = None


class RegistriesAsked(Asked):
    """Registries."""

    account: AccountId = None
    region: RegionName = None
    ou: UnitPath = None


class UndeterminedAsked(Asked):
    """Reasons why objects are undetermined under a policy."""

    policy: PolicyId = None


class UnitsAsked(Asked):
    """Organizational units."""

    policy: PolicyId = None


class AccountsAsked(Asked):
    """Accounts."""

    policy: PolicyId = None
    ou: UnitPath = None
    account: AccountId = None
    search: Search = None


class CoverageAsked(Asked):
    """Coverage of accounts."""

    ou: UnitPath = None
    account: AccountId = None


class TargetsAsked(Asked):
    """Account-regions."""

    account: AccountId = None
    region: RegionName = None
    outcome: Annotated[Outcome | None, Field(description="Outcome of the scan.")] = None


class SectionsAsked(Asked):
    """Sections."""

    framework: Annotated[str | None, Field(max_length=200, description="Id of a framework: /frameworks/…")] = None
    linked: Annotated[bool, Field(description="Only sections with a policy, mapped or inherited.")] = True
    scope_type: Annotated[Literal["organization", "ou", "account"], Field(description="Kind of scope.")] = (
        "organization"
    )
    scope_id: ScopeId = None


class ComplianceAsked(Asked):
    """Compliance of scopes, night by night."""

    policy: PolicyId = None
    since: Since = None
    until: Until = None
    scope_type: ScopeType = "organization"
    scope_id: ScopeId = None


class ChangesAsked(Asked):
    """Changes."""

    policy: PolicyId = None
    since: Since = None
    until: Until = None
    change: Annotated[
        Change | None,
        Field(description="The kind of change."),
    ] = None
    account: AccountId = None


class RegionsAsked(Asked):
    """Regions under a policy."""

    policy: PolicyId = None


class OwnersAsked(Asked):
    """Owners under a policy."""

    policy: PolicyId = None
    sort: Literal["owner", "-owner", "incompliant", "-incompliant", "compliance", "-compliance"] = Field(
        "owner",
        description="Sort order; a leading `-` sorts descending. Ties, and owners without verdicts last: by name.",
    )


class HistoryAsked(Asked):
    """Incompliant stretches of repositories, ended or open."""

    policy: PolicyId = None
    account: AccountId = None
    region: RegionName = None
    ou: UnitPath = None
    owner: Annotated[str | None, Field(max_length=1000, description="Current or earlier owner.")] = None
    ended_by: Annotated[
        Literal["fixed", "disappeared", "account_closed", "open"] | None,
        Field(description="How the stretch ended; `open`: it has not ended."),
    ] = None
    since: Annotated[date | None, Field(description="Only stretches open on this day or later, as 2026-11-23.")] = None
    until: Annotated[date | None, Field(description="Only stretches that began by this day, as 2026-11-23.")] = None
