"""The topology of docker-compose.yaml as processes of this machine: PostgreSQL, Redis, parts of Airflow, two workers.

Each worker has a home, a data folder and a folder for temporary files of its own, as on a machine of its own: what
they share is the lake and the publications, on an emulated S3. As in docker-compose.yaml, a worker knows neither the
database nor any key.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
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

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ecr_audit.demo import identities
from ecr_audit.demo.organization import EXTERNAL_ID, demo_world
from ecr_audit.demo.server import EmulatedAws

ROOT = Path(__file__).resolve().parents[2]
DAG_FILES = list((ROOT / "dags").glob("*.py"))
REDIS_SERVER = shutil.which("redis-server")

BUCKET = "audit"
PASSWORD = "of-this-test-only"
CONTROL = ("api-server", "scheduler", "dag-processor", "triggerer")
WORKERS = ("worker-1", "worker-2")
# Tasks that a worker runs at once.
SLOTS = 2

# Seconds; far more than any step takes. A wait ends as soon as what it waits for is there.
PATIENCE = 240


class Cluster:
    """The processes, and Airflow's REST API as its first user sees it."""

    def __init__(self, folder: Path, settings: dict[str, str], control: dict[str, str]) -> None:
        self._folder = folder
        self._port = _free_port()
        url = f"http://127.0.0.1:{self._port}"
        self._settings = settings | {"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/"}
        self._control = control | {"AIRFLOW__API__PORT": str(self._port)}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._url = url
        self._token = ""

    def start(self) -> None:
        """What `init` does, then the parts in the order of docker-compose.yaml; returns when all are at work."""
        self._run("db", "migrate")
        self._run("users", "create", "--username=admin", "--role=Admin", "--firstname=A", "--lastname=A",
                  "--email=admin@localhost", f"--password={PASSWORD}")  # fmt: skip
        for part in CONTROL:
            self.start_part(part)
        self.wait_for("the API", lambda: bool(self._log_in()))
        for part in WORKERS:
            self.start_part(part)
        self.wait_for("healthy parts", self.is_healthy)
        self.wait_for("the DAGs", lambda: self.get("dags")["total_entries"] == len(DAG_FILES))

    def is_healthy(self) -> bool:
        """Whether scheduler, triggerer and DAG processor have lately been heard of."""
        health = self.get("monitor/health")
        return all(health[part]["status"] == "healthy" for part in ("scheduler", "triggerer", "dag_processor"))

    def start_part(self, part: str, **settings: str) -> None:
        """Start one process, as the leader of a group of its own; `settings` are added to its environment."""
        command = ["celery", "worker", "--skip-serve-logs", "--celery-hostname", part] if part in WORKERS else [part]
        if part == "triggerer":
            command.append("--skip-serve-logs")
        with (self._folder / f"{part}.log").open("ab") as log:
            self._processes[part] = subprocess.Popen(
                [sys.executable, "-m", "airflow", *command],
                env=self._environment(part) | settings,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill_part(self, part: str) -> None:
        """SIGKILL a process and all that it started, tasks among them: what the loss of its machine looks like."""
        process = self._processes.pop(part)
        for pid in (process.pid, *_descendants(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()

    def stop_parts(self, *parts: str) -> None:
        """End processes in order, as a stop of their containers does."""
        for part in parts:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._processes[part].pid, signal.SIGTERM)
        for part in parts:
            try:
                self._processes[part].wait(30)
            except subprocess.TimeoutExpired:
                self.kill_part(part)
            else:
                del self._processes[part]

    def stop(self) -> None:
        """End everything at once: it is thrown away."""
        for part in list(self._processes):
            self.kill_part(part)

    def worker_of(self, task: dict[str, Any]) -> str | None:
        """The worker whose process runs a task instance; None when it runs no more."""
        for part in WORKERS:
            if part in self._processes and task["pid"] in _descendants(self._processes[part].pid):
                return part
        return None

    def get(self, path: str) -> Any:
        """GET of the public API."""
        return self._call(f"api/v2/{path}", None)

    def trigger(self, dag_id: str) -> str:
        """Start a run; returns its id."""
        return str(self._call(f"api/v2/dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"])

    def runs(self, dag_id: str) -> dict[str, str]:
        """State by run id."""
        return {run["dag_run_id"]: run["state"] for run in self.get(f"dags/{dag_id}/dagRuns?limit=100")["dag_runs"]}

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run."""
        return list(self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=1000")["task_instances"])

    def follow(self, run_id: str) -> None:
        """Wait for the end of a run of the inventory and of the compliance run that it starts; both must succeed."""
        self._succeed("ecr_inventory", run_id)
        self.wait_for("the compliance run", lambda: len(self._started_by(run_id)) == 1)
        self._succeed("ecr_compliance", *self._started_by(run_id))

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; an API that does not answer yet counts as not holding."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError, KeyError):
                if condition():
                    return
            time.sleep(0.5)
        logs = "\n".join(
            f"{path.name}: {path.read_text(errors='replace')[-3000:]}" for path in self._folder.glob("*.log")
        )
        raise TimeoutError(f"{what}: not there after {PATIENCE} s\n{logs}")

    def _succeed(self, dag_id: str, run_id: str) -> None:
        self.wait_for(f"the end of {run_id}", lambda: self.runs(dag_id).get(run_id) in ("success", "failed"))
        tasks = self.tasks(dag_id, run_id)
        assert self.runs(dag_id)[run_id] == "success", [(task["task_id"], task["state"]) for task in tasks]

    def _started_by(self, run_id: str) -> list[str]:
        events = self.get("assets/events")["asset_events"]
        return [run["run_id"] for each in events if each["source_run_id"] == run_id for run in each["created_dagruns"]]

    def _environment(self, part: str) -> dict[str, str]:
        home = self._folder / (part if part in WORKERS else "control")
        temporary = home / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        # As in the image: without one, Airflow would write a configuration with keys that it makes up.
        (home / "airflow.cfg").touch()
        kept = {name: each for name, each in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_", "ECR_"))}
        own = {"AIRFLOW_HOME": str(home), "ECR_AUDIT_DATA": str(home / "data"), "TMPDIR": str(temporary)}
        return kept | self._settings | own | ({} if part in WORKERS else self._control)

    def _run(self, *command: str) -> None:
        environment = self._environment("init")
        done = subprocess.run([sys.executable, "-m", "airflow", *command], env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()[-3000:]

    def _log_in(self) -> str:
        self._token = self._call("auth/token", {"username": "admin", "password": PASSWORD})["access_token"]
        return self._token

    def _call(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(f"{self._url}/{path}", headers={"Content-Type": "application/json"})
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        request.data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


class Redis:
    """A Redis that keeps over a restart what is queued, as docker-compose.yaml's does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = _free_port()

    def url(self, database: int) -> str:
        """The address of one of its databases."""
        return f"redis://:{PASSWORD}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Start it; returns when it takes connections."""
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--appendonly", "yes", "--requirepass", PASSWORD]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([str(REDIS_SERVER), *options], cwd=self._folder, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
            time.sleep(0.05)
        raise TimeoutError((self._folder / "redis.log").read_text()[-2000:])

    def stop(self) -> None:
        """Stop it in order."""
        self._process.terminate()
        self._process.wait(30)


def _descendants(pid: int) -> list[int]:
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, children.read_text().split()):
                found += [child, *_descendants(child)]
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """The broker, for this session alone."""
    if not REDIS_SERVER:
        pytest.skip("Redis' server is not installed (apt-get install redis-server)")
    server = Redis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def aws() -> Iterator[EmulatedAws]:
    """The demo organization's first night."""
    with EmulatedAws(demo_world(1)) as emulated:
        yield emulated


@pytest.fixture(scope="session")
def s3() -> Iterator[Any]:
    """A client of an S3 with the bucket that lake and publications are in."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id=identities.HUB_ACCESS_KEY_ID,
        aws_secret_access_key=identities.HUB_SECRET_ACCESS_KEY,
    )
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()
    server.stop()


@pytest.fixture(scope="session")
def cluster(
    aws: EmulatedAws, s3: Any, postgres: str, redis: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """The topology, set up to audit the emulated AWS into the folder `demo` of the bucket."""
    folder = tmp_path_factory.mktemp("cluster")
    settings = {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "AIRFLOW__CELERY__BROKER_URL": redis.url(0),
        "AIRFLOW__CELERY__RESULT_BACKEND": redis.url(1),
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(SLOTS),
        # A worker that is gone is noticed within seconds rather than minutes.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
        # The DAG files do not change meanwhile.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
        "AWS_ENDPOINT_URL": aws.endpoint_url,
        "AWS_ENDPOINT_URL_S3": s3.meta.endpoint_url,
        "AWS_ACCESS_KEY_ID": identities.HUB_ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": identities.HUB_SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "ECR_AUDIT_LAKE": f"s3://{BUCKET}/demo/lake",
        "ECR_AUDIT_PUBLISH": f"s3://{BUCKET}/demo/publish",
        "ECR_AUDIT_BATCH_ACCOUNTS": "9",
        "ECR_AUDIT_MIN_COVERAGE": "0.85",
    }
    control = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.replace("postgresql:", "postgresql+psycopg2:"),
        "AIRFLOW__CORE__FERNET_KEY": "b2YtdGhpcy10ZXN0LW9ubHktMDEyMzQ1Njc4OWFiY2Q=",
        "AIRFLOW__API__SECRET_KEY": "of-this-test-only-0123456789",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": "of-this-test-only-0123456789abcdef",
    }
    started = Cluster(folder, settings | {"ECR_AUDIT_EXTERNAL_ID": EXTERNAL_ID}, control)
    try:
        started.start()
        yield started
    finally:
        started.stop()
