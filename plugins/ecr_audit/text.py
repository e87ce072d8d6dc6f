"""How text, counts and ages are written for people: the same on a page, in the terminal, in an alert and in a workbook.

Names of accounts, units and repositories, owners, reasons and messages are other people's text. In what people read,
it is plain text only.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from datetime import UTC, date, datetime

# Characters of one name. ECR's and AWS's own are shorter; tags are not.
LONGEST = 120

# Behind the point of a percentage: two shares of the largest organization differ by more.
_MOST_DIGITS = 6


def printable(text: str) -> str:
    """Text with a blank for each control, formatting and private character, but for line breaks.

    A terminal acts on some of them, such as ESC; others, such as U+202E, make it read as something else.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else " " for each in text)


def plain(text: str | None) -> str:
    """Other people's text on one line, printable; shortened if it is longer than LONGEST."""
    line = " ".join(printable(text or "").split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def plural(count: float, noun: str, many: str | None = None) -> str:
    """1, account -> 1 account; 2 -> 2 accounts."""
    return f"{count:,.0f} {noun if count == 1 else many or noun + 's'}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most similar to an unknown one; None without a similar one."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), None)


def day(value: date) -> str:
    """2026-11-23."""
    return f"{value:%Y-%m-%d}"


def moment(value: datetime) -> str:
    """2026-11-23 02:13 UTC; a time without a zone is UTC."""
    return f"{value.astimezone(UTC) if value.tzinfo else value:%Y-%m-%d %H:%M} UTC"


def percent(value: float | None, limit: float | None = None) -> str:
    """62.34 -> 62.3 %. A whole percentage is never rounded up to, so that only all is 100.0 %, and 94.96 is not 95.0 %.

    99.96 -> 99.9 %; only nothing is 0.0 %. None: no data. `limit`: the value's limit, if it has one; there are then as
    many digits as distinguish the two.
    """
    if value is None:
        return "no data"
    apart = (n for n in range(1, _MOST_DIGITS + 1) if limit is not None and _shown(value, n) != _shown(limit, n))
    # Not apart: equal but for floating-point error (100 * 0.57).
    return f"{_shown(value, next(apart, 1))} %"


def _shown(value: float, digits: int) -> str:
    value, step = round(value, _MOST_DIGITS), 10.0**-digits
    shown = round(value, digits)
    if shown > value and shown == math.ceil(value):
        shown -= step
    return f"{step if shown <= 0 < value else shown:.{digits}f}"


def age(days: int, started_known: bool = True) -> str:
    """How long a finding has been open: today, 1 day; at least 1 day, where the audit did not see it begin."""
    if started_known:
        return "today" if days == 0 else plural(days, "day")
    return "today or earlier" if days == 0 else f"at least {plural(days, 'day')}"
