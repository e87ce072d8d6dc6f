"""How text, counts and ages are written for people: the same on a page, in the terminal, in an alert and in a workbook.

Names of accounts, units and repositories, owners, reasons and messages are other people's text. In what people read, it
must do no more than be read.
"""

from __future__ import annotations

# Characters of one name. ECR's and AWS's own are shorter; tags are not.
LONGEST = 120


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


def age(days: int, started_known: bool = True) -> str:
    """How long a finding has been open: today, 1 day; at least 1 day, where the audit did not see it begin."""
    if started_known:
        return "today" if days == 0 else plural(days, "day")
    return "today or earlier" if days == 0 else f"at least {plural(days, 'day')}"
