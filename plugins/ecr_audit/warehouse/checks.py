"""Runs the data-quality checks of sql/checks: each is a SELECT of the rows that should not be.

Those of the stages `inventory` and `image_tags` read its tables only: they run before it is committed
(inventory/verification.py, image_tags/history.py). All others run before the verdicts are committed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecr_audit.errors import FinalError
from ecr_audit.settings import SQL_ROOT
from ecr_audit.text import plural
from ecr_audit.warehouse.session import Warehouse
from ecr_audit.warehouse.statements import Statement, WarehouseError, read_statement

_SEVERITY = re.compile(r"^-- severity: (fail|warn)$", re.MULTILINE)
_STAGE = re.compile(r"^-- stage: (inventory|image_tags)$", re.MULTILINE)
# A warning goes to the terminal, where its rows need a word: the first sentence of the file, up to its first colon.
_WARNED_OF = re.compile(r"^-- severity: warn\n-- ([^.:\n]+)", re.MULTILINE)
_EXAMPLES = 3


@dataclass(frozen=True)
class Check:
    """A file of sql/checks."""

    name: str
    severity: str
    stage: str
    statement: Statement
    warned_of: str = ""


@dataclass(frozen=True)
class Violation:
    """A check that found something: how many rows, and the first. `warned_of`: the rows of a warning, in words."""

    check: str
    severity: str
    warned_of: str
    count: int
    examples: Sequence[dict[str, Any]]

    def __str__(self) -> str:
        shown = "\n".join(f"    {example}" for example in self.examples)
        if self.warned_of:
            return f"{self.warned_of}: {self.count:,} ({self.check}), such as\n{shown}"
        return f"{self.check}: {plural(self.count, 'row')}, such as\n{shown}"


class CheckError(FinalError):
    """Checks of severity `fail` found something; nothing is committed."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(violations)  # the same argument, for pickle: see own_process.py
        self.violations = violations

    def __str__(self) -> str:
        return "\n".join(["Inconsistent data:", *map(str, self.violations)])


def load_checks(sql_root: Path = SQL_ROOT) -> list[Check]:
    """All checks, by name. Raises WarehouseError for one without a severity."""
    return [_load(path, sql_root) for path in sorted((sql_root / "checks").glob("*.sql"))]


def inventory_checks() -> list[Check]:
    """The checks of the stage `inventory`."""
    return [check for check in load_checks() if check.stage == "inventory"]


def _load(path: Path, sql_root: Path) -> Check:
    text = path.read_text(encoding="utf-8")
    severity, stage, warned_of = _SEVERITY.search(text), _STAGE.search(text), _WARNED_OF.search(text)
    if severity is None:
        raise WarehouseError(f"{path}: has no severity. Add a line '-- severity: fail' or '-- severity: warn'")
    statement = read_statement(f"checks/{path.stem}", sql_root)
    return Check(
        path.stem,
        severity[1],
        stage[1] if stage else "compliance",
        statement,
        warned_of[1] if warned_of else "",
    )


def run_checks(
    warehouse: Warehouse, sql_root: Path = SQL_ROOT, *, passed: Collection[str] = (), stage: str = "compliance"
) -> list[Violation]:
    """Run the checks over the session, without those that its data are known to have `passed`.

    `stage`: image_tags for those of that stage alone; the others read tables of the inventory, too.
    Returns what the checks of severity `warn` found. Raises CheckError, which lists all that failed, with how many rows
    each has and the first of them.
    """
    checks = [
        check
        for check in load_checks(sql_root)
        if check.name not in passed and (check.stage == "image_tags") == (stage == "image_tags")
    ]
    violations = [violation for check in checks if (violation := examine(warehouse, check)) is not None]
    if failed := [violation for violation in violations if violation.severity == "fail"]:
        raise CheckError(failed)
    return violations


def examine(warehouse: Warehouse, check: Check) -> Violation | None:
    """The violation of a check in the session; None if it passes."""
    count, examples = warehouse.examples(check.statement, _EXAMPLES, snapshot_date=warehouse.snapshot_date)
    return Violation(check.statement.path, check.severity, check.warned_of, count, examples) if count else None
