"""The topology of docker-compose.yaml as processes of this machine: PostgreSQL, Redis, parts of Airflow, two workers.

Each worker has a home, a data folder and a folder for temporary files of its own, as on a machine of its own: what
they share is the lake and the publications, on an emulated S3. Each part has the settings that docker-compose.yaml
gives it: a worker knows neither the database nor any key, and the web server nothing but where publications are.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from moto.server import ThreadedMotoServer

from demo.emulated_aws import identities
from demo.emulated_aws.faults import Fault, Faults, Hang
from demo.emulated_aws.server import EmulatedAws
from demo.organization import demo_world
from support.airflow import Airflow, settings_of_the_demo
from support.documents import read_yaml
from support.processes import Processes, free_port

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = read_yaml(ROOT / "docker-compose.yaml")

REDIS_SERVER = shutil.which("redis-server")

# Where people reach it: a proxy with TLS, which hands on a path to it.
SITE = "https://tools.example.com/airflow"

BUCKET = "audit"
PASSWORD = "of-this-test-only"
CONTROL = ("api-server", "execution-api", "scheduler", "dag-processor", "triggerer")
WORKERS = ("worker-1", "worker-2")
# Tasks that a worker runs at once.
SLOTS = 2

# As in docker-compose.yaml, only the parts of the control plane have these.
KEYS = {
    "AIRFLOW__CORE__FERNET_KEY": "b2YtdGhpcy10ZXN0LW9ubHktMDEyMzQ1Njc4OWFiY2Q=",
    "AIRFLOW__API__SECRET_KEY": "of-this-test-only-0123456789",
    "AIRFLOW__API_AUTH__JWT_SECRET": "of-this-test-only-0123456789abcdef",
}


class Redis:
    """A Redis that keeps its queue over a restart, as that of docker-compose.yaml."""

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

    def __init__(
        self, home: Path, settings: Mapping[str, str], control: Mapping[str, str], queue: Mapping[str, str]
    ) -> None:
        super().__init__(home, settings, path=urlsplit(SITE).path)
        self._control = {**control, "API_SERVER": self.url.removesuffix(urlsplit(SITE).path)}
        self._queue = queue
        self._readers_credentials = home / "aws-credentials"
        self._readers_credentials.write_text("[default]\naws_access_key_id = reader\naws_secret_access_key = reader\n")
        self._execution_port = str(free_port())
        self._health_port = str(free_port())

    def environment(self, part: str) -> dict[str, str]:
        """A home of its own for each worker, and for the control plane; and what that knows and workers do not."""
        home = self.home / (part if part in WORKERS else "control")
        temporary = home / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        # As in the image: without one, Airflow would write a configuration with keys that it makes up.
        (home / "airflow.cfg").touch()
        service = COMPOSE["services"].get("worker" if part in WORKERS else part, {}).get("environment", {})
        shared = {
            name: value
            for name, value in super().environment(part).items()
            if name not in KEYS and (name in service or not name.startswith(("AWS_", "ECR_AUDIT_")))
        }
        execution_api = f"http://127.0.0.1:{self._execution_port}"
        own = {
            "AIRFLOW_HOME": str(home),
            "ECR_AUDIT_DATA": str(home / "data"),
            "TMPDIR": str(temporary),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{execution_api}/execution/",
        }
        if part == "execution-api":
            own |= {"AIRFLOW__API__PORT": self._execution_port, "AIRFLOW__API__BASE_URL": execution_api}
        if part == "scheduler":
            own["AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK"] = "True"
            own["AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT"] = self._health_port
        if part in ("scheduler", *WORKERS):
            own |= self._queue
        if part in ("api-server", "dag-processor"):
            own["AWS_SHARED_CREDENTIALS_FILE"] = str(self._readers_credentials)
        return shared | own | ({} if part in WORKERS else dict(self._control))

    def command(self, part: str) -> list[str]:
        """As in docker-compose.yaml; but that two workers on one machine need names."""
        command = COMPOSE["services"]["worker" if part in WORKERS else part]["command"].split()
        return [*command, "--celery-hostname", part] if part in WORKERS else command

    def start(self) -> None:
        """Do the work of `init`, then start the parts in the order of docker-compose.yaml; return when all work."""
        prepare = self.environment("init") | {"AIRFLOW_ADMIN_PASSWORD": PASSWORD}
        done = subprocess.run([sys.executable, ROOT / "bin/prepare_airflow.py"], env=prepare, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        for part in CONTROL:
            self.start_part(part)
        self.wait_for("the API", lambda: self.log_in("admin", PASSWORD))
        for part in WORKERS:
            self.start_part(part)
        self.wait_for_the_dags()
        for part in (*CONTROL, *WORKERS):
            self.wait_for(f"a healthy {part}", partial(self.is_healthy, part))

    def make_user(self, name: str, role: str) -> None:
        """As people do in the UI; the password is the name."""
        details = {"username": name, "first_name": name, "last_name": name, "email": f"{name}@localhost"}
        self._call("auth/fab/v1/users", details | {"password": name, "roles": [{"name": role}]})

    def is_healthy(self, part: str) -> bool:
        """The output of the health check of a part's container."""
        command = [sys.executable, str(ROOT / "bin/health.py"), *self.command(part)]
        return subprocess.run(command, env=self.environment(part)).returncode == 0

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
    """The demo organization's first night, in which ECR does not answer until a test allows it."""
    with EmulatedAws(demo_world(1), Faults([Fault(Hang(), service="ecr")])) as emulated:
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
        "AIRFLOW__API__BASE_URL": SITE,
        "AIRFLOW__FAB__CONFIG_FILE": str(ROOT / "deploy/webserver_config.py"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(SLOTS),
        "AWS_ENDPOINT_URL_S3": s3.meta.endpoint_url,
        "ECR_AUDIT_LAKE": f"s3://{BUCKET}/demo/lake",
        "ECR_AUDIT_PUBLISH": f"s3://{BUCKET}/demo/publish",
        # Its tests count the accounts that are read.
        "ECR_AUDIT_IMAGE_TAGS": "off",
    }
    database = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.replace("postgresql:", "postgresql+psycopg2:")}
    queue = {"AIRFLOW__CELERY__BROKER_URL": redis.url(0), "AIRFLOW__CELERY__RESULT_BACKEND": redis.url(1)}
    cluster = Cluster(home, settings, KEYS | database, queue)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.processes.kill_all()
