"""Publishes the tables of `compliance.duckdb` to PostgreSQL as well, in one transaction.

The tables stay and their rows are replaced (DELETE, then INSERT): readers are never locked out, and who reads in one
transaction sees one publication, the old or the new. Dropping and renaming tables would give neither. Grants, and
other people's views, stay too; only a table whose columns have changed is made again, which waits for its readers, but
not for long. One that is no longer published is dropped: it would go on showing the day on which it was left off.

The audit's own tables are those in its register, a table of the same schema, as far as the publisher owns them. No
other table is ever touched, whatever its name and comment.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as postgresql
import duckdb

from ecr_audit.errors import FinalError
from ecr_audit.literals import literal
from ecr_audit.publish.dictionary import Dictionary, columns_of
from ecr_audit.publish.published_file import open_published

# DuckDB's types, and what they become; lists of text stay lists, whatever else is nested becomes JSON.
TYPES = {
    "VARCHAR": "text",
    "VARCHAR[]": "text[]",
    "BOOLEAN": "boolean",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
}

# Tables with rows that have NULL in their key: values of no account, reasons without a facet.
_NULL_IN_KEY = ("unread_values", "undetermined_reasons")

# People look for the rows of an account, an owner, a repository; where the key does not begin with one, it is indexed.
_INDEXED = ("account_id", "owner", "repository_arn", "object_id")

# Names the audit's own tables in the schema, one a row.
REGISTER = "ecr_audit_tables"

# Ends the comment of each of them. Versions without a register knew their tables by it alone.
_MARK = " [published by ecr_audit]"

# Seconds. While one waits for a table's readers to end, those that come later wait behind it.
WAIT_FOR_READERS = 10
WAIT_FOR_PUBLISHER = 60
_LOCK_NOT_AVAILABLE = "55P03"

# Relations of the schema; whether each is a table of the publisher, and has the mark. Those of a role that
# the publisher is a member of is the publisher's; a superuser, who counts as a member of all roles, owns only its own.
_RELATIONS = """
SELECT
    relation.relname::text,
    relation.relkind = 'r' AND (
        relation.relowner = publisher.oid
        OR (NOT publisher.rolsuper AND pg_has_role(publisher.oid, relation.relowner, 'USAGE'))
    ),
    coalesce(obj_description(relation.oid, 'pg_class') LIKE {mark}, FALSE)
FROM pg_class AS relation
JOIN pg_namespace AS namespace ON namespace.oid = relation.relnamespace
JOIN pg_roles AS publisher ON publisher.rolname = current_user
WHERE namespace.nspname = {schema}
"""

_HOLDERS = """
SELECT DISTINCT activity.pid::text, coalesce(activity.usename::text, '')
FROM pg_locks AS lock
JOIN pg_stat_activity AS activity USING (pid)
WHERE lock.relation = to_regclass({table})
    AND lock.granted
    AND activity.pid <> pg_backend_pid()
"""


class PostgresError(FinalError):
    """A table cannot be published to PostgreSQL as it is."""


class PostgresBusyError(RuntimeError):
    """Somebody else holds a lock that publishing needs, and did not release it in time. Nothing has changed."""


def publish_to_postgres(database: Path, uri: str, schema: str, dictionary: Dictionary) -> dict[str, int]:
    """Replace the rows of all published tables in a schema of a PostgreSQL database. Returns the rows of each.

    `uri` is libpq's. The schema is created when it is not there. Raises PostgresError for a table under a name of ours
    that the audit did not make, and for a database that another version published; PostgresBusyError when a lock cannot
    be had in time; and what the driver raises (adbc_driver_manager.Error) when the server cannot be reached or refuses.
    Nothing has changed then.
    """
    with open_published(database) as published:
        _require_tables(published, dictionary)
        with _transaction(uri, schema, dictionary) as target:
            target.prepare()
            rows = {table: target.replace(published, table) for table in dictionary.tables}
            target.drop_what_is_no_longer_published()
            target.commit()
    return rows


def _require_tables(published: duckdb.DuckDBPyConnection, dictionary: Dictionary) -> None:
    """Refuse a database without a table of this version's: the program may be newer than what it published last."""
    found = {name for (name,) in published.execute("SELECT table_name FROM information_schema.tables").fetchall()}
    if missing := sorted(dictionary.tables.keys() - found):
        raise PostgresError(
            f"The published database has no table {', '.join(missing)}: another version of the audit published it."
            " Run ecr_compliance again."
        )


def check_schema(uri: str, schema: str, dictionary: Dictionary) -> None:
    """Find out whether publishing could begin, and leave nothing behind. Raises what `publish_to_postgres` does."""
    with _transaction(uri, schema, dictionary) as target:
        target.prepare()


@contextmanager
def _transaction(uri: str, schema: str, dictionary: Dictionary) -> Iterator[_Schema]:
    """The schema, in a transaction that leaves nothing behind unless it is committed."""
    with postgresql.connect(uri) as connection, connection.cursor() as cursor:
        target = _Schema(connection, cursor, schema, dictionary)
        try:
            yield target
        except postgresql.Error as fault:
            if fault.sqlstate != _LOCK_NOT_AVAILABLE:
                raise
            connection.rollback()
            raise PostgresBusyError(target.who_is_in_the_way()) from fault


class _Schema:
    """A schema that is published to, in one transaction."""

    def __init__(self, connection: Any, cursor: Any, name: str, dictionary: Dictionary) -> None:
        self._connection = connection
        self._cursor = cursor
        self._name = name
        self._dictionary = dictionary
        self._own: set[str] = set()
        # The object of a lock that is waited for.
        self._locking: str | None = None

    def prepare(self) -> None:
        """Keep other publishers out until the transaction ends, and find the audit's own tables."""
        self._wait_at_most(WAIT_FOR_PUBLISHER)
        # The driver reports errors of a query when its rows are fetched.
        self._rows(f"SELECT pg_advisory_xact_lock(hashtext({literal(self._name)}))::text")
        self._wait_at_most(WAIT_FOR_READERS)
        if not self._rows(f"SELECT 1 FROM pg_namespace WHERE nspname = {literal(self._name)}"):
            self._execute(f"CREATE SCHEMA {_identifier(self._name)}")
        found = self._rows(_RELATIONS.format(schema=literal(self._name), mark=literal(f"%{_MARK}")))
        owned = {name for name, is_owned, _ in found if is_owned}
        names = {name for name, *_ in found}
        if REGISTER not in names:
            self._execute(f"CREATE TABLE {self._table(REGISTER)} (table_name text PRIMARY KEY)")
            self._execute(f"COMMENT ON TABLE {self._table(REGISTER)} IS 'The tables that ecr_audit publishes.'")
            # From a version without a register.
            for name in sorted({name for name, _, is_marked in found if is_marked} & owned):
                if name in self._dictionary.tables:
                    self._register(name)
        elif REGISTER not in owned:
            raise PostgresError(f"{self._table(REGISTER)} is not a table of the publisher. {_REMEDY}")
        self._own = owned & {name for (name,) in self._rows(f"SELECT table_name FROM {self._table(REGISTER)}")}
        if others := sorted((names & self._dictionary.tables.keys()) - self._own):
            listed = ", ".join(map(self._table, others))
            raise PostgresError(f"These already exist, and the audit did not create them: {listed}. {_REMEDY}")

    def replace(self, published: duckdb.DuckDBPyConnection, table: str) -> int:
        """Replace the rows of a table; make it when it is not there or has other columns. Returns their number."""
        columns = {name: _type(kind) for name, kind in columns_of(published, table)}
        self._locking = table
        if self._columns(table) != columns:
            self._create(table, columns)
        self._comment(table, columns)
        # Into a temporary table first: the driver's COPY knows neither jsonb nor casts.
        selected = ", ".join(
            f"to_json({_identifier(name)})::VARCHAR AS {_identifier(name)}" if kind == "jsonb" else _identifier(name)
            for name, kind in columns.items()
        )
        reader = published.execute(f"SELECT {selected} FROM {table}").to_arrow_reader()
        incoming = f"incoming_{table}"
        self._cursor.adbc_ingest(incoming, reader, mode="create", temporary=True)
        names = ", ".join(map(_identifier, columns))
        cast = ", ".join(f"{_identifier(name)}::{kind}" for name, kind in columns.items())
        self._execute(f"DELETE FROM {self._table(table)}")
        self._execute(f"INSERT INTO {self._table(table)} ({names}) SELECT {cast} FROM pg_temp.{_identifier(incoming)}")
        self._execute(f"DROP TABLE pg_temp.{_identifier(incoming)}")
        # Else the planner uses the statistics of another night. A running autovacuum updates them as well.
        self._execute(f"ANALYZE (SKIP_LOCKED) {self._table(table)}")
        [(count,)] = self._rows(f"SELECT count(*) FROM {self._table(table)}")
        return int(count)

    def drop_what_is_no_longer_published(self) -> None:
        """Drop the audit's own tables that the dictionary does not have."""
        for table in sorted(self._own - self._dictionary.tables.keys()):
            self._locking = table
            self._execute(f"DROP TABLE {self._table(table)}")
            self._execute(f"DELETE FROM {self._table(REGISTER)} WHERE table_name = {literal(table)}")

    def commit(self) -> None:
        """Make all tables visible in one transaction."""
        self._connection.commit()

    def who_is_in_the_way(self) -> str:
        """After a lock was not to be had: what for, and which sessions of the server hold one."""
        if self._locking is None:
            return (
                f"PostgreSQL: another publication into schema {self._name} has not ended for {WAIT_FOR_PUBLISHER} s."
                " Wait for its end, then publish again."
            )
        holders = self._rows(_HOLDERS.format(table=literal(self._table(self._locking))))
        listed = ", ".join(f"{pid} ({user})" for pid, user in holders) or "none any longer"
        return (
            f"PostgreSQL: {self._table(self._locking)} could not be locked within {WAIT_FOR_READERS} s. A table whose"
            f" columns have changed is created again, which needs its readers to end. Sessions that hold it: {listed}."
            " Wait for their end, or end them with pg_terminate_backend, then publish again."
        )

    def _columns(self, table: str) -> dict[str, str]:
        """Names and types of the columns of a table; empty if it does not exist."""
        return dict(
            self._rows(
                f"""
                SELECT attname::text, format_type(atttypid, atttypmod)
                FROM pg_attribute
                WHERE attrelid = to_regclass({literal(self._table(table))})
                    AND attnum > 0
                    AND NOT attisdropped
                ORDER BY attnum
                """,
            )
        )

    def _create(self, table: str, columns: dict[str, str]) -> None:
        key = self._dictionary.tables[table].key
        if table in self._own:
            self._execute(f"DROP TABLE {self._table(table)}")
        defined = [f"{_identifier(name)} {kind}" for name, kind in columns.items()]
        if key:
            # ou_id is NULL for other scopes and in what an older version wrote, which a primary key does not allow.
            constraint = "UNIQUE" if "ou_id" in key or table in _NULL_IN_KEY else "PRIMARY KEY"
            defined.append(f"{constraint} ({', '.join(map(_identifier, key))})")
        self._execute(f"CREATE TABLE {self._table(table)} ({', '.join(defined)})")
        self._register(table)
        for name in _INDEXED:
            if name in columns and key[:1] != (name,):
                self._execute(f"CREATE INDEX ON {self._table(table)} ({_identifier(name)})")

    def _comment(self, table: str, columns: dict[str, str]) -> None:
        meaning = literal(self._dictionary.tables[table].row + _MARK)
        self._execute(f"COMMENT ON TABLE {self._table(table)} IS {meaning}")
        for name in columns:
            meaning = literal(str(self._dictionary.column(table, name)))
            self._execute(f"COMMENT ON COLUMN {self._table(table)}.{_identifier(name)} IS {meaning}")

    def _register(self, table: str) -> None:
        self._execute(f"INSERT INTO {self._table(REGISTER)} VALUES ({literal(table)}) ON CONFLICT DO NOTHING")

    def _table(self, name: str) -> str:
        return f"{_identifier(self._name)}.{_identifier(name)}"

    def _wait_at_most(self, seconds: int) -> None:
        self._execute(f"SET LOCAL lock_timeout = '{seconds}s'")

    def _execute(self, sql: str) -> None:
        self._cursor.execute(sql)

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        self._cursor.execute(sql)
        return list(self._cursor.fetchall())


_REMEDY = "Rename or drop it, or name another schema in ECR_AUDIT_POSTGRES_SCHEMA."


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _type(kind: str) -> str:
    if kind.startswith(("MAP(", "STRUCT(")):
        return "jsonb"
    if kind not in TYPES:
        raise PostgresError(f"There is no PostgreSQL type for DuckDB's {kind}: add it to postgres.py")
    return TYPES[kind]
