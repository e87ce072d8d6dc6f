"""Records of remediation: the plan, the plans that people answered, and how their changes ended."""

from __future__ import annotations

from datetime import date

from ecr_audit.web.api.records.record import Record, Utc


class PlannedFinding(Record):
    table = "remediation_plan"
    snapshot_date: date
    policy_id: str
    repository_arn: str
    account_id: str
    account_name: str | None
    ou_path: str | None
    region: str
    repository_name: str
    owner: str
    action: str
    rule: str
    current_setting: str | None
    current_filters: list[str] | None
    proposed_setting: str | None
    proposed_filters: list[str] | None
    closes_finding: bool | None
    stopgap_filters: list[str] | None
    evidence_nights: int
    moving_tags: list[str]
    moving_release_tags: list[str]
    managed_by: str | None
    pull_through: bool | None
    image_tags: int | None
    release_tags_seen: int | None
    overwritable_after: int | None
    command: str | None


class RemediationAction(Record):
    table = "remediation_actions"
    snapshot_date: date
    plan_id: str
    rollback_of: str | None
    policy_id: str
    account_id: str
    region: str
    repository_name: str
    repository_arn: str
    created_at: Utc | None
    outcome: str
    error_code: str | None
    error_message: str | None
    before_setting: str | None
    before_filters: list[str] | None
    proposed_setting: str | None
    proposed_filters: list[str] | None
    after_setting: str | None
    after_filters: list[str] | None
    approver: str | None
    acted_at: Utc | None
    verified_at: Utc | None


class RemediationApproval(Record):
    table = "remediation_approvals"
    snapshot_date: date
    plan_id: str
    rollback_of: str | None
    policy_id: str
    repositories: int
    planned_at: Utc
    run_id: str
    triggered_by: str | None
    answer: str | None
    approver_id: str | None
    approver: str | None
    answered_at: Utc | None
    accepted: bool
    refusal: str | None
