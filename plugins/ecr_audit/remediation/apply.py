"""Writes the settings of one batch of an approved plan, and notes how each ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from ecr_audit.aws.accounts import AWS_FAULTS, MemberIdentity, enter_account, session_name
from ecr_audit.aws.accounts import Entry as AccountEntry
from ecr_audit.aws.connections import Connections
from ecr_audit.aws.dispatcher import Dispatcher, Effort, Flow, Identity
from ecr_audit.aws.ecr.mutability import describe_by_name, put_setting, setting_of
from ecr_audit.aws.outcomes import error_code, error_message
from ecr_audit.aws.session import Hub
from ecr_audit.inventory.scan import LOOK_SECONDS
from ecr_audit.remediation.journal import Entry, Journal
from ecr_audit.remediation.outcomes import FAILURES, ActionOutcome, outcome_of_error
from ecr_audit.remediation.plan import PlannedChange, RemediationError, RemediationPlan
from ecr_audit.settings import Settings

# Makes the flow for one change. It returns nothing: the journal has the result.
Act = Callable[[Identity, PlannedChange], Flow]
OnError = Callable[[PlannedChange, BaseException], None]


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
    act: Act,
    on_error: OnError,
) -> None:
    """Do something with each change, as the remediation role of its account: one after the other in a registry.

    Registries go on concurrently, until all are done or the batch's time is up. `on_error` gets the changes of an
    account that cannot be entered. Raises RemediationError without a role, and what is raised by `act` itself.
    """
    if settings.remediation_role_name is None:
        raise RemediationError("ECR_AUDIT_REMEDIATION_ROLE_NAME is not set: repositories are not changed.")
    hub = replace(hub, session_name=session_name(run_id))
    asyncio.run(_run(hub, changes, settings, settings.remediation_role_name, act, on_error))


class _Run:
    """The registries of a run that are under way, and the first fault of the program's own."""

    def __init__(self, dispatcher: Dispatcher, seconds: float, act: Act, on_error: OnError) -> None:
        self._dispatcher = dispatcher
        self._seconds = seconds
        self._act = act
        self._on_error = on_error
        self.pending = 0
        self.fault: Exception | None = None

    def enter(self, hub: Hub, identity: MemberIdentity, registries: Sequence[Sequence[PlannedChange]]) -> None:
        """Enter an account, then go on with all its registries."""
        self.pending += len(registries)
        flow = enter_account(hub, identity, ask_regions=False)
        self._dispatcher.submit(flow, seconds=self._seconds, on_done=partial(self._entered, registries))

    def _entered(
        self, registries: Sequence[Sequence[PlannedChange]], entry: AccountEntry | Exception, _: Effort
    ) -> None:
        error = entry if isinstance(entry, Exception) else entry.error
        for changes in registries:
            if isinstance(entry, AccountEntry) and error is None:
                self._next(entry.identity, iter(changes), None)
                continue
            assert error is not None  # noqa: S101
            for change in changes:
                self._on_error(change, error)
            self.pending -= 1

    def _next(self, identity: Identity, changes: Iterator[PlannedChange], fault: object, *_: Effort) -> None:
        """Go on with the next change of a registry, each with its own time limit."""
        if isinstance(fault, Exception):
            self.fault = self.fault or fault
        change = None if self.fault else next(changes, None)
        if change is None:
            self.pending -= 1
            return
        on_done = partial(self._next, identity, changes)
        self._dispatcher.submit(self._act(identity, change), seconds=self._seconds, on_done=on_done)


async def _run(
    hub: Hub, changes: Sequence[PlannedChange], settings: Settings, role: str, act: Act, on_error: OnError
) -> None:
    registries: dict[str, dict[str, list[PlannedChange]]] = {}
    for change in changes:
        account_id, region = change.registry
        registries.setdefault(account_id, {}).setdefault(region, []).append(change)
    deadline = time.monotonic() + settings.batch_seconds
    in_flight = settings.concurrency
    async with Connections(hub.access, in_flight) as connections, Dispatcher(connections, in_flight) as dispatcher:
        running = _Run(dispatcher, settings.target_seconds, act, on_error)
        for account_id, by_region in registries.items():
            identity = MemberIdentity(hub, connections, account_id, role, settings.external_id)
            running.enter(hub, identity, list(by_region.values()))
        while running.pending and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
    if running.fault is not None:
        raise running.fault


def failed_share(outcomes: Sequence[ActionOutcome]) -> float:
    """The share of changes that failed, from 0 to 1."""
    return sum(outcome in FAILURES for outcome in outcomes) / len(outcomes) if outcomes else 0.0
