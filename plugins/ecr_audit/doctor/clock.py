"""Whether this machine's clock agrees with AWS's, which every signature depends on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from ecr_audit.doctor.results import Result, fail, ok, skipped

TITLE = "Clock"

# AWS refuses requests signed more than five minutes ago, or ahead (IAM User Guide, "Signature Version 4").
MOST_SKEW = timedelta(minutes=5)

# How services refuse a signature for its time: S3 by a code of its own; the others by the words of the message, under
# codes that a wrong key has too (SignatureDoesNotMatch, InvalidSignatureException).
_OF_TIME = re.compile(r"RequestTimeTooSkewed|Signature expired|Signature not yet current|RequestInTheFuture")

FIX = "Set this machine's clock (an NTP service such as chrony keeps it), then run the doctor again."


def skew(answer: Mapping[str, Any], now: datetime) -> timedelta | None:
    """How far AWS's clock is ahead of ours (negative: behind), by the Date header of an answer of botocore.

    `now`: when the answer came. None when the answer has no such header. The header has whole seconds.
    """
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(date) - now if date else None


def is_of_time(error: BaseException | str) -> bool:
    """Whether AWS refused a call for the time of its signature."""
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        error = f"{details.get('Code')}: {details.get('Message')}"
    return _OF_TIME.search(str(error)) is not None


def check_clock(answer: Mapping[str, Any] | None, refused: bool) -> Result:
    """Compare the clocks by an answer of AWS that has just come. `refused`: it refused a signature for its time."""
    ahead = skew(answer, datetime.now(UTC)) if answer else None
    if ahead is None:
        if refused:
            return fail(TITLE, "AWS refuses the time of our signatures", FIX)
        return skipped(TITLE, "AWS has not answered")
    seconds = round(abs(ahead.total_seconds()))
    told = f"{seconds // 60} min {seconds % 60} s {'behind' if ahead > timedelta(0) else 'ahead of'} AWS"
    if refused or abs(ahead) > MOST_SKEW:
        return fail(TITLE, f"clock skew: this machine is {told}, which refuses signatures off by more than 5 min", FIX)
    return ok(TITLE, "as AWS's, to the second" if seconds <= 1 else told)
