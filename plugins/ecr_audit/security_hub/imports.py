"""Imports findings, account by account and region by region, and keeps how each ended."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ecr_audit.aws.accounts import AWS_FAULTS
from ecr_audit.aws.by_registry import run_by_registry
from ecr_audit.aws.dispatcher import Flow, Identity, Pacer
from ecr_audit.aws.outcomes import error_code, error_message
from ecr_audit.aws.security_hub import PACE, Refused, batch_import_findings
from ecr_audit.aws.session import Hub
from ecr_audit.security_hub.due import Batch, Registry
from ecr_audit.security_hub.outcomes import ImportOutcome, outcome_of_error
from ecr_audit.settings import Settings

log = logging.getLogger(__name__)

# Refused findings of one account and region that are logged.
_MOST_LOGGED = 10


@dataclass
class Result:
    """How an account in a region ended: of `findings` that were due, some were imported, and some refused."""

    findings: int = 0
    imported: int = 0
    refused: int = 0
    # Why it ended before all had an answer.
    ended_by: ImportOutcome | None = None
    error_code: str | None = None
    error_message: str | None = None
    tried_at: datetime | None = None

    @property
    def outcome(self) -> ImportOutcome:
        """Its outcome, once the run is over."""
        if self.ended_by:
            return self.ended_by
        if self.imported + self.refused < self.findings:
            return ImportOutcome.NOT_REACHED
        return ImportOutcome.REFUSED if self.refused else ImportOutcome.IMPORTED


def import_batches(
    hub: Hub, batches: Sequence[Batch], inactive: Collection[str], settings: Settings, role: str, run_id: str
) -> dict[Registry, Result]:
    """Make the calls. Returns the result of each account and region that one of them is for.

    `inactive`: accounts that are not entered. `role`: the path and name of the role of each account. Whatever AWS
    answers is a result.
    """
    imports = _Imports(batches)
    for registry, result in imports.results.items():
        if registry[0] in inactive:
            result.ended_by = ImportOutcome.ACCOUNT_INACTIVE
    active = [batch for batch in batches if batch.registry[0] not in inactive]
    run_by_registry(hub, active, settings, role, run_id, imports.act, imports.fail)
    return imports.results


class _Imports:
    """The results, as the calls come back."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.results: dict[Registry, Result] = {}
        for batch in batches:
            self.results.setdefault(batch.registry, Result()).findings += batch.count
        self._pacers = {registry: Pacer(PACE) for registry in self.results}

    def act(self, identity: Identity, batch: Batch) -> Flow:
        """A flow that makes one call."""
        result = self.results[batch.registry]
        if result.ended_by:
            # An error that outlasted all retries of one call would meet the next, too.
            return
        region = batch.registry[1]
        try:
            imported = yield from batch_import_findings(
                identity, region, batch.findings(), self._pacers[batch.registry]
            )
        except AWS_FAULTS as error:
            self.fail(batch, error)
            return
        result.tried_at = datetime.now(UTC)
        result.imported += imported.count
        self._refuse(result, batch.registry, imported.refused)

    def fail(self, batch: Batch, error: BaseException) -> None:
        """End an account in a region with an error."""
        result = self.results[batch.registry]
        result.ended_by = outcome_of_error(error)
        result.error_code, result.error_message = error_code(error), error_message(error)
        result.tried_at = datetime.now(UTC)

    def _refuse(self, result: Result, registry: Registry, refused: Sequence[Refused]) -> None:
        for each in refused:
            if result.refused < _MOST_LOGGED:
                log.warning(
                    "%s, %s: refused: %s: %s: %s", *registry, each.finding_id, each.error_code, each.error_message
                )
            result.refused += 1
            result.error_code, result.error_message = each.error_code, each.error_message
