"""Health check of the Airflow component in this container: exit code 0, or 1 with the reason.

The image's HEALTHCHECK. The part is the one that the container was started with, such as `api-server --apps execution`;
arguments name another. It requests what other components need of it, by the address that they use.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Seconds. Less than Docker's own timeout, so that the reason is printed.
TIMEOUT = 10

# The names in the answer of /api/v2/monitor/health.
MONITORED = {"dag-processor": "dag_processor", "triggerer": "triggerer"}


class Unhealthy(Exception):  # noqa: N818 - a finding, not a bug
    """The component is not healthy; the message says why."""


def main() -> int:
    """Check the component and print what is wrong."""
    try:
        check(sys.argv[1:] or _started_with())
    except Exception as fault:  # whatever is wrong, it is the answer
        print(f"{type(fault).__name__}: {fault}")
        return 1
    return 0


def check(command: list[str]) -> None:
    """Check the component that a command starts. Raises Unhealthy, or OSError for a refused connection."""
    part = next((word for word in command if word in PARTS), None)
    if part is None:
        raise Unhealthy(f"no component of Airflow in {command}. Known: {', '.join(PARTS)}")
    PARTS[part](command)


def _api_server(command: list[str]) -> None:
    """Its UI and public API, the execution API, or both: as `--apps` says."""
    apps = command[command.index("--apps") + 1] if "--apps" in command else "all"
    if apps in ("all", "core"):
        path = urlsplit(os.environ.get("AIRFLOW__API__BASE_URL", "")).path.rstrip("/")
        _get_json(f"http://localhost:{_port('API__PORT', 8080)}{path}/api/v2/version")
    if apps in ("all", "execution"):
        _execution_api()


def _worker(command: list[str]) -> None:
    """It consumes its queue, and reaches the execution API."""
    from celery import Celery
    from celery.utils.nodenames import default_nodename

    _execution_api()
    name = default_nodename(dict(pairwise(command)).get("--celery-hostname"))
    # The broker's address has its password, so that it comes through the environment, never on a command line.
    with Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"]) as queue:
        if not queue.control.ping(destination=[name], timeout=TIMEOUT):
            raise Unhealthy(f"{name} does not consume its queue")


def _scheduler(_: list[str]) -> None:
    """Its own port answers 503 when its heartbeat is old."""
    _get(f"http://localhost:{_port('SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT', 8974)}/health")


def _monitored(command: list[str]) -> None:
    """Components without a port: the API server knows the last heartbeat of each."""
    part = next(word for word in command if word in MONITORED)
    state = _get_json(f"{os.environ['API_SERVER']}/api/v2/monitor/health")[MONITORED[part]]["status"]
    if state != "healthy":
        raise Unhealthy(f"the {part} is {state}")


def _execution_api() -> None:
    """By the same address as the workers."""
    _get_json(f"{os.environ['AIRFLOW__CORE__EXECUTION_API_SERVER_URL'].rstrip('/')}/health")


PARTS = {
    "api-server": _api_server,
    "scheduler": _scheduler,
    "worker": _worker,
    "dag-processor": _monitored,
    "triggerer": _monitored,
}


def _port(setting: str, default: int) -> str:
    return os.environ.get(f"AIRFLOW__{setting}", str(default))


def _get_json(address: str) -> Any:
    """The document there. Raises Unhealthy for anything else: the UI answers every address with its first page."""
    try:
        return json.loads(_get(address))
    except ValueError as error:
        raise Unhealthy(f"{address} does not return JSON") from error


def _get(address: str) -> bytes:
    """The answer of a server of this network, never through a proxy. Raises Unhealthy for a status other than 200."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(address, timeout=TIMEOUT) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise Unhealthy(f"{address} returned status {error.code}") from error
    except urllib.error.URLError as error:
        raise Unhealthy(f"{address}: {error.reason}") from error


def _started_with() -> list[str]:
    """The command of the container: its first process has it as its arguments."""
    return Path("/proc/1/cmdline").read_text(encoding="utf-8").split("\0")


if __name__ == "__main__":
    sys.exit(main())
