"""Values out of answers of AWS, whatever these hold: text that every format can carry, times as boto3 reads them.

JSON carries more than its documentation promises: a number where text belongs, NaN, half a surrogate pair. What the
audit needs raises; optional values are left out, and `Unread` reports them.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.utils import parse_to_aware_datetime

from ecr_audit.text import plural

# Parquet, and everything else in UTF-8, has no lone surrogates; PostgreSQL has no NUL.
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")

# AWS's ids of calls are UUIDs, or as long as one.
LONGEST_REQUEST_ID = 128

# Values in messages: short, however long or deep they are.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def cleaned(value: str, longest: int) -> str:
    """The text without characters that not every format can store, cut to `longest` characters."""
    if len(value) > longest:
        value = f"{value[: longest - 1]}…"
    return value if value.isprintable() else _NOT_STORABLE.sub("\N{REPLACEMENT CHARACTER}", value)


def text(value: object, longest: int) -> str | None:
    """The value if it is text of at most `longest` characters, all storable; else None."""
    if type(value) is not str or len(value) > longest:
        return None
    return value if value.isprintable() or _NOT_STORABLE.search(value) is None else None


def timestamp(value: object) -> datetime:
    """The time (UTC) that boto3 would read: seconds since 1970 as a number or as text, ISO 8601, RFC 822.

    Text without a time zone is UTC. Raises ValueError for anything else.
    """
    try:
        if isinstance(value, int | float):  # botocore's reading of it, at a tenth of its time
            return datetime.fromtimestamp(value, UTC)
        return parse_to_aware_datetime(value).astimezone(UTC)  # type: ignore[arg-type]  # refuses others
    except (ValueError, TypeError, AttributeError, OverflowError, OSError, RuntimeError) as fault:
        raise ValueError(f"{quoted(value)} is not a time") from fault


def request_id(answer: Mapping[str, Any]) -> str | None:
    """AWS's id of the call that was answered, an error too: CloudTrail's event of the call has it as requestID."""
    metadata = answer.get("ResponseMetadata")
    return text(metadata.get("RequestId"), LONGEST_REQUEST_ID) if isinstance(metadata, dict) else None


def quoted(value: object) -> str:
    """A value as a message shows it, cut short."""
    return cleaned(_SHORT.repr(value), 200)


@dataclass
class Unread:
    """Values of an answer that could not be read, and that the audit can do without."""

    count: int = 0
    # The first of them.
    examples: list[str] = field(default_factory=list)

    def note(self, name: str, value: object, owner: object) -> None:
        """Count a value. `owner`: the object that has it."""
        self.count += 1
        if len(self.examples) < 3:
            self.examples.append(f"{name} {quoted(value)} of {quoted(owner)}")

    def __str__(self) -> str:
        more = "; …" if self.count > len(self.examples) else ""
        return f"{plural(self.count, 'value')} of AWS's response could not be read: {'; '.join(self.examples)}{more}"
