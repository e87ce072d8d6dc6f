"""A real Airflow: api-server, scheduler and DAG processor as processes of their own, LocalExecutor, over the demo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.emulated_aws.faults import Fault, Faults, Hang
from demo.emulated_aws.server import EmulatedAws
from demo.organization import REMEDIATION_ROLE, demo_world
from support.airflow import Airflow, on_sqlite, settings_of_the_demo
from support.receivers import Http

from .watchers import Watchers


@pytest.fixture(scope="package")
def aws() -> Iterator[EmulatedAws]:
    """The demo organization's first night, in which ECR does not answer until a test allows it."""
    with EmulatedAws(demo_world(1), Faults([Fault(Hang(), service="ecr")])) as emulated:
        yield emulated


@pytest.fixture(scope="package")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is audited into."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="package")
def waivers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of waivers; none are in it."""
    path = tmp_path_factory.mktemp("accepted") / "waivers.yaml"
    path.write_text("waivers: []\n")
    return path


@pytest.fixture(scope="package")
def watchers() -> Iterator[Watchers]:
    """Where Airflow sends its metrics and its lineage."""
    started = Watchers()
    yield started
    started.close()


@pytest.fixture(scope="package")
def slack() -> Iterator[Http]:
    """Takes the alerts."""
    with Http() as receiver:
        yield receiver


@pytest.fixture(scope="package")
def airflow(
    aws: EmulatedAws,
    data: Path,
    waivers: Path,
    watchers: Watchers,
    slack: Http,
    airflow_tables: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Airflow]:
    """Airflow, set up to audit the emulated AWS, watched, and sending alerts."""
    settings = settings_of_the_demo(aws.endpoint_url) | {
        "AIRFLOW__CORE__PARALLELISM": "3",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "ECR_AUDIT_DATA": str(data),
        "ECR_AUDIT_WAIVERS": str(waivers),
        "AIRFLOW__METRICS__OTEL_ON": "True",
        "OTEL_EXPORTER_OTLP_ENDPOINT": watchers.url,
        # As in docs/observability.md, so that no task waits for a watcher that is not there.
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
            {"type": "http", "url": watchers.url, "timeout": 2, "retry": {"total": 1}}
        ),
        "ECR_AUDIT_ALERT_SLACK_CONN_ID": "alerts",
        "ECR_AUDIT_REMEDIATION_ROLE_NAME": REMEDIATION_ROLE,
    }
    airflow = on_sqlite(Airflow(tmp_path_factory.mktemp("airflow"), settings), airflow_tables)
    try:
        airflow.start_part("api-server")
        # A task that cannot reach it would fail, and wait for its second try.
        airflow.wait_for("the API", airflow.log_in)
        # As people do in the UI, so that every part of Airflow has to ask for it; before the others start, since
        # they write to the same SQLite, which answers whoever comes second with an error.
        airflow.connect("alerts", **json.loads(slack.connection))
        airflow.start_part("scheduler")
        airflow.start_part("dag-processor")
        airflow.wait_for_the_dags()
        yield airflow
    finally:
        airflow.processes.kill_all()
