"""The data dictionary: what each published table and column means, for people and for the databases' own comments.

Where it is kept, and so where a new table or column is described:

    sql/marts/<table>.sql   the header: what a row is (`-- findings: one row per …`), its `-- key: …`, and what else
                            there is to know of it
    sql/dictionary.yaml     what a column means, once for all tables that have it; and, of tables without a SQL file
                            of their own, what a row is

`make docs` writes docs/data-dictionary.md from it. A test fails on a table or column without a sentence.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import yaml

from ecr_audit.literals import literal
from ecr_audit.macros import published_macros
from ecr_audit.settings import SQL_ROOT
from ecr_audit.yaml_files.loader import SAFE_LOADER

TITLE = """\
# Data dictionary

Every table of `compliance.duckdb`, of the files beside it and of the PostgreSQL schema. Times are UTC.
`open_findings` is a view in DuckDB, with no Parquet or CSV file, and a table in PostgreSQL; `repositories`,
`policy_output`, `tag_moves` and `repository_image_tags` are in no CSV file.
Made by `make docs` from the headers of `sql/marts` and from `sql/dictionary.yaml`: change those.
"""

MACROS_TITLE = """
# Macros

The rules that analyses repeat, as macros in `compliance.duckdb`; PostgreSQL has none. They call each other: where the
file is attached to another session, make it the current database first (`USE`).

| macro | meaning |
|---|---|"""

VIEWS_TITLE = """
# Views of the lake

`lake.sql`, which is published beside the tables, makes a view of each table of the lake for DuckDB: the rows of all
nights, by `snapshot_date`. A column means what the published column of that name means.
"""


@dataclass(frozen=True)
class Column:
    """The meaning of a column, and its unit, empty without one."""

    meaning: str
    unit: str

    def __str__(self) -> str:
        return f"{self.meaning} [{self.unit}]" if self.unit else self.meaning


@dataclass(frozen=True)
class Table:
    """The meaning of a table's row, its key, and notes (Markdown)."""

    row: str
    key: tuple[str, ...]
    notes: str


class Dictionary:
    """The meanings of published tables and columns. `load_dictionary` makes it."""

    def __init__(self, tables: Mapping[str, Table], columns: Mapping[tuple[str, str], Column]) -> None:
        self.tables = tables
        self.columns = columns

    def column(self, table: str, name: str) -> Column:
        """The meaning of a column in this table, else in any. Empty if undocumented, which a test catches."""
        return self.columns.get((table, name)) or self.columns.get(("", name)) or Column("", "")


def load_dictionary(sources: Mapping[str, str], sql_root: Path = SQL_ROOT) -> Dictionary:
    """Read the dictionary of tables, given the SQL that each is made of: a file of sql/, or `FROM …`."""
    document = _document(sql_root / "dictionary.yaml")
    columns = {("", name): _column(entry) for name, entry in document["columns"].items()}
    for table, described in document["tables"].items():
        columns |= {(table, name): _column(entry) for name, entry in described.get("columns", {}).items()}
    tables = {}
    for table, source in sources.items():
        path = sql_root / (f"marts/{table}.sql" if source.startswith("FROM") else f"{source}.sql")
        header = _read_header(path.read_text(encoding="utf-8")) if path.exists() else Table("", (), "")
        given = document["tables"].get(table, {})
        tables[table] = Table(given.get("row", header.row), tuple(given.get("key", header.key)), header.notes)
    return Dictionary(tables, columns)


@cache
def _document(path: Path) -> dict[str, Any]:
    """Read once: a publication asks for it several times."""
    document: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=SAFE_LOADER)  # noqa: S506 - it is safe
    return document


def comment_on(connection: duckdb.DuckDBPyConnection, schema: str, dictionary: Dictionary, kind: str = "TABLE") -> None:
    """Write the meanings into the tables (or, as `kind` says, views) of a schema, where DuckDB's tools show them."""
    statements = []
    for table, described in dictionary.tables.items():
        statements.append(f"COMMENT ON {kind} {schema}.{table} IS {literal(described.row)}")
        statements += [
            f'COMMENT ON COLUMN {schema}.{table}."{name}" IS {literal(str(dictionary.column(table, name)))}'
            for name, _ in columns_of(connection, f"{schema}.{table}")
        ]
    # In one transaction: each of its own would be written to the disk before the next.
    connection.execute("; ".join(["BEGIN", *statements, "COMMIT"]))


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    """Names and types of a table's columns, in order."""
    return [(name, kind) for name, kind, *_ in connection.execute(f"DESCRIBE {table}").fetchall()]


def to_markdown(connection: duckdb.DuckDBPyConnection, dictionary: Dictionary, views: Dictionary) -> str:
    """The dictionary as a page: the tables of a published database, its macros, then the views of the lake.

    The session has both; a view is called `lake_<table>`.
    """
    parts = [TITLE, "\n".join(f"- [{table}](#{table}): {dictionary.tables[table].row}" for table in dictionary.tables)]
    parts += _described(connection, dictionary, "")
    parts += [MACROS_TITLE, *(f"| `{each}` | {_capitalized(each.meaning)} |" for each in published_macros())]
    parts += [VIEWS_TITLE, *_described(connection, views, "lake_")]
    return "\n".join(parts) + "\n"


def _described(connection: duckdb.DuckDBPyConnection, dictionary: Dictionary, prefix: str) -> Iterator[str]:
    for table, described in dictionary.tables.items():
        key = f"Key: {', '.join(f'`{column}`' for column in described.key)}." if described.key else ""
        yield f"\n## {prefix}{table}\n\n{_capitalized(described.row)} {key}".rstrip()
        if described.notes:
            yield f"\n{described.notes}"
        yield "\n| column | type | unit | meaning |\n|---|---|---|---|"
        for name, kind in columns_of(connection, f"{prefix}{table}"):
            column = dictionary.column(table, name)
            yield f"| `{name}` | {kind} | {column.unit} | {column.meaning} |"


def _column(entry: str | Mapping[str, Any]) -> Column:
    return Column(entry, "") if isinstance(entry, str) else Column(entry["meaning"], entry["unit"])


def _read_header(text: str) -> Table:
    """The comment at the top of a SQL file: `-- name: what a row is`, then `-- key: …`, `from: …`, then the rest."""
    comment = itertools.takewhile(lambda line: line.startswith("--"), text.splitlines())
    lines = [line.removeprefix("--").removeprefix(" ") for line in comment]
    ends = next(number for number, line in enumerate(lines) if re.match(r"(key|from): ", line))
    row = " ".join(lines[:ends]).partition(": ")[2]
    key = re.match(r"key: ([\w, ]+)\.", lines[ends])
    begins = next(number for number, line in enumerate(lines[ends:], ends) if line.endswith(".")) + 1
    return Table(row, tuple(re.split(r",\s*", key[1])) if key else (), _notes(lines[begins:]))


def _notes(lines: list[str]) -> str:
    """Prose as it stands; an indented list, such as of kinds of change, as preformatted text."""
    blocks = ["\n".join(block) for _, block in itertools.groupby(lines, lambda line: line.startswith("  "))]
    return "\n\n".join(f"```text\n{block}\n```" if block.startswith("  ") else block for block in blocks)


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
