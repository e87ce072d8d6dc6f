"""Opens a published DuckDB file, read-only and confined: the one way for every reader of the audit.

Whoever may write the folder of publications decides what the file says, and must not decide more than that. So it is
opened without extensions, can reach no other file, and may hold only what publishing makes: tables, views that
read those, and the macros of sql/published_macros.sql to the letter. Another view could read a file of the reader's
machine, or end the reader's process; another macro is called in place of the function whose name it bears.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from ecr_audit.errors import FinalError
from ecr_audit.macros import foreign_macros
from ecr_audit.untrusted_files import read_bytes
from ecr_audit.warehouse.sandbox import NO_EXTENSIONS, confine, syntax_nodes

# DuckDB's own mark in the header of its files, after a checksum of 8 bytes ("Internals: Storage", duckdb.org).
_MAGIC = b"DUCK"
_MAGIC_AT = 8

# Objects that publishing never makes. Functions and tables have full names: the file could have some of the same name.
_FOREIGN = """
SELECT 'type' AS kind, type_name AS name FROM system.main.duckdb_types() WHERE NOT internal
UNION ALL
SELECT 'schema', schema_name FROM system.main.duckdb_schemas() WHERE NOT internal
UNION ALL
SELECT 'sequence', sequence_name FROM system.main.duckdb_sequences()
UNION ALL
SELECT 'index', index_name FROM system.main.duckdb_indexes()
LIMIT 1
"""

# The views and, after those words, the syntax tree of each.
_CREATE_VIEW = "CREATE VIEW {} AS "
_VIEWS = """
SELECT view_name, sql, system.main.json_serialize_sql(sql[length('CREATE VIEW ' || view_name || ' AS ') + 1:])
FROM system.main.duckdb_views()
WHERE NOT internal
"""

# Looked for last: DuckDB binds all views to list their columns.
_COMPUTED = """
SELECT column_name FROM system.main.duckdb_columns() WHERE NOT internal AND column_default IS NOT NULL LIMIT 1
"""

_PUBLISH_AGAIN = "Run ecr_compliance again, which replaces it."

_opening = threading.Lock()


class PublishedFileError(FinalError):
    """The file is not one that the audit publishes; the message names it and its foreign content."""


def open_published(
    database: Path, *, limits: Mapping[str, Any] | None = None, folder: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection to a published file, whose times are UTC. Close it, or use it in a `with` statement.

    `limits` are settings of DuckDB, such as memory_limit; they cannot be changed afterwards. `folder`: the only one
    whose other files may be read and written. One process cannot have the same path open with two sets of limits.
    Raises PublishedFileError, and duckdb.Error when the file is damaged.
    """
    _require_duckdb_file(database)
    with _opening:
        connection = duckdb.connect(database, read_only=True, config={**NO_EXTENSIONS, **(limits or {})})
        try:
            # Connections to the same path share a database, which the first of them has locked.
            [(is_locked,)] = connection.execute("SELECT current_setting('lock_configuration')").fetchall()
            if not is_locked:
                connection.execute("SET GLOBAL TimeZone = 'UTC'")
                confine(connection, folders=[folder] if folder else [])
            if foreign := next(_foreign(connection), None):
                raise PublishedFileError(
                    f"'{database}' holds {foreign}, which this version of the audit does not publish: another version"
                    " wrote the file, or somebody changed it. In the latter case check who may write its folder;"
                    " then run ecr_compliance again, which replaces it."
                )
        except BaseException:
            connection.close()
            raise
    return connection


def _require_duckdb_file(database: Path) -> None:
    try:
        header = read_bytes(database, _MAGIC_AT + len(_MAGIC))
    except OSError as fault:
        raise PublishedFileError(f"'{database}' cannot be read ({fault.strerror}). {_PUBLISH_AGAIN}") from fault
    if header[_MAGIC_AT:] != _MAGIC:
        raise PublishedFileError(f"'{database}' is not a DuckDB file. {_PUBLISH_AGAIN}")


def _foreign(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Contents of the file that publishing does not make. Each query relies on the earlier ones finding nothing."""
    for name in foreign_macros(connection):
        yield f"the macro {name!r}"
    for kind, name in connection.execute(_FOREIGN).fetchall():
        yield f"the {kind} {name!r}"
    tables = {name for (name,) in connection.execute("SELECT table_name FROM system.main.duckdb_tables()").fetchall()}
    for name, sql, tree in connection.execute(_VIEWS).fetchall():
        # A name in quotes is none of ours, and could make the tree that of another text.
        if not sql.startswith(_CREATE_VIEW.format(name)) or not _reads_tables_only(tree, tables):
            yield f"the view {name!r}"
    for (name,) in connection.execute(_COMPUTED).fetchall():
        yield f"the computed column {name!r}"


def _reads_tables_only(tree: str, tables: set[str]) -> bool:
    """Whether a query, given as its syntax tree, reads these tables and calls no function in place of one."""
    try:
        nodes = list(syntax_nodes(tree))
    except ValueError:
        return False
    return not any(
        node.get("type") in ("TABLE_FUNCTION", "SHOW_REF")
        or (node.get("type") == "BASE_TABLE" and node.get("table_name") not in tables)
        for node in nodes
    )
