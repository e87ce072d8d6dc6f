"""What the API answers with: a model for each published table, whose fields mean what the data dictionary says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ecr_audit.publish.build import TABLES
from ecr_audit.publish.dictionary import Dictionary, load_dictionary


@cache
def _dictionary() -> Dictionary:
    return load_dictionary(TABLES)


def _describe(schema: dict[str, Any], model: type[Record]) -> None:
    """Put the dictionary's words into the OpenAPI document."""
    schema["description"] = f"{_dictionary().tables[model.table].row.removesuffix('.')}."
    for name, field in schema["properties"].items():
        if "description" not in field:
            field["description"] = str(_dictionary().column(model.table, name))


def _in_utc(value: Any) -> Any:
    """Published times are UTC; DuckDB hands them over without saying so."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


Utc = Annotated[datetime, BeforeValidator(_in_utc)]


NightsMissed = Annotated[
    int, Field(description="Snapshots that are due by now and not published: unless it is 0, an old night is shown.")
]


class Record(BaseModel):
    """A row of a published table, with all of its columns."""

    model_config = ConfigDict(json_schema_extra=_describe)
    table: ClassVar[str]


class Counts(BaseModel):
    """How many verdicts are how, and the share that complies."""

    compliant: int
    incompliant: int
    undetermined: int
    inapplicable: int
    disappeared: int
    waived: int
    compliance_percent: float | None
    compliance_percent_with_waivers: float | None
    coverage_percent: float | None


class PublicationRecord(Record):
    table = "publication"
    organization_id: str | None
    snapshot_date: date
    published_at: Utc
    inventory_commit: str
    inventory_run_id: str | None
    compliance_commit: str
    program_version: str
    lake_schema_version: int
    duckdb_version: str
    coverage_percent: float | None
    missing_accounts: list[str] | None
    missing_regions: list[str] | None
    policy_hashes: dict[str, str]


class CurrentPublication(PublicationRecord):
    """The publication as it is at the time of the request."""

    nights_missed: NightsMissed


class Policy(Record):
    table = "policies"
    policy_id: str
    name: str
    contextual_name: str
    description: str
    type: str
    categories: list[str]
    flags: list[str]
    tags: list[str]
    severity: str
    similar_policies: list[str]
    internal_rules: list[str]
    policy_hash: str


class Finding(Record):
    table = "findings"
    snapshot_date: date
    policy_id: str
    repository_arn: str
    account_id: str
    account_name: str | None
    ou_id: str | None
    ou_path: str | None
    region: str
    repository_name: str
    owner: str
    owner_source: str | None
    tags_read_date: date | None
    status: str
    observed: bool
    incompliant_start_date: date
    age_days: int
    started_known: bool
    overwritable_tags: str | None
    exclusion_filters: list[str] | None
    current_state_message: str | None
    remediation_command: str | None
    waived: bool
    waiver_id: str | None


class ExclusionFilter(BaseModel):
    """Tags that are exempt from the repository's setting, as AWS gives them."""

    filter_type: str | None
    filter: str | None


class Repository(Record):
    table = "repositories"
    snapshot_date: date
    account_id: str
    account_name: str | None
    ou_path: str | None
    region: str
    repository_name: str
    repository_arn: str
    repository_uri: str | None
    created_at: Utc | None
    image_tag_mutability: str
    image_tag_mutability_raw: str | None
    image_tag_mutability_exclusion_filters: list[ExclusionFilter] | None
    exclusion_filters: list[str]
    overwritable_tags: str
    scan_on_push: bool | None
    encryption_type: str | None
    kms_key: str | None
    tags: dict[str, str | None] | None
    tags_read_at: Utc | None
    owner: str
    collected_at: Utc | None
    observed: bool
    owner_source: str


class Unit(Record, Counts):
    table = "ou_compliance"
    snapshot_date: date
    ou_path: str
    ou_id: str | None
    accounts: int
    policy_id: str


class Account(Record, Counts):
    table = "account_compliance"
    snapshot_date: date
    account_id: str
    account_name: str | None
    state: str | None
    ou_id: str | None
    ou_path: str | None
    policy_id: str


class Section(Record, Counts):
    table = "section_compliance"
    snapshot_date: date
    framework_id: str
    framework_name: str | None
    section_id: str
    section_number: str | None
    section_title: str | None
    position: int | None
    scope_type: str
    scope_id: str
    ou_id: str | None
    sub_sections: int
    internal_rules: int
    policies: int
    flags: list[str]


class Owner(Record):
    table = "owner_compliance"
    snapshot_date: date
    scope_type: str
    scope_id: str
    owner: str
    policy_id: str
    compliant: int
    incompliant: int
    undetermined: int
    inapplicable: int
    disappeared: int
    waived: int
    compliance_percent: float | None
    compliance_percent_with_waivers: float | None


class Region(Record, Counts):
    table = "region_compliance"
    snapshot_date: date
    region: str
    policy_id: str


class Framework(Record):
    table = "frameworks"
    framework_id: str
    name: str


class Night(Record):
    table = "nights"
    snapshot_date: date
    missed: bool
    run_time: Utc | None
    coverage_percent: float | None
    policy_hashes: dict[str, str] | None
    policies_changed: list[str] | None


class FindingHistory(Record):
    table = "findings_history"
    policy_id: str
    repository_arn: str
    account_id: str
    account_name: str | None
    ou_id: str | None
    ou_path: str | None
    region: str
    repository_name: str
    owner: str | None
    owner_source: str | None
    started: date
    started_known: bool
    ended: date | None
    days: int
    ended_by: str | None


class DailyCompliance(Record, Counts):
    table = "compliance_daily"
    snapshot_date: date
    policy_id: str
    scope_type: str
    scope_id: str
    ou_id: str | None


class Coverage(Record):
    table = "coverage"
    account_id: str
    account_name: str | None
    state: str | None
    ou_id: str | None
    ou_path: str | None
    targets: int
    collected: int
    assume_role_denied: int
    access_denied: int
    region_disabled: int
    account_inactive: int
    throttled: int
    failed: int
    repositories_observed: int
    repositories_unseen: int
    coverage_percent: float | None
    first_day_not_seen: date | None
    snapshot_date: date


class Target(Record):
    table = "scan_targets"
    account_id: str
    region: str
    outcome: str
    error_code: str | None
    error_message: str | None
    repository_count: int | None
    api_calls: int | None
    retries: int | None
    throttles: int | None
    started_at: Utc | None
    duration_ms: int | None
    snapshot_date: date


class Change(Record):
    table = "changes"
    snapshot_date: date
    previous_snapshot_date: date
    policy_id: str
    repository_arn: str
    account_id: str
    account_name: str | None
    ou_id: str | None
    ou_path: str | None
    previous_ou_id: str | None
    previous_ou_path: str | None
    region: str
    repository_name: str
    owner: str
    owner_source: str | None
    change: str
    previous_status: str | None
    status: str
    incompliant_start_date: date | None
    incompliant_end_date: date | None
    current_state_message: str | None


class Waiver(Record):
    table = "waivers"
    waiver_id: str
    policy_id: str
    repository: str | None
    account_id: str | None
    ou_path: str | None
    ou_id: str | None
    region: str | None
    tag_key: str | None
    tag_value: str | None
    reason: str
    owner: str
    ticket: str | None
    approved_by: str | None
    created: date
    expires: date
    status: str
    days_left: int
    matched_findings: int
    snapshot_date: date


class Verdict(BaseModel):
    """A policy's verdict on a repository."""

    policy_id: str
    status: str
    status_date: date
    incompliant_start_date: date | None
    incompliant_end_date: date | None
    current_state_message: str | None
    remediation_message: str | None
    remediation_command: str | None
    observed: bool
    waiver_id: str | None


class Event(BaseModel):
    """Something that was found to be different on a night; `found` and `ended` of what has no change that says so."""

    policy_id: str
    snapshot_date: date
    change: str
    previous_status: str | None
    status: str
    current_state_message: str | None


class RepositoryDetails(BaseModel):
    """A repository, the verdicts on it, and its history; of one that is gone, only its history is left."""

    repository: Repository | None
    verdicts: list[Verdict]
    history: list[Event]
    console: str | None = Field(description="Its page in the AWS console; null where that has no known address.")


class Overview(BaseModel):
    """How the organization stands."""

    snapshot_date: date
    nights_missed: NightsMissed
    policy_id: str
    tonight: DailyCompliance | None
    changes: dict[str, int] = Field(description="By kind of change: repositories whose verdict changed so tonight.")
    outcomes: dict[str, int] = Field(description="By outcome: account-regions the reading of which ended so.")
    accounts: int
    accounts_not_wholly_seen: int
    repositories_observed: int
    repositories_unseen: int


Item = TypeVar("Item", bound=Record)


class Part(BaseModel, Generic[Item]):
    """A page of a list."""

    # Of a generic model the document does not take over the docstring.
    model_config = ConfigDict(json_schema_extra={"description": "A page of a list."})

    snapshot_date: date = Field(description="The night that this is of. When it changes between pages, begin again.")
    version: str = Field(description="The publication that was read; each night has a new one, sometimes several.")
    count: int = Field(description="How many there are on all pages.")
    page: int
    pages: int
    next: str | None = Field(description="Address of the next page; null on the last.")
    items: list[Item]


class Problem(BaseModel):
    """Why there is no answer (RFC 9457)."""

    title: str
    status: int
    detail: str = Field(description="Of a parameter that is not understood: its name, its value, and what is valid.")
