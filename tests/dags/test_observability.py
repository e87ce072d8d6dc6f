"""The metrics of a night, at a StatsD server."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from demo.emulated_aws.server import EmulatedAws
from ecr_audit.publish.tables import TABLES, VIEWS
from ecr_audit_airflow import observability
from support.small_lake import SmallLake

from .conftest import Run

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]

Gauges = dict[str, float]


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Gauges]]:
    """A StatsD server, to which Airflow is configured; returns the gauges of the audit that it got."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        server.bind(("127.0.0.1", 0))
        with configured(monkeypatch, STATSD_ON="True", STATSD_PORT=str(server.getsockname()[1])):
            yield lambda: received(server)


class configured:  # noqa: N801 - read as a verb
    """Airflow with settings of [metrics], read again as at the start of a task."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: str) -> None:
        for name, value in options.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__{name}", value)

    def __enter__(self) -> None:
        from airflow.sdk.observability import stats
        from airflow.sdk.observability.metrics import stats_utils

        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)

    def __exit__(self, *_: object) -> None:
        from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
        from airflow.sdk.observability import stats

        stats.initialize(factory=NoStatsLogger, export_legacy_names=True)


def received(server: socket.socket) -> Gauges:
    """All that has arrived by now: on this machine a datagram is there when its sender goes on."""
    gauges: Gauges = {}
    server.setblocking(False)
    while True:
        try:
            line = server.recv(65536).decode()
        except BlockingIOError:
            return gauges
        if match := re.fullmatch(r"airflow\.(ecr_audit\..+):([\d.]+)\|g", line):
            gauges[match[1]] = float(match[2])


@pytest.mark.slow
def test_a_night_seen_from_outside(
    demo: EmulatedAws,
    run_dag: Run,
    statsd: Callable[[], Gauges],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("ECR_AUDIT_REGIONS", "us-east-1")
    assert run_dag("ecr_inventory") == ("success", {})
    scanned = statsd()
    assert run_dag("ecr_compliance") == ("success", {})
    evaluated = statsd()

    with duckdb.connect(str(tmp_path / "data/publish/compliance.duckdb"), read_only=True) as published:
        outcomes = dict(published.sql("FROM scan_targets SELECT outcome, count(*) GROUP BY ALL").fetchall())
        [costs] = published.sql("FROM scan_targets SELECT sum(api_calls), sum(retries), sum(throttles)").fetchall()
        [(repositories,)] = published.sql("FROM repositories SELECT count(*)").fetchall()
        verdicts = published.sql("FROM policy_output SELECT policy_id, status, count(*) GROUP BY ALL").fetchall()
    targets = {name.rpartition(".")[2]: value for name, value in scanned.items() if ".targets." in name}
    assert {outcome: number for outcome, number in targets.items() if number} == outcomes
    assert targets["THROTTLED"] == 0, "zeros are reported as well"
    assert tuple(scanned[f"ecr_audit.{cost}"] for cost in ("api_calls", "retries", "throttles")) == costs
    assert scanned["ecr_audit.repositories"] == repositories > 100
    countable = sum(outcomes.values()) - outcomes["ACCOUNT_INACTIVE"]
    assert scanned["ecr_audit.coverage_percent"] == pytest.approx(100 * outcomes["COLLECTED"] / countable)
    reported = {name: value for name, value in evaluated.items() if ".verdicts." in name and value}
    assert reported == {f"ecr_audit.verdicts.{policy.rpartition('/')[2]}.{status}": n for policy, status, n in verdicts}
    assert 0 < evaluated["ecr_audit.compliance_percent.repository-image-tag-mutability"] < 100
    assert evaluated["ecr_audit.published_at_seconds"] > scanned["ecr_audit.snapshot_committed_at_seconds"] > 1.7e9


@pytest.fixture
def snapshot(small_lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot of one target, as the commit leaves it."""
    small_lake.scan(date(2026, 11, 1), repositories=[{}])
    monkeypatch.setenv("ECR_AUDIT_LAKE", small_lake.lake.root)


def test_a_server_that_knows_tags_gets_tags(snapshot: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = str(server.getsockname()[1])
        with configured(monkeypatch, STATSD_ON="True", STATSD_PORT=port, STATSD_INFLUXDB_ENABLED="True"):
            observability.report(after("commit_snapshot"))
        assert received(server)["ecr_audit.targets,outcome=COLLECTED"] == 1


def test_a_server_that_is_away_is_not_a_fault(
    snapshot: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = str(server.getsockname()[1])
    with configured(monkeypatch, STATSD_ON="True", STATSD_PORT=port):
        observability.report(after("commit_snapshot"))
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def test_a_failed_report_does_not_fail_the_task(
    snapshot: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ECR_AUDIT_CONCURRENCY", "lots")
    observability.report(after("commit_snapshot"))
    [record] = caplog.records
    assert "could not be reported" in record.message and "ECR_AUDIT_CONCURRENCY" in caplog.text


def translated(collected: Iterable[Any]) -> list[tuple[str, str]]:
    """Namespace and name, as OpenLineage translates what the tasks leave with Airflow's collector."""
    from airflow.providers.openlineage.utils.utils import translate_airflow_asset

    names = []
    for each in collected:
        dataset = translate_airflow_asset(each.asset, each.context)
        assert dataset is not None, each.asset
        names.append((dataset.namespace, dataset.name))
    return names


def test_a_lake_on_s3_has_the_names_of_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import lineage

    collector = lineage.HookLineageCollector()
    monkeypatch.setattr(lineage, "get_hook_lineage_collector", lambda: collector)
    monkeypatch.setenv("ECR_AUDIT_LAKE", "s3://audit-lake/night/")
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", "s3://audit-publish")
    observability.report(after("publish"))
    collected = collector.collected_assets
    assert ("s3://audit-lake", "night/repositories") in translated(collected.inputs)
    assert translated(collected.outputs) == [("s3://audit-publish", "compliance.duckdb")]


def test_postgresql_is_written_from_the_publication(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from airflow.sdk import lineage

    collector = lineage.HookLineageCollector()
    monkeypatch.setattr(lineage, "get_hook_lineage_collector", lambda: collector)
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    monkeypatch.setenv("ECR_AUDIT_POSTGRES_CONN_ID", "bi")
    monkeypatch.setenv("AIRFLOW_CONN_BI", "postgres://audit:secret@db.example/compliance")
    observability.report(after("publish_to_postgres"))
    collected = collector.collected_assets
    assert translated(collected.inputs) == [("file", f"{tmp_path}/publish/compliance.duckdb")]
    assert set(translated(collected.outputs)) == {
        ("postgres://db.example:5432", f"compliance.ecr_audit.{table}") for table in (*TABLES, *VIEWS)
    }


def test_each_report_is_of_a_task(dags: DagBag) -> None:
    """The reports name their tasks by strings, which nothing else would check."""
    tasks = {task.task_id for dag in dags.dags.values() for task in dag.tasks}
    assert set(observability.task_reports()) <= tasks


def after(task_id: str) -> dict[str, Any]:
    return {"ti": SimpleNamespace(task_id=task_id)}
