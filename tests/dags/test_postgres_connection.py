"""The Airflow connection to PostgreSQL: the parameters that it gives, and the ones that are refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSkipException
from psycopg.conninfo import conninfo_to_dict

from ecr_audit.settings import SettingsError
from ecr_audit_airflow.postgres_connection import postgres_uri, table_addresses

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

pytestmark = pytest.mark.airflow


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ECR_AUDIT_"):
            monkeypatch.delenv(name)


def test_without_the_setting_there_is_none_and_its_task_is_skipped(dags: DagBag) -> None:
    assert postgres_uri() is None
    assert table_addresses("ecr_audit", ["findings"]) == []
    with pytest.raises(AirflowSkipException, match="ECR_AUDIT_POSTGRES_CONN_ID is not set"):
        dags.get_dag("ecr_compliance").get_task("publish_to_postgres").python_callable()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """The parameters of a connection that libpq gets."""

    def as_keywords(given: str | dict[str, Any]) -> dict[str, str]:
        monkeypatch.setenv("ECR_AUDIT_POSTGRES_CONN_ID", "bi")
        monkeypatch.setenv("AIRFLOW_CONN_BI", given if isinstance(given, str) else json.dumps(given))
        uri = postgres_uri()
        assert uri is not None
        # psycopg reads it as libpq does, and refuses what libpq does not know.
        return {name: str(value) for name, value in conninfo_to_dict(uri).items()}

    return as_keywords


SERVER = {"host": "db.example", "port": "6432", "user": "audit", "password": "p@ss/w&rd", "dbname": "compliance"}


@pytest.mark.parametrize(
    ("given", "keywords"),
    [
        (
            "postgres://audit:p%40ss%2Fw%26rd@db.example:6432/compliance?sslmode=require&cursor=dictcursor",
            {**SERVER, "sslmode": "require"},
        ),
        ("postgres://u@[::1]:5432/db", {"host": "::1", "port": "5432", "user": "u", "dbname": "db"}),
        ("postgres://u@[::1]/db", {"host": "::1", "user": "u", "dbname": "db"}),
        ("postgres://u@%2Frun%2Fpostgresql/db", {"host": "/run/postgresql", "user": "u", "dbname": "db"}),
        ("postgres://u@one,two/db", {"host": "one,two", "user": "u", "dbname": "db"}),
        ("postgres://", {}),
        ("postgres://u@h/db?iam=false&redshift=false", {"host": "h", "user": "u", "dbname": "db"}),
        (
            {
                "conn_type": "postgres",
                "host": "h",
                "extra": {
                    "channel_binding": "require",
                    "target_session_attrs": "read-write",
                    "require_auth": "scram-sha-256",
                    "sslrootcert": "/etc/ssl/a b.pem",
                    "options": "-c statement_timeout=60000",
                    "keepalives": True,
                    "keepalives_idle": 30,
                    "sslcert": None,
                    "cursor": "dictcursor",
                    "sqlalchemy_scheme": "postgresql+psycopg",
                    "sqlalchemy_query": {},
                },
            },
            {
                "host": "h",
                "channel_binding": "require",
                "target_session_attrs": "read-write",
                "require_auth": "scram-sha-256",
                "sslrootcert": "/etc/ssl/a b.pem",
                "options": "-c statement_timeout=60000",
                "keepalives": "1",
                "keepalives_idle": "30",
            },
        ),
    ],
)
def test_a_connection_is_taken_whole(
    connect: Callable[..., dict[str, str]], given: str | dict[str, Any], keywords: dict[str, str]
) -> None:
    assert connect(given) == keywords


@pytest.mark.parametrize(
    ("given", "database"),
    [
        ("postgres://audit:p%40ss@db.example:6432/compliance?sslmode=require", "db.example:6432/compliance"),
        ("postgres://u@[::1]/db", "[::1]:5432/db"),
        ("postgres://u@%2Frun%2Fpostgresql/db", "localhost:5432/db"),
        ("postgres://u@one,two/db", "one:5432/db"),
        ("postgres://u@h", "h:5432/u"),
        ("postgres://", "localhost:5432/postgres"),
    ],
)
def test_lineage_names_a_table_without_its_login(monkeypatch: pytest.MonkeyPatch, given: str, database: str) -> None:
    monkeypatch.setenv("ECR_AUDIT_POSTGRES_CONN_ID", "bi")
    monkeypatch.setenv("AIRFLOW_CONN_BI", given)
    assert table_addresses("ecr_audit", ["findings"]) == [f"postgres://{database}/ecr_audit/findings"]


def test_an_iam_token_is_the_password(connect: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ACCESS_KEY_ID": "AKIATEST",
        "SECRET_ACCESS_KEY": "test",
        "DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_BI", "aws://")
    found = connect("postgres://audit@db.example/compliance?iam=true&aws_conn_id=aws_bi&sslmode=require")
    assert found.pop("password").startswith("db.example:5432/?Action=connect&DBUser=audit&")
    assert found == {
        "host": "db.example",
        "port": "5432",
        "user": "audit",
        "dbname": "compliance",
        "sslmode": "require",
    }


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"redshift": True, "iam": True}, "has the extra redshift, which publishing does not support"),
        ({"redshift-serverless": "true"}, "has the extra redshift-serverless"),
        ({"sqlalchemy_query": {"sslmode": "require"}}, "has the extra sqlalchemy_query"),
        ({"options": ["-c", "a=b"]}, "has the extra options, which is not text"),
    ],
)
def test_an_extra_that_is_not_taken_is_named(
    connect: Callable[..., dict[str, str]], extra: dict[str, Any], named: str
) -> None:
    with pytest.raises(SettingsError, match=f"ECR_AUDIT_POSTGRES_CONN_ID: 'bi': {named}"):
        connect({"conn_type": "postgres", "host": "h", "extra": extra})


def test_a_token_of_an_unknown_connection_is_an_error(
    connect: Callable[..., dict[str, str]], airflow_database: None
) -> None:
    with pytest.raises(AirflowNotFoundException, match="nowhere"):
        connect("postgres://audit@db.example/compliance?iam=true&aws_conn_id=nowhere")


def test_an_unknown_connection_is_an_error(monkeypatch: pytest.MonkeyPatch, airflow_database: None) -> None:
    monkeypatch.setenv("ECR_AUDIT_POSTGRES_CONN_ID", "nowhere")
    with pytest.raises(AirflowNotFoundException, match="nowhere"):
        postgres_uri()


def test_a_connection_of_another_type_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_POSTGRES_CONN_ID", "bi")
    monkeypatch.setenv("AIRFLOW_CONN_BI", "mysql://audit@db.example/compliance")
    with pytest.raises(SettingsError, match="ECR_AUDIT_POSTGRES_CONN_ID: 'bi': is a connection of type mysql"):
        postgres_uri()
