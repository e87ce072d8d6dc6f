"""Records of the inventory: the publication, its nights, repositories and coverage."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel

from ecr_audit.web.api.records.record import MissingExports, NightsMissed, Record, Utc


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
    left_out_accounts: list[str] | None
    left_out_regions: list[str] | None
    image_tags_date: date | None
    previous_image_tags_date: date | None
    policy_hashes: dict[str, str]
    hub_account_id: str | None
    evidence_head: str | None
    evidence_error: str | None
    evidence_verified_at: Utc | None
    evidence_verification: str | None


class CurrentPublication(PublicationRecord):
    """The publication at the time of the request."""

    nights_missed: NightsMissed
    missing_exports: MissingExports


class ExclusionFilter(BaseModel):
    """Tags that are exempt from the repository's setting, as AWS gives them."""

    filter_type: str | None
    filter: str | None


class FailedFacet(BaseModel):
    """A facet that was to be read and was not, with AWS's error code."""

    facet: str
    error_code: str | None


class FailedFacetOfTarget(FailedFacet):
    """The same for a target, with AWS's message and the number of objects."""

    error_message: str | None
    objects: int | None


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
    scan_frequency: str | None
    scan_filters: list[str] | None
    scanning_read_at: Utc | None
    scanning_unread: str | None
    kms_key_manager: str | None
    keys_read_at: Utc | None
    keys_unread: str | None
    lifecycle_policy: str | None
    lifecycle_read_at: Utc | None
    lifecycle_unread: str | None
    repository_policy: str | None
    policies_read_at: Utc | None
    policies_unread: str | None
    facets_failed: list[FailedFacet] | None
    owner_source: str


class CreationTemplate(BaseModel):
    """A template for repositories that ECR creates by itself."""

    prefix: str | None
    applied_for: list[str] | None
    image_tag_mutability: str | None
    exclusion_filters: list[str] | None


class PullThroughRule(BaseModel):
    """An upstream registry for whose images ECR creates repositories by itself."""

    prefix: str | None
    upstream_registry_url: str | None


class Registry(Record):
    table = "registries"
    snapshot_date: date
    account_id: str
    account_name: str | None
    ou_path: str | None
    region: str
    registry_arn: str
    creation_templates: list[CreationTemplate] | None
    pull_through_rules: list[PullThroughRule] | None
    registries_read_at: Utc | None
    registries_unread: str | None
    facets_failed: list[FailedFacet] | None
    collected_at: Utc | None
    observed: bool


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
    last_read_date: date | None


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
    facets_failed: list[FailedFacetOfTarget] | None
    request_id: str | None
    snapshot_date: date


class Night(Record):
    table = "nights"
    snapshot_date: date
    missed: bool
    run_time: Utc | None
    coverage_percent: float | None
    policy_hashes: dict[str, str] | None
    policies_changed: list[str] | None
    sealed_at: Utc | None
    evidence_sequence: int | None
    evidence_sha256: str | None
    evidence_signed_by: str | None
    evidence_entries: int | None
