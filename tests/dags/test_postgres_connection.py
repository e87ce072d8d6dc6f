"""The Airflow connection to PostgreSQL: what is made of it, and what is refused."""

from __future__ import annotations

import os

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException

from ecr_audit.settings import SettingsError
from ecr_audit_airflow import postgres_uri

pytestmark = pytest.mark.airflow


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ECR_AUDIT_"):
            monkeypatch.delenv(name)


def test_without_the_setting_there_is_none() -> None:
    assert postgres_uri() is None


def test_a_connection_becomes_a_uri_of_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_POSTGRES_CONN_ID", "bi")
    given = "postgres://audit:p%40ss%2Fword@db.example:6432/compliance?sslmode=require&cursor=dictcursor"
    monkeypatch.setenv("AIRFLOW_CONN_BI", given)
    assert postgres_uri() == "postgresql://audit:p%40ss%2Fword@db.example:6432/compliance?sslmode=require"


def test_an_unknown_connection_is_an_error(monkeypatch: pytest.MonkeyPatch, airflow_database: None) -> None:
    monkeypatch.setenv("ECR_AUDIT_POSTGRES_CONN_ID", "nowhere")
    with pytest.raises(AirflowNotFoundException, match="nowhere"):
        postgres_uri()


def test_a_connection_of_another_type_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_POSTGRES_CONN_ID", "bi")
    monkeypatch.setenv("AIRFLOW_CONN_BI", "mysql://audit@db.example/compliance")
    with pytest.raises(SettingsError, match="ECR_AUDIT_POSTGRES_CONN_ID: 'bi': is a connection of type mysql"):
        postgres_uri()
