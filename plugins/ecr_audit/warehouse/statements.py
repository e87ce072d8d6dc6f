"""Files of sql/: each is one SELECT, with the parameters that it names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from ecr_audit.settings import SQL_ROOT


class WarehouseError(RuntimeError):
    """SQL failed; the message names its file."""


@dataclass(frozen=True)
class Statement:
    """One SELECT of sql/, and the parameters that it names."""

    path: str
    text: str
    parameters: frozenset[str]


def read_statement(relative: str, sql_root: Path = SQL_ROOT) -> Statement:
    """Read a file of sql/, named without its ending (`marts/findings`). Raises WarehouseError if it is not a SELECT."""
    path = sql_root / f"{relative}.sql"
    try:
        return parse_statement(f"sql/{relative}.sql", path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise WarehouseError(f"{path}: cannot be read ({fault.strerror})") from fault


def parse_statement(path: str, text: str) -> Statement:
    """Take SQL text for a statement; `path` is what errors call it. Raises WarehouseError if it is not a SELECT."""
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as fault:
        raise WarehouseError(f"{path}: {fault}") from fault
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise WarehouseError(f"{path}: must contain one SELECT and nothing else")
    return Statement(path, statements[0].query.rstrip().rstrip(";"), frozenset(statements[0].named_parameters))
