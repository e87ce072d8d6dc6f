"""The doctor's checks of PostgreSQL: a server that takes publications, one that refuses, one that is not there."""

from __future__ import annotations

from urllib.parse import urlsplit

import adbc_driver_postgresql.dbapi as postgresql
import pytest

from ecr_audit.doctor import Status
from ecr_audit.doctor.storage import check_postgres
from ecr_audit.settings import Settings


@pytest.fixture
def settings() -> Settings:
    return Settings(postgres_conn_id="bi", postgres_schema="reports")


@pytest.fixture
def reader(postgres: str) -> str:
    """The URI of a user who may connect and no more."""
    with postgresql.connect(postgres, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'reader'")
        if cursor.fetchall() == [(0,)]:
            cursor.execute("CREATE ROLE reader LOGIN")
    return postgres.replace("publisher@", "reader@")


def test_a_server_that_takes_publications(postgres: str, settings: Settings) -> None:
    result = check_postgres(settings, lambda: postgres)
    assert result.status is Status.OK
    assert result.found.startswith("publisher may write schema reports of database postgres (PostgreSQL ")


@pytest.mark.parametrize(
    ("parameter", "reported"),
    [
        ("channel_binding=require", "channel binding required"),
        ("target_session_attrs=standby", "server is not in hot standby mode"),
        ("sslmode=require", "server does not support SSL"),
        ("no_such_parameter=1", 'invalid URI query parameter: "no_such_parameter"'),
    ],
)
def test_a_server_that_does_not_match_the_connection(
    postgres: str, settings: Settings, parameter: str, reported: str
) -> None:
    """In the form that the DAG makes of an Airflow connection: all of it is a parameter."""
    server = urlsplit(postgres)
    uri = f"postgresql:///?host={server.hostname}&port={server.port}&user=publisher&dbname=postgres"
    assert check_postgres(settings, lambda: uri).status is Status.OK
    result = check_postgres(settings, lambda: f"{uri}&{parameter}")
    assert (result.status, reported in result.found) == (Status.FAIL, True), result.found


def test_a_user_who_may_not_create_tables(reader: str, settings: Settings) -> None:
    result = check_postgres(settings, lambda: reader)
    assert result.status is Status.FAIL
    assert "reader may not create tables in schema reports" in result.found
    assert 'GRANT CREATE ON SCHEMA reports TO "reader"' in result.fix


def test_a_schema_that_is_there_decides_by_its_own_grants(postgres: str, reader: str, settings: Settings) -> None:
    statements = ["CREATE SCHEMA reports", "GRANT CREATE, USAGE ON SCHEMA reports TO reader"]
    with postgresql.connect(postgres, autocommit=True) as connection, connection.cursor() as cursor:
        try:
            for statement in statements:
                cursor.execute(statement)
            assert check_postgres(settings, lambda: reader).status is Status.OK
        finally:
            cursor.execute("DROP SCHEMA reports")


def test_a_table_of_somebody_else_under_a_name_of_ours(postgres: str, settings: Settings) -> None:
    with postgresql.connect(postgres, autocommit=True) as connection, connection.cursor() as cursor:
        try:
            cursor.execute("CREATE SCHEMA reports")
            cursor.execute("CREATE TABLE reports.findings (a integer)")
            result = check_postgres(settings, lambda: postgres)
            assert result.status is Status.FAIL
            assert 'the audit did not create them: "reports"."findings"' in result.found
            cursor.execute("DROP TABLE reports.findings")
            assert check_postgres(settings, lambda: postgres).status is Status.OK
            cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'reports'")
            assert cursor.fetchall() == [(0,)]
        finally:
            cursor.execute("DROP SCHEMA reports CASCADE")


def test_a_server_that_is_not_there(settings: Settings) -> None:
    result = check_postgres(settings, lambda: "postgresql://nobody@127.0.0.1:1/nowhere")
    assert result.status is Status.FAIL
    assert "127.0.0.1" in result.found
    assert "connection 'bi' (ECR_AUDIT_POSTGRES_CONN_ID)" in result.fix
