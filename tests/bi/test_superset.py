"""The export in bi/superset, in a fresh Superset that serves it as `make bi` does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from ecr_audit.catalog import Catalog
from ecr_audit.compliance import evaluate, roll_up
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import STAGES
from ecr_audit.publish.build import publish
from support.lakes import committed
from support.superset import CHARTS, DASHBOARD, DATASETS, OWNER_TAGS, metrics_of

from .conftest import Superset

# Most of the time goes into starting it.
superset_test = [pytest.mark.superset]


def rows(published: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(published, read_only=True) as database:
        return database.execute(sql).fetchall()


# The export itself


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset["table_name"])
def test_a_dataset_has_the_columns_of_its_table(published: Path, dataset: dict[str, Any]) -> None:
    """A column that is renamed in a mart is found here, in any environment."""
    relation = f"({dataset['sql']})" if dataset.get("sql") else dataset["table_name"]
    described = {name: kind for name, kind, *_ in rows(published, f"DESCRIBE SELECT * FROM {relation}")}
    wanted = {column["column_name"]: column["type"] for column in dataset["columns"] if not column.get("expression")}
    missing = wanted.keys() - described.keys()
    assert not missing
    assert {name for name in wanted if wanted[name] in ("DATE", "VARCHAR") and described[name] != wanted[name]} == set()


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_has_the_columns_and_metrics_of_its_dataset(name: str) -> None:
    chart = CHARTS[name]
    dataset, params = DATASETS[chart["dataset_uuid"]], chart["params"]
    subjects = [each["subject"] for each in params["adhoc_filters"] if "subject" in each]
    columns = {*params.get("groupby", []), *subjects, *([params["x_axis"]] if "x_axis" in params else [])}
    assert columns <= {column["column_name"] for column in dataset["columns"]}
    assert set(metrics_of(chart)) <= {metric["metric_name"] for metric in dataset["metrics"]}


def test_every_chart_is_on_the_dashboard() -> None:
    shown = {
        part["meta"]["uuid"]
        for part in DASHBOARD["position"].values()
        if isinstance(part, dict) and part["type"] == "CHART"
    }
    assert shown == {chart["uuid"] for chart in CHARTS.values()}


# Superset


@pytest.fixture
def client(superset: Superset) -> httpx.Client:
    """A client that has logged in."""
    logged_in: httpx.Client = superset.client
    return logged_in


def newest_night(client: httpx.Client) -> int:
    """The night that the tile shows, in milliseconds."""
    uuid = CHARTS["Newest_night"]["uuid"]
    [chart] = [
        each
        for each in client.get("/api/v1/chart/?q=(page_size:100)").raise_for_status().json()["result"]
        if each["uuid"] == uuid
    ]
    body = {
        "datasource": {"id": chart["datasource_id"], "type": "table"},
        "queries": [{"columns": [], "metrics": ["newest_night"]}],
        "result_format": "json",
        "result_type": "full",
    }
    [result] = client.post("/api/v1/chart/data", json=body).raise_for_status().json()["result"]
    night: int = result["data"][0]["newest_night"]
    return night


class TestServed:
    pytestmark = superset_test

    def test_it_shows_a_new_publication_without_being_restarted(
        self, client: httpx.Client, lake: Lake, catalog: Catalog, published: Path
    ) -> None:
        """DuckDB gives a process that still holds the replaced file open the old one; Superset must not hold it."""
        before = newest_night(client)
        audit_again(lake, catalog)
        publish(lake, catalog, published.parent, owner_tags=OWNER_TAGS)
        assert newest_night(client) - before == timedelta(days=1).total_seconds() * 1000

    @pytest.mark.parametrize(
        ("sql", "fault"),
        [
            ("SELECT * FROM read_text('/etc/hostname')", "disabled by configuration"),
            ("ATTACH '/tmp/mine.duckdb' AS mine", "disabled by configuration"),
            ("SET enable_external_access = true", "has been locked"),
            ("CREATE TABLE mine AS SELECT 1", "does not allow for DDL/DML"),
        ],
    )
    def test_its_sql_reaches_the_published_file_only(self, client: httpx.Client, sql: str, fault: str) -> None:
        [database] = client.get("/api/v1/database/").raise_for_status().json()["result"]
        token = client.get("/api/v1/security/csrf_token/").raise_for_status().json()["result"]
        answer = client.post(
            "/api/v1/sqllab/execute/",
            json={"database_id": database["id"], "sql": sql, "schema": "main", "runAsync": False},
            headers={"X-CSRFToken": token, "Referer": str(client.base_url)},
        )
        assert answer.status_code >= 400
        assert fault in answer.text

    def test_nobody_gets_in_without_the_password(self, client: httpx.Client) -> None:
        with httpx.Client(base_url=client.base_url, trust_env=False) as stranger:
            assert stranger.get("/api/v1/chart/").status_code == 401
            assert stranger.get("/superset/dashboard/ecr-audit/").status_code == 302
            for password in ("admin", "general", ""):
                login = {"username": "admin", "password": password, "provider": "db"}
                assert stranger.post("/api/v1/security/login", json=login).status_code in (400, 401)

    def test_its_pages_load_nothing_from_other_hosts(self, client: httpx.Client) -> None:
        policy = client.get("/login/").headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "." not in policy, "a host's name would have one"


def audit_again(lake: Lake, catalog: Catalog) -> None:
    """Commit the newest inventory as that of the day after, and evaluate it."""
    newest = lake.snapshot_dates("inventory")[-1]
    commit = committed(lake, "inventory", newest)
    day = newest + timedelta(days=1)
    with lake.writer("inventory", day) as writer:
        for table in STAGES["inventory"]:
            writer.write(table, lake.read_table(commit, table))
        writer.commit({**commit.details, "run_id": "scheduled"})
    evaluate(lake, catalog, day, owner_tags=OWNER_TAGS, run_time=datetime.now(UTC))
    roll_up(lake, catalog, day)
