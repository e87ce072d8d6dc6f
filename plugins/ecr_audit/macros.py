"""The macros of sql/: macros.sql for sessions alone, published_macros.sql for sessions and for the published file.

Those that are published hold for every reader of the file, also for one with DuckDB 1.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb

from ecr_audit.literals import literal
from ecr_audit.settings import SQL_ROOT

FILES = _SESSION, _PUBLISHED = "macros.sql", "published_macros.sql"

_CREATE = re.compile(r"^CREATE MACRO (?P<name>\w+)\((?P<parameters>[^)]*)\) AS", re.MULTILINE)

# The macros of a session, each by all that DuckDB shows of it but its comment. Named in full: a file could hold a
# function of the same name.
_DESCRIBED = """
SELECT function_name, function_type, parameters::VARCHAR, parameter_types::VARCHAR, macro_definition
FROM system.main.duckdb_functions()
WHERE NOT internal
"""


@dataclass(frozen=True)
class Macro:
    """A macro as its file has it: the meaning in its comment, and the statement that creates it."""

    name: str
    parameters: tuple[str, ...]
    meaning: str
    statement: str

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"


def create_session_macros(connection: duckdb.DuckDBPyConnection, sql_root: Path = SQL_ROOT) -> None:
    """Create all macros in a session, those of this folder of SQL."""
    for file in FILES:
        connection.execute(_text(file, sql_root))


def create_published_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Create those that are published, with their meanings, in the current database of a connection."""
    for macro in published_macros():
        connection.execute(macro.statement)
        connection.execute(f"COMMENT ON MACRO {macro.name} IS {literal(macro.meaning)}")


def published_macros() -> list[Macro]:
    """Those that are published, in the order of their file."""
    return list(_macros(_PUBLISHED).values())


def macro(name: str) -> Macro:
    """The macro of a name."""
    return (_macros(_SESSION) | _macros(_PUBLISHED))[name]


def foreign_macros(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The names of a session's macros that are not, to the letter, those that are published."""
    return sorted({name for name, *_ in _described(connection) - _expected()})


@cache
def _text(file: str, sql_root: Path = SQL_ROOT) -> str:
    return (sql_root / file).read_text(encoding="utf-8")


@cache
def _macros(file: str) -> dict[str, Macro]:
    macros = {}
    for statement in duckdb.extract_statements(_text(file)):
        found = _CREATE.search(statement.query)
        if found is None:
            raise ValueError(f"sql/{file}: a statement does not begin with CREATE MACRO: {statement.query}")
        # The last paragraph before the statement is its comment.
        comment = statement.query[: found.start()].strip("\n").rpartition("\n\n")[2]
        meaning = " ".join(line.removeprefix("--").strip() for line in comment.splitlines())
        name = found["name"]
        macros[name] = Macro(
            name,
            tuple(each.strip() for each in found["parameters"].split(",") if each.strip()),
            meaning.removeprefix(f"{name}: "),
            statement.query[found.start() :].rstrip("; \n"),
        )
    return macros


@cache
def _expected() -> frozenset[tuple[str, ...]]:
    """The published macros, as the DuckDB of this process writes them."""
    with duckdb.connect() as connection:
        connection.execute(_text(_PUBLISHED))
        return _described(connection)


def _described(connection: duckdb.DuckDBPyConnection) -> frozenset[tuple[str, ...]]:
    return frozenset(connection.execute(_DESCRIBED).fetchall())
