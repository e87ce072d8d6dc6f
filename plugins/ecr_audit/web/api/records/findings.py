"""Records of findings: open ones, their history, what changed, and waivers."""

from __future__ import annotations

from datetime import date

from ecr_audit.web.api.records.record import Record, Utc


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
    object_type: str
    owner: str
    owner_source: str | None
    tags_read_date: date | None
    status: str
    undetermined_reason: str | None
    observed: bool
    incompliant_start_date: date
    age_days: int
    started_known: bool
    overwritable_tags: str | None
    exclusion_filters: list[str] | None
    current_state_message: str | None
    remediation_message: str | None
    remediation_command: str | None
    waived: bool
    waiver_id: str | None
    plan_rule: str | None
    fix_command: str | None
    fix_plan_id: str | None
    fix_outcome: str | None
    fix_approver: str | None
    fix_acted_at: Utc | None


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
    object_type: str
    owner: str | None
    owner_source: str | None
    started: date
    started_known: bool
    ended: date | None
    days: int
    ended_by: str | None


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
    object_type: str


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
