"""Records of policies, frameworks, and the compliance of each scope."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel

from ecr_audit.web.api.records.record import Record


class Counts(BaseModel):
    """Number of verdicts by status, and the percentage that complies."""

    compliant: int
    incompliant: int
    undetermined: int
    inapplicable: int
    disappeared: int
    waived: int
    compliance_percent: float | None
    compliance_percent_with_waivers: float | None
    coverage_percent: float | None


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
    input: str
    facets: list[str]
    position: int
    policy_hash: str


class UndeterminedReason(Record):
    table = "undetermined_reasons"
    snapshot_date: date
    policy_id: str
    reason: str
    facet: str | None
    cause: str | None
    accounts: int
    objects: int


class Framework(Record):
    table = "frameworks"
    framework_id: str
    name: str


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


class DailyCompliance(Record, Counts):
    table = "compliance_daily"
    snapshot_date: date
    policy_id: str
    scope_type: str
    scope_id: str
    ou_id: str | None


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
