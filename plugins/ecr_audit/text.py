"""How counts and ages are written for people: the same on a page, in the terminal, in an alert and in a workbook."""

from __future__ import annotations


def plural(count: float, noun: str, many: str | None = None) -> str:
    """1, account -> 1 account; 2 -> 2 accounts."""
    return f"{count:,.0f} {noun if count == 1 else many or noun + 's'}"


def age(days: int, started_known: bool = True) -> str:
    """How long a finding has been open: today, 1 day; at least 1 day, where the audit did not see it begin."""
    if started_known:
        return "today" if days == 0 else plural(days, "day")
    return "today or earlier" if days == 0 else f"at least {plural(days, 'day')}"
