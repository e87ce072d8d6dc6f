"""Responses that are not rows of one table: a page of a list, a repository in full, the overview, a problem."""

from __future__ import annotations

from datetime import date
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ecr_audit.web.api.records.compliance import DailyCompliance
from ecr_audit.web.api.records.image_tags import RepositoryImageTags
from ecr_audit.web.api.records.inventory import Registry, Repository
from ecr_audit.web.api.records.record import NightsMissed, Record
from ecr_audit.web.api.records.remediation import PlannedFinding, RemediationAction

Item = TypeVar("Item", bound=Record)


class Verdict(BaseModel):
    """A policy's verdict on a repository or registry."""

    policy_id: str
    status: str
    status_date: date
    incompliant_start_date: date | None
    incompliant_end_date: date | None
    current_state_message: str | None
    remediation_message: str | None
    remediation_command: str | None
    plan_rule: str | None
    fix_command: str | None
    observed: bool
    waiver_id: str | None


class Event(BaseModel):
    """A difference found on a night; `found` and `ended` are events without a published change."""

    policy_id: str
    snapshot_date: date
    change: str
    previous_status: str | None
    status: str
    current_state_message: str | None


class RepositoryDetails(BaseModel):
    """A repository, the verdicts on it, its history, and its image tags; a deleted one has only its history."""

    repository: Repository | None
    verdicts: list[Verdict]
    history: list[Event]
    image_tags: RepositoryImageTags | None = Field(
        description="How its image tags were read, and what moved, which /tag-moves?repository=… lists; null where they"
        " are not read."
    )
    remediation_plan: list[PlannedFinding] = Field(description="Its rows of the remediation plan, one for each policy.")
    remediation_actions: list[RemediationAction] = Field(
        description="How the changes that approved plans made to it ended, the newest first."
    )
    console: str | None = Field(description="Its page in the AWS console; null where that has no known address.")


class RegistryDetails(BaseModel):
    """A registry, the verdicts on it, and its history; one without repositories has only its history."""

    registry: Registry | None
    verdicts: list[Verdict]
    history: list[Event]


class Overview(BaseModel):
    """The current figures of the organization."""

    snapshot_date: date
    nights_missed: NightsMissed
    policy_id: str
    tonight: DailyCompliance | None
    changes: dict[str, int] = Field(description="Number of repositories by kind of change tonight.")
    outcomes: dict[str, int] = Field(description="Number of account-regions by outcome.")
    accounts: int
    accounts_not_wholly_seen: int
    repositories_observed: int
    repositories_unseen: int


class Part(BaseModel, Generic[Item]):
    """A page of a list."""

    # The document does not take over the docstring of a generic model.
    model_config = ConfigDict(json_schema_extra={"description": "A page of a list."})

    snapshot_date: date = Field(
        description="The night of this data. If it changes between pages, start again from the first."
    )
    version: str = Field(description="The publication that was read; each night has a new one, sometimes several.")
    count: int = Field(description="Number of items on all pages.")
    page: int
    pages: int
    next: str | None = Field(description="Address of the next page; null on the last.")
    items: list[Item]


class Problem(BaseModel):
    """An error (RFC 9457)."""

    title: str
    status: int
    detail: str = Field(description="For an invalid parameter: its name, its value, and the valid values.")
