"""Remediation plans that were answered and applied, as ecr_remediation records them, without AWS."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

import duckdb

from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import REPOSITORIES
from ecr_audit.remediation.approval import APPROVE, Answer, Rules
from ecr_audit.remediation.journal import Entry, Journal
from ecr_audit.remediation.outcomes import ActionOutcome
from ecr_audit.remediation.plan import RemediationPlan, freeze
from ecr_audit.remediation.proposal import Limits, Row, planned_rows, rollback_rows
from ecr_audit.remediation.record import record
from support.policies import MUTABILITY


def record_plan(
    lake: Lake,
    published: duckdb.DuckDBPyConnection,
    planned_at: datetime,
    approver: str | None,
    outcomes: Mapping[str, ActionOutcome],
) -> RemediationPlan:
    """Record the published plan as approved by somebody; `outcomes` by name of the repository, others are DONE.

    Without an approver nobody answered, and nothing was tried.
    """
    return record_rows(lake, planned_rows(published, MUTABILITY, Limits()), planned_at, approver, outcomes)


def record_rollback(lake: Lake, plan_id: str, planned_at: datetime, approver: str) -> RemediationPlan:
    """Record that a plan was taken back."""
    return record_rows(lake, rollback_rows(lake, plan_id, Limits()), planned_at, approver, {})


def approve_changes(lake: Lake, night: date) -> RemediationPlan:
    """Record a plan for some repositories of a night as approved and done, but for one that AWS denied."""
    inventory = lake.read_commit("inventory", night)
    assert inventory is not None
    names = ("account_id", "region", "repository_name", "repository_arn", "created_at")
    rows = [
        {name: row[name] for name in names}
        | {"policy_id": MUTABILITY, "current_setting": "MUTABLE", "proposed_setting": "IMMUTABLE_WITH_EXCLUSION"}
        | {"proposed_filters": ["latest", "sha256-*"]}
        for row in lake.read_table(inventory, REPOSITORIES).to_pylist()
        if row["image_tag_mutability"] == "MUTABLE"
    ][:12]
    planned_at = datetime.combine(night, time(9), UTC)
    return record_rows(lake, rows, planned_at, "ann", {rows[3]["repository_name"]: ActionOutcome.DENIED})


def record_rows(
    lake: Lake, rows: list[Row], planned_at: datetime, approver: str | None, outcomes: Mapping[str, ActionOutcome]
) -> RemediationPlan:
    """The same of a plan with these rows, which have columns of PLANNED_CHANGES."""
    plan = freeze(lake, rows, planned_at=planned_at, canary_accounts=1, batch_accounts=10)
    journal = Journal(lake, plan.plan_id)
    acted_at = planned_at + timedelta(hours=1)
    for change in plan.changes if approver else ():
        outcome = outcomes.get(change.row["repository_name"], ActionOutcome.DONE)
        done = outcome is ActionOutcome.DONE
        entry = Entry(
            change.row["repository_arn"],
            outcome,
            error_code="AccessDeniedException" if outcome is ActionOutcome.DENIED else None,
            before=change.current,
            intent_at=acted_at if done else None,
            acted_at=acted_at,
            after=change.proposed if done else None,
            verified_at=acted_at + timedelta(hours=1) if done else None,
        )
        journal.write(change.number, entry)
    answered_at = planned_at + timedelta(minutes=9)
    answer = Answer(APPROVE, plan.plan_id, approver, approver, answered_at) if approver else Answer()
    record(lake, plan, answer, Rules(triggered_by="bob"), "manual__1")
    return plan
