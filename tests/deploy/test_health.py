"""bin/health.py, the image's health check: each part is asked for what others need of it, by the address they use."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.documents import read_yaml

ROOT = Path(__file__).resolve().parents[2]
SERVICES: dict[str, Any] = read_yaml(ROOT / "docker-compose.yaml")["services"]

HEALTHY = {"status": "healthy"}


class Server:
    """Answers each path with a document, and by 200 unless `statuses` says otherwise; all others with 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.statuses: dict[str, int] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                self.send_response(server.statuses.get(self.path, 200) if self.path in server.answers else 404)
                self.end_headers()
                answer = server.answers.get(self.path)
                self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = str(self.http.server_address[1])

    def check(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run the check of a part in an environment that leads to this server, and through no proxy."""
        environment = os.environ | {
            "AIRFLOW__API__PORT": self.port,
            "AIRFLOW__API__BASE_URL": "https://tools.example.com/airflow",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": self.port,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "API_SERVER": f"http://127.0.0.1:{self.port}",
            "HTTP_PROXY": "http://127.0.0.1:9",
        }
        program = [sys.executable, str(ROOT / "bin" / "health.py"), *command]
        return subprocess.run(program, env=environment | settings, capture_output=True, text=True)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


MONITOR = "/api/v2/monitor/health"
# The command of each part, the request to it, and the answer of a healthy one.
PARTS = [
    (["api-server", "--apps", "core"], "/airflow/api/v2/version", {}),
    (["api-server", "--apps", "execution"], "/execution/health", HEALTHY),
    (["scheduler"], "/health", None),
    (["dag-processor"], MONITOR, {"dag_processor": HEALTHY}),
    (["triggerer"], MONITOR, {"triggerer": HEALTHY}),
]


@pytest.mark.parametrize(("command", "path", "answer"), PARTS)
def test_a_part_is_asked_for_its_work(server: Server, command: list[str], path: str, answer: Any) -> None:
    refused = server.check(*command)
    assert refused.returncode == 1
    assert f"{path} returned status 404" in refused.stdout
    server.answers[path] = answer
    done = server.check(*command)
    assert (done.returncode, done.stdout) == (0, "")
    assert set(server.asked) == {path}


def test_a_whole_api_server_is_asked_for_both(server: Server) -> None:
    server.answers["/airflow/api/v2/version"] = {}
    refused = server.check("api-server")
    assert refused.returncode == 1
    assert "/execution/health returned status 404" in refused.stdout


@pytest.mark.parametrize(("command", "path", "answer"), PARTS[3:])
def test_one_without_a_heartbeat_is_not_healthy(server: Server, command: list[str], path: str, answer: Any) -> None:
    server.answers[path] = {name: {"status": "unhealthy"} for name in answer}
    done = server.check(*command)
    assert (done.returncode, "is unhealthy" in done.stdout) == (1, True)


def test_a_scheduler_whose_heartbeat_is_old_is_not_healthy(server: Server) -> None:
    server.answers["/health"], server.statuses["/health"] = None, 503
    done = server.check("scheduler")
    assert (done.returncode, "/health returned status 503" in done.stdout) == (1, True)


def test_a_worker_needs_the_execution_api_before_it_needs_its_queue(server: Server) -> None:
    """tests/cluster has the rest, with a queue."""
    done = server.check("celery", "worker", AIRFLOW__CELERY__BROKER_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 1
    assert f"http://127.0.0.1:{server.port}/execution/health returned status 404" in done.stdout


def test_the_first_page_of_the_ui_is_not_the_execution_api(server: Server) -> None:
    """The UI's server answers with it, and 200, whatever the address."""
    server.answers["/execution/health"] = b"<!doctype html>"
    done = server.check("api-server", "--apps", "execution")
    assert (done.returncode, "/execution/health does not return JSON" in done.stdout) == (1, True)


def test_a_refused_connection_is_not_healthy(server: Server) -> None:
    done = server.check("api-server", "--apps", "core", AIRFLOW__API__PORT="1")
    assert (done.returncode, "Connection refused" in done.stdout) == (1, True)
    assert server.check("frobnicate").stdout.startswith("Unhealthy: no component of Airflow in ['frobnicate']")


def test_the_image_has_it_and_knows_the_command_of_every_part() -> None:
    """The last arguments of the container's first process, dumb-init, are the command of docker-compose.yaml."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    [path] = re.findall(r'^ +CMD \["python", "/opt/airflow/([^"]+)"\]$', dockerfile, flags=re.MULTILINE)
    assert (ROOT / path).is_file()
    known = [
        name
        for name, service in SERVICES.items()
        if service["image"] == "ecr-audit"
        and not service.get("healthcheck")
        and {*service["command"].split()} & {"api-server", "scheduler", "dag-processor", "triggerer", "worker"}
    ]
    ours = [
        name for name, service in SERVICES.items() if service["image"] == "ecr-audit" and "healthcheck" not in service
    ]
    assert known == ours
