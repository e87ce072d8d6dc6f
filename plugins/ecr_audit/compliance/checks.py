"""Runs the data-quality checks of sql/checks: each is a SELECT of the rows that should not be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecr_audit.errors import FinalError
from ecr_audit.settings import SQL_ROOT
from ecr_audit.warehouse import Warehouse, WarehouseError, read_statement

_SEVERITY = re.compile(r"^-- severity: (fail|warn)$", re.MULTILINE)
_EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """A check that found something: how many rows, and the first of them."""

    check: str
    severity: str
    count: int
    examples: Sequence[dict[str, Any]]

    def __str__(self) -> str:
        shown = "\n".join(f"    {example}" for example in self.examples)
        return f"{self.check}: {self.count} row{'s' if self.count > 1 else ''}, such as\n{shown}"


class CheckError(FinalError):
    """Checks of severity `fail` found something; nothing is committed."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(["The data contradicts itself:", *map(str, findings)]))
        self.findings = findings


def run_checks(warehouse: Warehouse, sql_root: Path = SQL_ROOT) -> list[Finding]:
    """Run every check over the session; returns what the checks of severity `warn` found.

    Raises CheckError, which lists all that failed, with how many rows each has and the first of them.
    """
    findings = [
        finding
        for path in sorted((sql_root / "checks").glob("*.sql"))
        if (finding := _run(warehouse, path, sql_root)) is not None
    ]
    if failed := [finding for finding in findings if finding.severity == "fail"]:
        raise CheckError(failed)
    return findings


def _run(warehouse: Warehouse, path: Path, sql_root: Path) -> Finding | None:
    severity = _SEVERITY.search(path.read_text(encoding="utf-8"))
    if severity is None:
        raise WarehouseError(f"{path}: says no severity. Give it a line '-- severity: fail' or '-- severity: warn'")
    statement = read_statement(f"checks/{path.stem}", sql_root)
    count, examples = warehouse.examples(statement, _EXAMPLES, snapshot_date=warehouse.snapshot_date)
    return Finding(statement.path, severity[1], count, examples) if count else None
