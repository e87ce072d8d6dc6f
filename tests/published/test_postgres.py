"""Publication to a real PostgreSQL: the same rows, keys, comments and grants, and readers that never see half."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, date
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as postgresql
import duckdb
import pytest
from adbc_driver_manager import ProgrammingError

from ecr_audit.publish import postgres as publishing
from ecr_audit.publish import steps
from ecr_audit.publish.build import publish
from ecr_audit.publish.dictionary import columns_of, load_dictionary
from ecr_audit.publish.postgres import PostgresBusyError, PostgresError, publish_to_postgres
from ecr_audit.publish.tables import TABLES, VIEWS
from support.small_lake import SmallLake

DICTIONARY = load_dictionary(TABLES | VIEWS)
DAY = date(2026, 11, 1)
# Enough where it does not matter which tables there are.
FEW_TABLES = {table: TABLES[table] for table in ("findings", "waivers", "publication")}
FEW = load_dictionary(FEW_TABLES)


@pytest.fixture(scope="module")
def database(demo: Path) -> Path:
    return demo / "publish" / "compliance.duckdb"


@pytest.fixture
def schema(postgres: str, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"audit_{abs(hash(request.node.name))}"
    yield name
    ask(postgres, f"DROP SCHEMA IF EXISTS {name} CASCADE")


def ask(uri: str, sql: str) -> list[tuple[Any, ...]]:
    with postgresql.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []


def test_every_table_arrives_with_the_same_rows(postgres: str, schema: str, database: Path) -> None:
    rows = publish_to_postgres(database, postgres, schema, DICTIONARY)
    assert set(rows) == set(TABLES | VIEWS)
    with duckdb.connect(database, read_only=True) as published:
        assert rows == {table: published.table(table).shape[0] for table in TABLES | VIEWS}
        for table, columns in {
            "findings": "policy_id, repository_arn, account_name, owner, exclusion_filters, age_days, observed",
            "section_compliance": "snapshot_date, section_id, scope_type, scope_id, flags, compliance_percent",
        }.items():
            here = published.execute(f"SELECT {columns} FROM {table} ORDER BY ALL").fetchall()
            there = ask(postgres, f"SELECT {columns} FROM {schema}.{table}")
            assert sorted(map(str, there)) == sorted(map(str, here)), table


def test_nested_values_times_and_nulls_keep_their_meaning(postgres: str, schema: str, database: Path) -> None:
    publish_to_postgres(database, postgres, schema, DICTIONARY)
    columns = "repository_arn, tags, image_tag_mutability_exclusion_filters, collected_at, kms_key"
    with duckdb.connect(database, read_only=True) as published:
        here = {row[0]: row[1:] for row in published.execute(f"SELECT {columns} FROM repositories").fetchall()}
    there = ask(
        postgres,
        f"""
        SELECT repository_arn, tags::text, image_tag_mutability_exclusion_filters::text, collected_at, kms_key
        FROM {schema}.repositories
        """,
    )
    assert len(there) == len(here)
    for arn, tags, filters, collected_at, kms_key in there:
        assert (json.loads(tags), json.loads(filters), collected_at.astimezone(UTC), kms_key) == (
            *here[arn][:2],
            here[arn][2].astimezone(UTC),
            here[arn][3],
        )
    owned = f"SELECT count(*) FROM {schema}.repositories WHERE tags ->> 'owner' IS NOT NULL"
    assert ask(postgres, owned)[0][0] > 0


def test_two_units_with_one_path_are_two_rows(
    postgres: str, schema: str, small_lake: SmallLake, tmp_path: Path
) -> None:
    """AWS may give two units one path while they are renamed."""
    small_lake.scan(
        DAY,
        accounts=[
            {"ou_path": "Root/Prod", "unit_ids": ["r-test", "ou-test-00000001"]},
            {"account_id": "222222222222", "ou_path": "Root/Prod", "unit_ids": ["r-test", "ou-test-00000002"]},
        ],
        repositories=[{}, {"account_id": "222222222222"}],
    )
    small_lake.evaluate(DAY)
    publication = publish(small_lake.lake, small_lake.catalog, tmp_path, owner_tags=())
    publish_to_postgres(publication.database, postgres, schema, DICTIONARY)
    units = ask(postgres, f"SELECT DISTINCT ou_path, ou_id FROM {schema}.ou_compliance WHERE ou_path <> 'Root'")
    assert sorted(units) == [("Root/Prod", "ou-test-00000001"), ("Root/Prod", "ou-test-00000002")]


@pytest.mark.usefixtures("database_alone")
def test_values_of_no_account_and_reasons_without_a_facet_arrive(
    postgres: str, schema: str, small_lake: SmallLake, tmp_path: Path
) -> None:
    """NULL in a key, which a primary key would refuse, with all that is published."""
    unread = {"regions_read_at": None, "regions_error": "UnauthorizedOperation"}
    small_lake.scan(DAY, repositories=[{"image_tag_mutability": "odd"}], details=unread)
    small_lake.evaluate(DAY)
    publication = publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=())
    publish_to_postgres(publication.database, postgres, schema, DICTIONARY)
    assert ask(postgres, f"SELECT kind, account_id FROM {schema}.unread_values") == [("regions", None)]
    assert ask(postgres, f"SELECT DISTINCT reason, facet FROM {schema}.undetermined_reasons") == [
        ("unknown_value", None)
    ]


def test_keys_indexes_and_comments(postgres: str, schema: str, database: Path) -> None:
    publish_to_postgres(database, postgres, schema, DICTIONARY)
    keys = dict(
        ask(
            postgres,
            f"""
            SELECT c.relname::text, pg_get_indexdef(i.indexrelid)
            FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
            WHERE i.indisunique AND c.relnamespace = '{schema}'::regnamespace
            """,
        )
    )
    for table, described in DICTIONARY.tables.items():
        if described.key:
            assert keys[table].endswith(f"USING btree ({', '.join(described.key)})")
    indexes = ask(postgres, f"SELECT indexdef FROM pg_indexes WHERE schemaname = '{schema}' AND tablename = 'findings'")
    assert any(definition.endswith("(owner)") for (definition,) in indexes)
    assert ask(postgres, f"SELECT col_description('{schema}.findings'::regclass, 1)") == [
        (str(DICTIONARY.column("findings", "snapshot_date")),)
    ]


def test_publishing_again_makes_no_second_copy_and_keeps_grants(postgres: str, schema: str, database: Path) -> None:
    """The read-only role of docs/analysts.md: it reads, also after the next publication, and can do nothing else."""
    reader = f"{schema}_reader"
    first = publish_to_postgres(database, postgres, schema, DICTIONARY)
    for statement in (
        f"CREATE ROLE {reader} LOGIN",
        f"GRANT USAGE ON SCHEMA {schema} TO {reader}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
    ):
        ask(postgres, statement)
    try:
        # As after an upgrade: a table with other columns is made again.
        ask(postgres, f"ALTER TABLE {schema}.findings ADD COLUMN of_old integer")
        assert publish_to_postgres(database, postgres, schema, DICTIONARY) == first
        as_reader = postgres.replace("publisher@", f"{reader}@")
        for table in TABLES:
            assert ask(as_reader, f"SELECT count(*) FROM {schema}.{table}") == [(first[table],)]
        for forbidden in (f"DELETE FROM {schema}.findings", f"CREATE TABLE {schema}.mine (a integer)"):
            with pytest.raises(ProgrammingError, match="permission denied"):
                ask(as_reader, forbidden)
    finally:
        ask(postgres, f"DROP OWNED BY {reader}")
        ask(postgres, f"DROP ROLE {reader}")


def tables_of(uri: str, schema: str) -> set[str]:
    found = ask(uri, f"SELECT relname::text FROM pg_class WHERE relnamespace = '{schema}'::regnamespace")
    return {name for (name,) in found}


def test_a_table_that_is_no_longer_published_goes_and_others_stay(postgres: str, schema: str, database: Path) -> None:
    publish_to_postgres(database, postgres, schema, FEW)
    ask(postgres, f"CREATE TABLE {schema}.waivers_of_mine (a integer)")
    ask(postgres, f"COMMENT ON TABLE {schema}.waivers_of_mine IS 'Waivers [published by ecr_audit]'")
    ask(postgres, f"CREATE VIEW {schema}.open_ones AS SELECT * FROM {schema}.findings")
    fewer = {table: source for table, source in FEW_TABLES.items() if table != "waivers"}
    publish_to_postgres(database, postgres, schema, load_dictionary(fewer))
    found = tables_of(postgres, schema)
    assert found >= {*fewer, "waivers_of_mine", "open_ones"}
    assert "waivers" not in found
    # And back again.
    publish_to_postgres(database, postgres, schema, FEW)
    assert tables_of(postgres, schema) >= {*FEW_TABLES, "waivers_of_mine", "open_ones"}


def test_no_name_and_no_comment_leads_out_of_the_schema(postgres: str, schema: str, database: Path) -> None:
    """A table whose name ends the statement that would drop it, and goes on with one of another schema."""
    publish_to_postgres(database, postgres, schema, FEW)
    hostile = 'x", "elsewhere"."payroll'
    name = f'"{schema}"."{hostile.replace(chr(34), chr(34) * 2)}"'
    for statement in (
        "CREATE SCHEMA elsewhere",
        "CREATE TABLE elsewhere.payroll (a integer)",
        f"CREATE TABLE {schema}.x (a integer)",
        f"CREATE TABLE {name} (a integer)",
        f"COMMENT ON TABLE {name} IS 'Mine. [published by ecr_audit]'",
    ):
        ask(postgres, statement)
    try:
        publish_to_postgres(database, postgres, schema, FEW)
        assert tables_of(postgres, schema) >= {"x", hostile}
        # Not even when it is in the register: then it goes by itself.
        ask(postgres, f"INSERT INTO {schema}.{publishing.REGISTER} VALUES ($${hostile}$$)")
        publish_to_postgres(database, postgres, schema, FEW)
        assert "x" in tables_of(postgres, schema)
        assert hostile not in tables_of(postgres, schema)
        assert ask(postgres, "SELECT count(*) FROM elsewhere.payroll") == [(0,)]
    finally:
        ask(postgres, "DROP SCHEMA elsewhere CASCADE")


@pytest.mark.parametrize("made", ["TABLE {} (policy_id text)", "VIEW {} AS SELECT 1 AS one"], ids=["table", "view"])
def test_a_foreign_object_with_a_published_name_is_reported_and_stays(
    postgres: str, schema: str, database: Path, made: str
) -> None:
    ask(postgres, f"CREATE SCHEMA {schema}")
    ask(postgres, f"CREATE {made.format(f'{schema}.findings')}")
    with pytest.raises(PostgresError, match=f'did not create them: "{schema}"."findings". Rename or drop it, or name'):
        publish_to_postgres(database, postgres, schema, FEW)
    assert tables_of(postgres, schema) == {"findings"}


def test_tables_of_other_roles_are_never_ours(postgres: str, schema: str, database: Path) -> None:
    """Somebody who may create tables makes a register, or takes a name of ours: nothing is written or dropped there."""
    other = f"{schema}_other"
    ask(postgres, f"CREATE ROLE {other}")
    ask(postgres, f"CREATE SCHEMA {schema}")
    try:
        for table in (publishing.REGISTER, "findings"):
            ask(postgres, f"CREATE TABLE {schema}.{table} (table_name text)")
            ask(postgres, f"COMMENT ON TABLE {schema}.{table} IS 'Mine. [published by ecr_audit]'")
            ask(postgres, f"ALTER TABLE {schema}.{table} OWNER TO {other}")
        with pytest.raises(PostgresError, match=f'"{publishing.REGISTER}" is not a table of the publisher'):
            publish_to_postgres(database, postgres, schema, FEW)
        ask(postgres, f"DROP TABLE {schema}.{publishing.REGISTER}")
        with pytest.raises(PostgresError, match=f'did not create them: "{schema}"."findings"'):
            publish_to_postgres(database, postgres, schema, FEW)
        assert ask(postgres, f"SELECT table_name FROM {schema}.findings") == []
    finally:
        ask(postgres, f"DROP OWNED BY {other}")
        ask(postgres, f"DROP ROLE {other}")


def test_a_schema_of_a_version_without_a_register_goes_on(postgres: str, schema: str, database: Path) -> None:
    """The tables with the mark become the register's; what else has the mark is left alone."""
    rows = publish_to_postgres(database, postgres, schema, FEW)
    ask(postgres, f"DROP TABLE {schema}.{publishing.REGISTER}")
    ask(postgres, f"CREATE TABLE {schema}.copy_of_mine (a integer)")
    ask(postgres, f"COMMENT ON TABLE {schema}.copy_of_mine IS 'Copied. [published by ecr_audit]'")
    before = ask(postgres, f"SELECT '{schema}.findings'::regclass::oid::text")
    assert publish_to_postgres(database, postgres, schema, FEW) == rows
    assert ask(postgres, f"SELECT '{schema}.findings'::regclass::oid::text") == before
    registered = ask(postgres, f"SELECT table_name FROM {schema}.{publishing.REGISTER}")
    assert {name for (name,) in registered} == set(FEW_TABLES)
    assert "copy_of_mine" in tables_of(postgres, schema)


def test_a_schema_may_have_the_name_of_a_key_word(postgres: str, database: Path) -> None:
    try:
        first = publish_to_postgres(database, postgres, "user", FEW)
        assert publish_to_postgres(database, postgres, "user", FEW) == first
    finally:
        ask(postgres, 'DROP SCHEMA "user" CASCADE')


def test_a_reader_of_a_table_whose_columns_changed_is_named_and_not_waited_for(
    postgres: str, schema: str, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "WAIT_FOR_READERS", 1)
    rows = publish_to_postgres(database, postgres, schema, FEW)
    ask(postgres, f"ALTER TABLE {schema}.findings ADD COLUMN of_old integer")
    with postgresql.connect(postgres) as reader, reader.cursor() as cursor:
        cursor.execute(f"SELECT pg_backend_pid()::text FROM {schema}.findings LIMIT 1")
        [(pid,)] = cursor.fetchall()
        with pytest.raises(PostgresBusyError) as caught:
            publish_to_postgres(database, postgres, schema, FEW)
        assert f'"{schema}"."findings" could not be locked within 1 s' in str(caught.value)
        assert f"Sessions that hold it: {pid} (publisher)." in str(caught.value)
        # Another reader does not wait, and sees all that was there.
        assert ask(postgres, f"SELECT count(*) FROM {schema}.findings") == [(rows["findings"],)]
    assert publish_to_postgres(database, postgres, schema, FEW) == rows


def test_another_publisher_is_not_waited_for_without_end(
    postgres: str, schema: str, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "WAIT_FOR_PUBLISHER", 1)
    with postgresql.connect(postgres) as other, other.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock(hashtext('{schema}'))")
        with pytest.raises(PostgresBusyError, match=f"another publication into schema {schema} has not ended for 1 s"):
            publish_to_postgres(database, postgres, schema, FEW)


def test_the_planner_knows_the_rows_at_once(postgres: str, schema: str, database: Path) -> None:
    rows = publish_to_postgres(database, postgres, schema, FEW)
    estimated = ask(
        postgres,
        f"SELECT relname::text, reltuples::bigint FROM pg_class WHERE relnamespace = '{schema}'::regnamespace",
    )
    assert {table: dict(estimated)[table] for table in FEW_TABLES} == rows


def test_a_publication_that_breaks_off_changes_nothing(
    postgres: str, schema: str, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = publish_to_postgres(database, postgres, schema, DICTIONARY)
    ask(postgres, f"CREATE TABLE {schema}.left_off (a integer)")
    ask(postgres, f"INSERT INTO {schema}.{publishing.REGISTER} VALUES ('left_off')")
    replaced: list[str] = []

    def break_off(published: duckdb.DuckDBPyConnection, table: str) -> Any:
        if len(replaced) == 5:
            raise KeyboardInterrupt
        replaced.append(table)
        return columns_of(published, table)

    ask(postgres, f"UPDATE {schema}.accounts SET account_name = 'before'")
    monkeypatch.setattr(publishing, "columns_of", break_off)
    with pytest.raises(KeyboardInterrupt):
        publish_to_postgres(database, postgres, schema, DICTIONARY)
    assert ask(postgres, f"SELECT DISTINCT account_name FROM {schema}.accounts") == [("before",)]
    assert {table: ask(postgres, f"SELECT count(*) FROM {schema}.{table}")[0][0] for table in TABLES | VIEWS} == rows
    assert ask(postgres, f"SELECT count(*) FROM {schema}.left_off") == [(0,)]


def test_the_publishing_step_publishes_to_the_set_place(
    postgres: str, schema: str, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(demo / "lake", tmp_path / "lake")
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    monkeypatch.setenv("ECR_AUDIT_POSTGRES_SCHEMA", schema)
    steps.publish()
    steps.publish_to_postgres(postgres)
    with duckdb.connect(tmp_path / "publish" / "compliance.duckdb", read_only=True) as published:
        here = published.execute("SELECT snapshot_date, compliance_commit FROM publication").fetchall()
    assert ask(postgres, f"SELECT snapshot_date, compliance_commit FROM {schema}.publication") == here


@pytest.mark.slow
def test_a_database_of_a_version_with_fewer_tables_is_refused(database: Path, tmp_path: Path) -> None:
    """As after an upgrade, when the task is cleared before anything was published again. No server is needed."""
    older = tmp_path / "older.duckdb"
    with duckdb.connect(older) as connection:
        connection.execute(f"ATTACH '{database}' AS published (READ_ONLY)")
        for table in FEW_TABLES.keys() - {"waivers"}:
            connection.execute(f"CREATE TABLE {table} AS FROM published.{table}")
    with pytest.raises(PostgresError, match="has no table waivers: another version of the audit published it"):
        publish_to_postgres(older, "postgresql://127.0.0.1:1/nowhere", "ecr_audit", FEW)


def test_a_type_that_nobody_has_thought_of_is_named(
    postgres: str, schema: str, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(publishing.TYPES, "BIGINT")
    with pytest.raises(PostgresError, match="There is no PostgreSQL type for DuckDB's BIGINT"):
        publish_to_postgres(database, postgres, schema, DICTIONARY)
    assert ask(postgres, f"SELECT 1 FROM pg_namespace WHERE nspname = '{schema}'") == []
