"""The weekly verification, as the task of the maintenance DAG calls it: settings in, a sentence out."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from ecr_audit.errors import FinalError
from ecr_audit.evidence.log import VERIFICATION
from ecr_audit.evidence.report import sentence
from ecr_audit.evidence.results import STEPS, LastVerification, Outcome, Verification
from ecr_audit.evidence.settings import keys_to_verify, open_log
from ecr_audit.evidence.verification import VerificationError, verify
from ecr_audit.settings import load_settings

log = logging.getLogger(__name__)

# A week, and the night in which the task may run late.
_NIGHTS = timedelta(days=8)
_MOST_FAULTS = 5


class EvidenceBrokenError(FinalError):
    """The log, or a night in it, is not as it was sealed; the message names what differs."""


def verify_log() -> str:
    """Verify the chain, and the nights of the last week in full; keep the result beside the log, for the pages.

    Raises EvidenceBrokenError, after that, and VerificationError when nothing was ever sealed.
    """
    settings = load_settings()
    evidence = open_log(settings)
    keys = keys_to_verify(evidence, None, settings)
    today = datetime.now(UTC).date()
    try:
        outcome = verify(evidence, keys, today - _NIGHTS, today)
    except VerificationError:
        # No night of the last week: the newest one, whichever it is.
        outcome = verify(evidence, keys)
    found = sentence(outcome)
    last = LastVerification(
        verified_at=outcome.verified_at,
        failed=outcome.failed,
        head=outcome.head,
        nights=len(outcome.nights),
        found=("FAILED: " if outcome.failed else "") + found,
    )
    evidence.write(VERIFICATION, last.model_dump_json().encode())
    for note in outcome.notes:
        log.warning("%s", note)
    if outcome.failed:
        raise EvidenceBrokenError("\n".join([f"{evidence.root}: {found}", *_faults(outcome)]))
    log.info("%s Head: %s", found, outcome.head)
    return found


def _faults(outcome: Verification) -> list[str]:
    faults = [f"- {fault}" for fault in outcome.faults]
    faults += [
        f"- night of {night.date}, step {step.step}, {STEPS[step.step]}: {step.found}"
        for night in outcome.nights
        for step in night.steps
        if step.outcome is Outcome.FAILED
    ]
    more = len(faults) - _MOST_FAULTS
    return faults[:_MOST_FAULTS] + ([f"- and {more:,} more: make verify"] if more > 0 else [])
