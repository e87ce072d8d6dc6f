"""Writes the settings of one batch of an approved plan, and notes how each ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ecr_audit.aws.accounts import AWS_FAULTS
from ecr_audit.aws.by_registry import Act, OnError, run_by_registry
from ecr_audit.aws.dispatcher import Flow, Identity
from ecr_audit.aws.ecr.mutability import describe_by_name, put_setting, setting_of
from ecr_audit.aws.outcomes import error_code, error_message
from ecr_audit.aws.session import Hub
from ecr_audit.remediation.journal import Entry, Journal
from ecr_audit.remediation.outcomes import FAILURES, ActionOutcome, outcome_of_error
from ecr_audit.remediation.plan import PlannedChange, RemediationError, RemediationPlan
from ecr_audit.settings import Settings


def apply_batch(
    journal: Journal,
    hub: Hub,
    plan: RemediationPlan,
    batch: int,
    settings: Settings,
    run_id: str,
    waived: Collection[str],
) -> list[ActionOutcome]:
    """Write what is left of a batch. Returns the outcomes of all of its changes; see `Changes` for a second attempt.

    `waived`: ARNs of repositories that a waiver covers by now. Whatever AWS answers is some change's outcome.
    """
    changes = plan.batch(batch)
    work = Changes(journal, changes, waived)
    run(hub, changes_left(changes, work.entries), settings, run_id, work.act, work.fail)
    return [work.outcome(change) for change in changes]


def changes_left(changes: Sequence[PlannedChange], entries: Mapping[int, Entry]) -> list[PlannedChange]:
    """Those that have no outcome yet, or failed: a retry tries them again."""
    settled = {number for number, entry in entries.items() if entry.outcome and entry.outcome not in FAILURES}
    return [change for change in changes if change.number not in settled]


class Changes:
    """The changes of a batch and their entries.

    A repository is read again right before it is written. A second attempt, after a worker was killed, finds in the
    journal which repositories may have been written: one of these that has the proposed setting was written by the plan
    (DONE), any other one had it before (ALREADY); neither is written again.
    """

    def __init__(self, journal: Journal, changes: Sequence[PlannedChange], waived: Collection[str] = ()) -> None:
        self._journal = journal
        self._waived = waived
        self.entries = journal.read(changes)

    def outcome(self, change: PlannedChange) -> ActionOutcome:
        """The outcome of a change."""
        entry = self.entries.get(change.number)
        return (entry and entry.outcome) or ActionOutcome.NOT_REACHED

    def act(self, identity: Identity, change: PlannedChange) -> Flow:
        """A flow that makes one change, unless there is a reason not to."""
        entry = self.entries.get(change.number) or Entry(change.row["repository_arn"])
        if entry.intent_at is None and change.row["repository_arn"] in self._waived:
            self._end(change, entry, ActionOutcome.SKIPPED_WAIVED)
            return
        try:
            entry = yield from self._read_and_write(identity, change, entry)
        except AWS_FAULTS as error:
            # With the intent, if it was written: the write may have reached AWS all the same.
            self.fail(change, error)
            return
        self._keep(change, entry)

    def fail(self, change: PlannedChange, error: BaseException) -> None:
        """End a change with an error."""
        entry = self.entries.get(change.number) or Entry(change.row["repository_arn"])
        self._end(change, entry, outcome_of_error(error), error_code(error), error_message(error))

    def _read_and_write(self, identity: Identity, change: PlannedChange, entry: Entry) -> Flow:
        account_id, region = change.registry
        name = change.row["repository_name"]
        repository = yield from describe_by_name(identity, account_id, region, name)
        found = setting_of(repository)
        if repository.created_at != change.row["created_at"]:
            return _ended(entry, ActionOutcome.SKIPPED_CHANGED, "Recreated", "Another repository has its name now")
        if found.equals(change.proposed):
            if entry.intent_at is not None:
                return _ended(entry, ActionOutcome.DONE)
            return _ended(replace(entry, before=found), ActionOutcome.ALREADY)
        if not found.equals(change.current):
            changed = f"It has {found}; the plan was made for {change.current}"
            return _ended(replace(entry, before=found), ActionOutcome.SKIPPED_CHANGED, "SettingChanged", changed)
        entry = replace(entry, outcome=None, before=found, intent_at=datetime.now(UTC))
        self._keep(change, entry)
        yield from put_setting(identity, region, name, change.proposed)
        return _ended(entry, ActionOutcome.DONE)

    def _end(self, change: PlannedChange, entry: Entry, outcome: ActionOutcome, *error: str) -> None:
        self._keep(change, _ended(entry, outcome, *error))

    def _keep(self, change: PlannedChange, entry: Entry) -> None:
        self._journal.write(change.number, entry)
        self.entries[change.number] = entry


def _ended(entry: Entry, outcome: ActionOutcome, code: str | None = None, message: str | None = None) -> Entry:
    return replace(entry, outcome=outcome, error_code=code, error_message=message, acted_at=datetime.now(UTC))


def run(
    hub: Hub,
    changes: Sequence[PlannedChange],
    settings: Settings,
    run_id: str,
    act: Act[PlannedChange],
    on_error: OnError[PlannedChange],
) -> None:
    """Do something with each change, as the remediation role of its account (`run_by_registry`).

    Raises RemediationError without a role, and what is raised by `act` itself.
    """
    if settings.remediation_role_name is None:
        raise RemediationError("ECR_AUDIT_REMEDIATION_ROLE_NAME is not set: repositories are not changed.")
    run_by_registry(hub, changes, settings, settings.remediation_role_name, run_id, act, on_error)


def failed_share(outcomes: Sequence[ActionOutcome]) -> float:
    """The share of changes that failed, from 0 to 1."""
    return sum(outcome in FAILURES for outcome in outcomes) / len(outcomes) if outcomes else 0.0
