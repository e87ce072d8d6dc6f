"""The export in bi/superset, in a fresh Superset that serves it as `make bi` does."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
import yaml

from ecr_audit.catalog import Catalog
from ecr_audit.compliance import evaluate, roll_up
from ecr_audit.demo.history import write_history
from ecr_audit.demo.story import NIGHTS
from ecr_audit.lake import Lake
from ecr_audit.publish import publish
from ecr_audit.schemas import STAGES
from support.processes import PATIENCE, free_port, with_the_run

ROOT = Path(__file__).resolve().parents[2]
EXPORT = ROOT / "bi" / "superset" / "export"
PYTHON = ROOT / ".venv-superset" / "bin" / "python"
CHARTS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(EXPORT.glob("charts/*.yaml"))}
DATASETS = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(EXPORT.glob("datasets/*/*.yaml"))]

TODAY = date(2026, 11, 23)
OWNER_TAGS = ("owner", "team")

# Its charts are queried once each; most of the time goes into starting it.
superset_test = [pytest.mark.superset, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, catalog: Catalog) -> Lake:
    """A few nights of the demo's history."""
    found = Lake(str(tmp_path_factory.mktemp("lake")))
    write_history(found, catalog, TODAY, owner_tags=OWNER_TAGS, nights=(0, 30, NIGHTS - 1))
    return found


@pytest.fixture(scope="module")
def published(lake: Lake, catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("publish")
    publish(lake, catalog, folder, owner_tags=OWNER_TAGS)
    # As `make bi` is given it: the name that stays.
    return folder / "compliance.duckdb"


def rows(published: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(published, read_only=True) as database:
        return database.execute(sql).fetchall()


# The export itself


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset["table_name"])
def test_a_dataset_has_the_columns_of_its_table(published: Path, dataset: dict[str, Any]) -> None:
    """A column that is renamed in a mart is found here, in any environment."""
    relation = f"({dataset['sql']})" if dataset.get("sql") else dataset["table_name"]
    described = {name: kind for name, kind, *_ in rows(published, f"DESCRIBE SELECT * FROM {relation}")}
    wanted = {column["column_name"]: column["type"] for column in dataset["columns"] if not column.get("expression")}
    missing = wanted.keys() - described.keys()
    assert not missing
    assert {name for name in wanted if wanted[name] in ("DATE", "VARCHAR") and described[name] != wanted[name]} == set()


def test_every_chart_is_on_the_dashboard() -> None:
    [path] = EXPORT.glob("dashboards/*.yaml")
    position = yaml.safe_load(path.read_text(encoding="utf-8"))["position"]
    shown = {part["meta"]["uuid"] for part in position.values() if isinstance(part, dict) and part["type"] == "CHART"}
    assert shown == {chart["uuid"] for chart in CHARTS.values()}


# Superset


@pytest.fixture(scope="module")
def superset(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A Superset that was never started before, and a client that has logged in with the password it printed."""
    if not PYTHON.exists():
        pytest.skip("Superset is not installed: `make test` does it")
    home = tmp_path_factory.mktemp("superset") / "home"
    port = free_port()
    command = with_the_run(PYTHON, ROOT / "bi" / "superset" / "serve.py", published, "--port", str(port))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=home.parent, env=environment | {"SUPERSET_HOME": str(home)}
    ) as server:
        try:
            assert server.stdout is not None
            told = [server.stdout.readline() for _ in range(3)]
            assert "password" in told[-1], f"{told} {(home / 'setup.log').read_text()[-3000:]}"
            password = told[-1].partition("password ")[2].split()[0]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False) as client:
                wait_until_it_answers(client)
                login = {"username": "admin", "password": password, "provider": "db"}
                token = client.post("/api/v1/security/login", json=login).raise_for_status().json()["access_token"]
                client.headers["Authorization"] = f"Bearer {token}"
                yield client
        finally:
            server.terminate()


def wait_until_it_answers(client: httpx.Client) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            client.get("/health").raise_for_status()
            return
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def chart_rows(superset: httpx.Client, name: str) -> list[dict[str, Any]]:
    """What Superset answers to the query of an imported chart, built of its settings as the browser builds it."""
    uuid = CHARTS[name]["uuid"]
    [chart] = [
        each
        for each in superset.get("/api/v1/chart/?q=(page_size:100)").raise_for_status().json()["result"]
        if each["uuid"] == uuid
    ]
    params = json.loads(chart["params"])
    metrics = params.get("metrics") or [params[key] for key in ("metric",) if key in params]
    columns: list[Any] = params.get("all_columns") or list(params.get("groupby", []))
    if axis := params.get("x_axis"):
        axis_column = {"columnType": "BASE_AXIS", "expressionType": "SQL", "sqlExpression": axis, "label": axis}
        columns.insert(0, axis_column | {"timeGrain": params.get("time_grain_sqla")})
    query = {
        "columns": columns,
        "metrics": metrics,
        "filters": [
            {"col": each["subject"], "op": each["operator"], "val": each["comparator"]}
            for each in params["adhoc_filters"]
        ],
        "row_limit": params.get("row_limit", 1000),
    }
    body = {
        "datasource": {"id": chart["datasource_id"], "type": "table"},
        "queries": [query],
        "form_data": params,
        "result_format": "json",
        "result_type": "full",
    }
    answer = superset.post("/api/v1/chart/data", json=body)
    assert answer.status_code == 200, answer.text
    [result] = answer.json()["result"]
    assert result["error"] is None
    names = {column if isinstance(column, str) else column["label"] for column in columns} | set(metrics)
    assert set(result["colnames"]) == names
    return list(result["data"])


class TestServed:
    pytestmark = superset_test

    @pytest.mark.parametrize("name", CHARTS)
    def test_a_chart_has_data(self, superset: httpx.Client, name: str) -> None:
        assert chart_rows(superset, name)

    def test_the_dashboard_has_all_of_them(self, superset: httpx.Client) -> None:
        charts = superset.get("/api/v1/dashboard/ecr-audit/charts").raise_for_status().json()["result"]
        assert {chart["slice_name"] for chart in charts} == {chart["slice_name"] for chart in CHARTS.values()}

    def test_its_figures_are_those_of_the_published_file(self, superset: httpx.Client, published: Path) -> None:
        days = rows(
            published,
            "SELECT compliance_percent FROM compliance_daily WHERE scope_type = 'organization'"
            " AND policy_id LIKE '%/repository-image-tag-mutability' ORDER BY snapshot_date",
        )
        shown = sorted(chart_rows(superset, "Compliance_over_time"), key=lambda row: row["snapshot_date"])
        assert [row["compliance"] for row in shown] == pytest.approx([percent for (percent,) in days])
        assert len(chart_rows(superset, "Linked_framework_sections")) == 10

    def test_it_shows_a_new_publication_without_being_restarted(
        self, superset: httpx.Client, lake: Lake, catalog: Catalog, published: Path
    ) -> None:
        """DuckDB gives a process that still holds the replaced file open the old one; Superset must not hold it."""
        before = max(row["snapshot_date"] for row in chart_rows(superset, "Compliance_over_time"))
        audit_again(lake, catalog)
        publish(lake, catalog, published.parent, owner_tags=OWNER_TAGS)
        after = max(row["snapshot_date"] for row in chart_rows(superset, "Compliance_over_time"))
        assert after - before == timedelta(days=1).total_seconds() * 1000

    @pytest.mark.parametrize(
        ("sql", "fault"),
        [
            ("SELECT * FROM read_text('/etc/hostname')", "disabled by configuration"),
            ("ATTACH '/tmp/mine.duckdb' AS mine", "disabled by configuration"),
            ("SET enable_external_access = true", "has been locked"),
            ("CREATE TABLE mine AS SELECT 1", "does not allow for DDL/DML"),
        ],
    )
    def test_its_sql_reaches_the_published_file_only(self, superset: httpx.Client, sql: str, fault: str) -> None:
        [database] = superset.get("/api/v1/database/").raise_for_status().json()["result"]
        token = superset.get("/api/v1/security/csrf_token/").raise_for_status().json()["result"]
        answer = superset.post(
            "/api/v1/sqllab/execute/",
            json={"database_id": database["id"], "sql": sql, "schema": "main", "runAsync": False},
            headers={"X-CSRFToken": token, "Referer": str(superset.base_url)},
        )
        assert answer.status_code >= 400
        assert fault in answer.text

    def test_nobody_gets_in_without_the_password(self, superset: httpx.Client) -> None:
        with httpx.Client(base_url=superset.base_url, trust_env=False) as stranger:
            assert stranger.get("/api/v1/chart/").status_code == 401
            assert stranger.get("/superset/dashboard/ecr-audit/").status_code == 302
            for password in ("admin", "general", ""):
                login = {"username": "admin", "password": password, "provider": "db"}
                assert stranger.post("/api/v1/security/login", json=login).status_code in (400, 401)

    def test_its_pages_load_nothing_from_other_hosts(self, superset: httpx.Client) -> None:
        policy = superset.get("/login/").headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "." not in policy, "a host's name would have one"


def audit_again(lake: Lake, catalog: Catalog) -> None:
    """Commit the newest inventory as that of the day after, and judge it."""
    newest = lake.snapshot_dates("inventory")[-1]
    commit = lake.read_commit("inventory", newest)
    assert commit is not None
    day = newest + timedelta(days=1)
    with lake.writer("inventory", day) as writer:
        for table in STAGES["inventory"]:
            writer.write(table, lake.open_table(commit, table).read())
        writer.commit({**commit.details, "run_id": "scheduled"})
    evaluate(lake, catalog, day, owner_tags=OWNER_TAGS, run_time=datetime.now(UTC))
    roll_up(lake, catalog, day)
