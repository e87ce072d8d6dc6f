"""The result of a check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    # The audit runs, but sees less than it could: within ECR_AUDIT_MIN_COVERAGE, or without owners.
    WARN = "warn"
    # A nightly run would fail.
    FAIL = "FAIL"
    # Could not be checked, because of what failed before.
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Result:
    """One check: its title, its finding, and the fix."""

    status: Status
    title: str
    found: str
    fix: str = ""
    # Cases of the finding, one per line: accounts, with AWS's error.
    cases: Sequence[str] = ()


def ok(title: str, found: str) -> Result:
    """All is well."""
    return Result(Status.OK, title, found)


def fail(title: str, found: str, fix: str) -> Result:
    """A nightly run would fail of this."""
    return Result(Status.FAIL, title, found, fix)


def skipped(title: str, because: str) -> Result:
    """Not checked: `because` names the check that failed."""
    return Result(Status.SKIPPED, title, f"not checked: {because}")
