"""Reads again what a plan has written, or may have: what another setting is found in ends as DIFFERS."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ecr_audit.aws.accounts import AWS_FAULTS
from ecr_audit.aws.dispatcher import Flow, Identity
from ecr_audit.aws.ecr.mutability import NOT_FOUND, describe_by_name, setting_of
from ecr_audit.aws.outcomes import error_code, error_message
from ecr_audit.aws.session import Hub
from ecr_audit.remediation.apply import run
from ecr_audit.remediation.journal import Entry, Journal
from ecr_audit.remediation.outcomes import ActionOutcome
from ecr_audit.remediation.plan import PlannedChange, RemediationPlan
from ecr_audit.settings import Settings


def verify(journal: Journal, hub: Hub, plan: RemediationPlan, settings: Settings, run_id: str) -> None:
    """Read each repository that has an intent to write it, and note what was found.

    A write whose answer never came, because the connection broke or the worker was killed, is DONE when it is found in
    place. What cannot be read keeps its outcome, with the error and without `verified_at`.
    """
    entries = journal.read(plan.changes)
    written = [change for change in plan.changes if (entry := entries.get(change.number)) and entry.intent_at]
    if not written:
        return

    def read(identity: Identity, change: PlannedChange) -> Flow:
        account_id, region = change.registry
        try:
            repository = yield from describe_by_name(identity, account_id, region, change.row["repository_name"])
        except AWS_FAULTS as error:
            unread(change, error)
            return
        after = setting_of(repository)
        entry = replace(entries[change.number], after=after, verified_at=datetime.now(UTC))
        if repository.created_at != change.row["created_at"]:
            entry = replace(entry, outcome=ActionOutcome.GONE, after=None)
        elif after.equals(change.proposed):
            entry = _ended(entry, ActionOutcome.DONE)
        elif entry.outcome is ActionOutcome.DONE:
            entry = _ended(entry, ActionOutcome.DIFFERS, "SettingChanged", f"It has {after} after {change.proposed}")
        elif entry.outcome is None:
            entry = _ended(entry, ActionOutcome.FAILED, "Interrupted", "The worker ended before the write")
        journal.write(change.number, entry)

    def unread(change: PlannedChange, error: BaseException) -> None:
        entry, code = entries[change.number], error_code(error)
        if code == NOT_FOUND:
            entry = _ended(entry, ActionOutcome.GONE)
        elif entry.outcome is None:
            entry = _ended(
                entry, ActionOutcome.FAILED, code, f"Interrupted, and not read again: {error_message(error)}"
            )
        else:
            entry = replace(entry, error_code=code, error_message=f"Not read again: {error_message(error)}")
        journal.write(change.number, entry)

    run(hub, written, settings, run_id, read, unread)


def _ended(entry: Entry, outcome: ActionOutcome, code: str | None = None, message: str | None = None) -> Entry:
    return replace(
        entry, outcome=outcome, error_code=code, error_message=message, acted_at=entry.acted_at or datetime.now(UTC)
    )
