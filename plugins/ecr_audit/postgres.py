"""Publishes the tables of `compliance.duckdb` to PostgreSQL as well, in one transaction.

The tables stay and their rows are replaced (DELETE, then INSERT): readers are never locked out, and who reads in one
transaction sees one publication, the old or the new. Dropping and renaming tables would give neither. Grants, and
other people's views, stay too; only a table whose columns have changed is made anew. One that is published no more is
dropped: it would go on showing the day on which it was left off. Tables of others in the schema are not touched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as postgresql
import duckdb

from ecr_audit.dictionary import Dictionary, columns_of, quoted
from ecr_audit.errors import FinalError

# DuckDB's types, and what they become; lists of text stay lists, whatever else is nested becomes JSON.
_TYPES = {
    "VARCHAR": "text",
    "VARCHAR[]": "text[]",
    "BOOLEAN": "boolean",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
}

# People look for the rows of an account, an owner, a repository; where the key does not begin with one, it is indexed.
_INDEXED = ("account_id", "owner", "repository_arn", "object_id")


_OWN_TABLES = """
SELECT relname::text
FROM pg_class
WHERE relnamespace = to_regnamespace({schema})
    AND relkind = 'r'
    AND obj_description(oid, 'pg_class') LIKE {mark}
"""

# Ends the comment of each table that was made here, and so tells them from those of others.
_MARK = " [published by ecr_audit]"


class PostgresError(FinalError):
    """A table cannot be published to PostgreSQL as it is."""


def publish_to_postgres(database: Path, uri: str, schema: str, dictionary: Dictionary) -> dict[str, int]:
    """Replace the rows of all published tables in a schema of a PostgreSQL database. Returns the rows of each.

    `uri` is libpq's (`postgresql://user:password@host/database`). The schema is created when it is not there; its name
    must be a plain identifier. Raises what the driver raises (adbc_driver_manager.Error) when the server cannot be
    reached or refuses; nothing has changed then.
    """
    rows: dict[str, int] = {}
    with (
        duckdb.connect(database, read_only=True) as published,
        postgresql.connect(uri) as connection,
        connection.cursor() as cursor,
    ):
        published.execute("SET TimeZone = 'UTC'")
        # One publisher at a time; the lock falls with the transaction.
        cursor.execute(f"SELECT pg_advisory_xact_lock(hashtext({quoted(schema)}))")
        if not _rows_of(cursor, f"SELECT 1 FROM pg_namespace WHERE nspname = {quoted(schema)}"):
            cursor.execute(f"CREATE SCHEMA {schema}")
        for table in dictionary.tables:
            rows[table] = _replace(published, cursor, schema, table, dictionary)
        for (table,) in _rows_of(cursor, _OWN_TABLES.format(schema=quoted(schema), mark=quoted(f"%{_MARK}"))):
            if table not in dictionary.tables:
                cursor.execute(f'DROP TABLE {schema}."{table}"')
        connection.commit()
    return rows


def _replace(published: duckdb.DuckDBPyConnection, cursor: Any, schema: str, table: str, dictionary: Dictionary) -> int:
    columns = {name: _type(kind) for name, kind in columns_of(published, table)}
    if _existing(cursor, schema, table) != columns:
        _create(cursor, schema, table, columns, dictionary)
    _comment(cursor, schema, table, columns, dictionary)
    # Into a temporary table first: the driver's COPY knows neither jsonb nor casts.
    selected = ", ".join(
        f'to_json("{name}")::VARCHAR AS "{name}"' if kind == "jsonb" else f'"{name}"' for name, kind in columns.items()
    )
    reader = published.execute(f"SELECT {selected} FROM {table}").to_arrow_reader()
    incoming = f"incoming_{table}"
    cursor.adbc_ingest(incoming, reader, mode="create", temporary=True)
    names = ", ".join(f'"{name}"' for name in columns)
    cast = ", ".join(f'"{name}"::{kind}' for name, kind in columns.items())
    cursor.execute(f'DELETE FROM {schema}."{table}"')
    cursor.execute(f'INSERT INTO {schema}."{table}" ({names}) SELECT {cast} FROM pg_temp."{incoming}"')
    cursor.execute(f'DROP TABLE pg_temp."{incoming}"')
    [(count,)] = _rows_of(cursor, f'SELECT count(*) FROM {schema}."{table}"')
    return int(count)


def _type(kind: str) -> str:
    if kind.startswith(("MAP(", "STRUCT(")):
        return "jsonb"
    if kind not in _TYPES:
        raise PostgresError(f"No PostgreSQL type is chosen for DuckDB's {kind}: add it to postgres.py")
    return _TYPES[kind]


def _existing(cursor: Any, schema: str, table: str) -> dict[str, str]:
    """Names and types of the columns of a table of PostgreSQL; none when there is no such table."""
    return dict(
        _rows_of(
            cursor,
            f"""
            SELECT attname::text, format_type(atttypid, atttypmod)
            FROM pg_attribute
            WHERE attrelid = to_regclass({quoted(f'{schema}."{table}"')})
                AND attnum > 0
                AND NOT attisdropped
            ORDER BY attnum
            """,
        )
    )


def _create(cursor: Any, schema: str, table: str, columns: dict[str, str], dictionary: Dictionary) -> None:
    described = dictionary.tables[table]
    cursor.execute(f'DROP TABLE IF EXISTS {schema}."{table}"')
    defined = [f'"{name}" {kind}' for name, kind in columns.items()]
    if described.key:
        defined.append(f"PRIMARY KEY ({', '.join(described.key)})")
    cursor.execute(f'CREATE TABLE {schema}."{table}" ({", ".join(defined)})')
    for name in _INDEXED:
        if name in columns and described.key[:1] != (name,):
            cursor.execute(f'CREATE INDEX ON {schema}."{table}" ("{name}")')


def _comment(cursor: Any, schema: str, table: str, columns: dict[str, str], dictionary: Dictionary) -> None:
    meaning = dictionary.tables[table].row
    cursor.execute(f'COMMENT ON TABLE {schema}."{table}" IS {quoted(meaning + _MARK)}')
    for name in columns:
        meaning = quoted(str(dictionary.column(table, name)))
        cursor.execute(f'COMMENT ON COLUMN {schema}."{table}"."{name}" IS {meaning}')


def _rows_of(cursor: Any, sql: str) -> list[tuple[Any, ...]]:
    cursor.execute(sql)
    return list(cursor.fetchall())
