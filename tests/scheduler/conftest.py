"""A real Airflow: api-server, scheduler and DAG processor as processes of their own, LocalExecutor, over the demo."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ecr_audit.demo import identities
from ecr_audit.demo.organization import EXTERNAL_ID, demo_world
from ecr_audit.demo.server import EmulatedAws
from support.receivers import Http

from .watchers import Watchers

ROOT = Path(__file__).resolve().parents[2]
DAG_FILES = list((ROOT / "dags").glob("*.py"))

# Seconds; far more than any step takes. A wait ends as soon as what it waits for is there.
PATIENCE = 240


class Airflow:
    """The processes of an Airflow on this machine, and its REST API."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.home = home
        self.port = _free_port()
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_", "ECR_"))},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "3",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__API_AUTH__JWT_SECRET": "a-secret-of-this-test-only-0123456789abcdef",
            # A worker that is gone is noticed within seconds rather than minutes.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
            **environment,
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Make the database and start everything; returns when the scheduler is at work and both DAGs are known."""
        subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True, env=self._environment
        )
        self.start_part("api-server")
        # A task that cannot reach it would fail, and wait for its second try.
        self.wait_for("the API", lambda: "scheduler" in self.get("monitor/health"))
        self.start_part("scheduler")
        self.start_part("dag-processor")
        self.wait_for("the scheduler", lambda: self.get("monitor/health")["scheduler"]["status"] == "healthy")
        self.wait_for("the DAGs", lambda: self.get("dags")["total_entries"] == len(DAG_FILES))

    def start_part(self, part: str) -> None:
        """Start one process, as the leader of a group of its own."""
        with (self.home / f"{part}.log").open("ab") as log:
            self._processes[part] = subprocess.Popen(
                [sys.executable, "-m", "airflow", part],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill_part(self, part: str) -> None:
        """SIGKILL a process and all that it started."""
        process = self._processes.pop(part)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """End all processes."""
        for part in list(self._processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._processes[part].pid, signal.SIGTERM)
        for part, process in list(self._processes.items()):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill_part(part)

    def get(self, path: str) -> Any:
        """GET of the public API."""
        return self._call(path, None)

    def trigger(self, dag_id: str, **params: Any) -> str:
        """Start a run; returns its id."""
        body = {"logical_date": None, "conf": params}
        return str(self._call(f"dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def connect(self, conn_id: str, **fields: str) -> None:
        """Make a connection, in Airflow's database."""
        self._call("connections", {"connection_id": conn_id} | fields)

    def runs(self, dag_id: str) -> dict[str, str]:
        """State by run id."""
        return {run["dag_run_id"]: run["state"] for run in self.get(f"dags/{dag_id}/dagRuns?limit=100")["dag_runs"]}

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run."""
        return list(self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"])

    def finish(self, dag_id: str, run_id: str) -> str:
        """Wait until a run has ended; returns its state."""
        self.wait_for(f"run {run_id}", lambda: self.runs(dag_id).get(run_id) in ("success", "failed"))
        return self.runs(dag_id)[run_id]

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; an API that does not answer yet counts as not holding."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(urllib.error.URLError, ConnectionError, KeyError):
                if condition():
                    return
            time.sleep(0.3)
        logs = "\n".join(f"{path.name}: {path.read_text(errors='replace')[-3000:]}" for path in self.home.glob("*.log"))
        raise TimeoutError(f"{what}: not there after {PATIENCE} s\n{logs}")

    def _call(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/v2/{path}")
        if path != "monitor/health":
            request.add_header("Authorization", f"Bearer {self._token()}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def _token(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/auth/token", timeout=30) as answer:
            return str(json.load(answer)["access_token"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def aws() -> Iterator[EmulatedAws]:
    """The demo organization's first night."""
    with EmulatedAws(demo_world(1)) as emulated:
        yield emulated


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is audited into."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def watchers() -> Iterator[Watchers]:
    """Where Airflow sends its metrics and its lineage."""
    started = Watchers()
    yield started
    started.close()


@pytest.fixture(scope="session")
def slack() -> Iterator[Http]:
    """Takes the alerts."""
    with Http() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def airflow(
    aws: EmulatedAws, data: Path, watchers: Watchers, slack: Http, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    """Airflow, set up to audit the emulated AWS, watched, and sending alerts."""
    started = Airflow(
        tmp_path_factory.mktemp("airflow"),
        {
            "AWS_ENDPOINT_URL": aws.endpoint_url,
            "AWS_ACCESS_KEY_ID": identities.HUB_ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": identities.HUB_SECRET_ACCESS_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "ECR_AUDIT_DATA": str(data),
            "ECR_AUDIT_EXTERNAL_ID": EXTERNAL_ID,
            "ECR_AUDIT_MIN_COVERAGE": "0.85",
            "ECR_AUDIT_BATCH_ACCOUNTS": "9",
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "OTEL_EXPORTER_OTLP_ENDPOINT": watchers.url,
            # As docs/observability.md says, so that no task waits for a watcher that is not there.
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "http", "url": watchers.url, "timeout": 2, "retry": {"total": 1}}
            ),
            "ECR_AUDIT_ALERT_SLACK_CONN_ID": "alerts",
        },
    )
    try:
        started.start()
        # As people do in the UI, so that every part of Airflow has to ask for it.
        started.connect("alerts", **json.loads(slack.connection))
        yield started
    finally:
        started.stop()
