"""The topology of docker-compose.yaml as processes of this machine: PostgreSQL, Redis, parts of Airflow, two workers.

Each worker has a home, a data folder and a folder for temporary files of its own, as on a machine of its own: what
they share is the lake and the publications, on an emulated S3. As in docker-compose.yaml, a worker knows neither the
database nor any key.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ecr_audit.demo import identities
from ecr_audit.demo.organization import demo_world
from ecr_audit.demo.server import EmulatedAws
from support.airflow import Airflow, settings_of_the_demo
from support.processes import Processes, free_port

REDIS_SERVER = shutil.which("redis-server")

BUCKET = "audit"
PASSWORD = "of-this-test-only"
CONTROL = ("api-server", "scheduler", "dag-processor", "triggerer")
WORKERS = ("worker-1", "worker-2")
# Tasks that a worker runs at once.
SLOTS = 2

# As in docker-compose.yaml, only the parts of the control plane are told these.
KEYS = {
    "AIRFLOW__CORE__FERNET_KEY": "b2YtdGhpcy10ZXN0LW9ubHktMDEyMzQ1Njc4OWFiY2Q=",
    "AIRFLOW__API__SECRET_KEY": "of-this-test-only-0123456789",
    "AIRFLOW__API_AUTH__JWT_SECRET": "of-this-test-only-0123456789abcdef",
}


class Redis:
    """A Redis that keeps over a restart what is queued, as docker-compose.yaml's does."""

    def __init__(self, folder: Path) -> None:
        self._processes = Processes(folder)
        self._port = free_port()

    def url(self, database: int) -> str:
        """The address of one of its databases."""
        return f"redis://:{PASSWORD}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Start it; returns when it takes connections."""
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--appendonly", "yes", "--requirepass", PASSWORD]
        self._processes.start("redis", [str(REDIS_SERVER), *options])
        self._processes.wait_for("Redis", self._answers)

    def stop(self) -> None:
        """Stop it in order."""
        self._processes.stop("redis")

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True


class Cluster(Airflow):
    """The control plane and the workers."""

    def __init__(self, home: Path, settings: Mapping[str, str], control: Mapping[str, str]) -> None:
        super().__init__(home, settings)
        self._control = control

    def environment(self, part: str) -> dict[str, str]:
        """A home of its own for each worker, and for the control plane; and what that knows and workers do not."""
        home = self.home / (part if part in WORKERS else "control")
        temporary = home / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        # As in the image: without one, Airflow would write a configuration with keys that it makes up.
        (home / "airflow.cfg").touch()
        shared = {name: value for name, value in super().environment(part).items() if name not in KEYS}
        own = {"AIRFLOW_HOME": str(home), "ECR_AUDIT_DATA": str(home / "data"), "TMPDIR": str(temporary)}
        return shared | own | ({} if part in WORKERS else dict(self._control))

    def command(self, part: str) -> list[str]:
        """As in docker-compose.yaml, but that nobody asks workers and triggerer for logs over HTTP."""
        if part in WORKERS:
            return ["celery", "worker", "--skip-serve-logs", "--celery-hostname", part]
        return [part, "--skip-serve-logs"] if part == "triggerer" else [part]

    def start(self) -> None:
        """What `init` does, then the parts in the order of docker-compose.yaml; returns when all are at work."""
        self.run("db", "migrate")
        self.run("users", "create", "--username=admin", "--role=Admin", "--firstname=A", "--lastname=A",
                 "--email=admin@localhost", f"--password={PASSWORD}")  # fmt: skip
        for part in CONTROL:
            self.start_part(part)
        self.wait_for("the API", lambda: self.log_in({"username": "admin", "password": PASSWORD}))
        for part in WORKERS:
            self.start_part(part)
        self.wait_for_the_dags()
        self.wait_for("healthy parts", self.is_healthy)

    def is_healthy(self) -> bool:
        """Whether scheduler, triggerer and DAG processor have lately been heard of."""
        health = self.get("monitor/health")
        return all(health[part]["status"] == "healthy" for part in ("scheduler", "triggerer", "dag_processor"))

    def workers_at_work(self, run_id: str) -> set[str]:
        """The workers whose processes scan batches of a run of the inventory."""
        running = {task["pid"] for task in self.batches(run_id) if task["state"] == "running"}
        return {part for part in WORKERS if running & self.processes.pids(part)}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """The broker, for this session alone."""
    if not REDIS_SERVER:
        pytest.skip("Redis' server is not installed (apt-get install redis-server)")
    server = Redis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def aws() -> Iterator[EmulatedAws]:
    """The demo organization's first night."""
    with EmulatedAws(demo_world(1)) as emulated:
        yield emulated


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def cluster(
    aws: EmulatedAws, s3: Any, postgres: str, redis: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """The topology, set up to audit the emulated AWS into the folder `demo` of the bucket."""
    home = tmp_path_factory.mktemp("cluster")
    settings = settings_of_the_demo(aws.endpoint_url) | {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__CELERY__BROKER_URL": redis.url(0),
        "AIRFLOW__CELERY__RESULT_BACKEND": redis.url(1),
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(SLOTS),
        "AWS_ENDPOINT_URL_S3": s3.meta.endpoint_url,
        "ECR_AUDIT_LAKE": f"s3://{BUCKET}/demo/lake",
        "ECR_AUDIT_PUBLISH": f"s3://{BUCKET}/demo/publish",
    }
    database = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.replace("postgresql:", "postgresql+psycopg2:")}
    cluster = Cluster(home, settings, KEYS | database)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.processes.kill_all()
