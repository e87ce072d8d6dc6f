"""Whether this machine's clock agrees with AWS's, which every signature depends on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from ecr_audit.aws.advice import CLOCK_SKEW
from ecr_audit.aws.outcomes import error_code, error_message
from ecr_audit.doctor.results import Result, fail, ok, skipped

TITLE = "Clock"

# AWS refuses requests signed more than five minutes ago, or ahead (IAM User Guide, "Signature Version 4").
MOST_SKEW = timedelta(minutes=5)

FIX = f"{CLOCK_SKEW.advice.fix} Then run the doctor again."


def skew(answer: Mapping[str, Any], now: datetime) -> timedelta | None:
    """How far AWS's clock is ahead of ours (negative: behind), by the Date header of an answer of botocore.

    `now`: when the answer came. The header has whole seconds. None when the answer has no such header, or one that
    cannot be read: a proxy on the way may write its own.
    """
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        there = parsedate_to_datetime(date)
        # Without a zone, or with -0000, it is UTC all the same (RFC 9110, "Date/Time Formats").
        return (there if there.tzinfo else there.replace(tzinfo=UTC)) - now
    except (TypeError, ValueError, OverflowError):
        return None


def is_clock_skew(error: BaseException | str) -> bool:
    """Whether AWS refused a call for the time of its signature."""
    return (
        CLOCK_SKEW.fits("", error)
        if isinstance(error, str)
        else CLOCK_SKEW.fits(error_code(error), error_message(error))
    )


def check_clock(answer: Mapping[str, Any] | None, refused: bool) -> Result:
    """Compare the clocks by an answer of AWS that has just come. `refused`: it refused a signature for its time."""
    ahead = skew(answer, datetime.now(UTC)) if answer else None
    if ahead is None:
        if refused:
            return fail(TITLE, "AWS rejects the time of our signatures", FIX)
        return skipped(TITLE, "AWS's response has no readable date" if answer else "AWS has not responded")
    seconds = round(abs(ahead.total_seconds()))
    difference = f"{seconds // 60} min {seconds % 60} s {'behind' if ahead > timedelta(0) else 'ahead of'} AWS"
    if refused or abs(ahead) > MOST_SKEW:
        return fail(TITLE, f"clock skew: this machine is {difference}, which rejects more than 5 min", FIX)
    return ok(TITLE, "equal to AWS's, to the second" if seconds <= 1 else difference)
