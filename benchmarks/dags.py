"""Both DAGs through a real Airflow: `python benchmarks/dags.py` (10,000 accounts x 17, LocalExecutor, on all cores).

Starts an api-server, a scheduler and a DAG processor on a fresh SQLite database. The scheduler at once begins the run
of `ecr_inventory` that was due last night; its asset starts `ecr_compliance`. The emulated AWS is on the same cores.
Memory is the peak of the largest process of each kind; the processes that a task starts are of its kind.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from measuring import ROOT, Aws, emulated_aws, peak_mb, print_table

from demo.large import large_world

PARTS = ("api-server", "scheduler", "dag-processor")
DAGS = ("ecr_inventory", "ecr_compliance")


class Airflow:
    """An Airflow of its own on this machine."""

    def __init__(self, home: Path, aws: Aws, parallelism: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._home = home
        self._url = f"http://127.0.0.1:{port}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "ECR_AUDIT_", "AIRFLOW"))}
        self._environment = {
            **kept,
            **aws.environment,
            "ECR_AUDIT_DATA": str(home / "data"),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": "of-this-benchmark-only-0123456789abcdef",
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self._url}/execution/",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": str(parallelism),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(ROOT)]),
        }
        self.peaks: dict[str, float] = {}

    def __enter__(self) -> Airflow:
        airflow = [sys.executable, "-m", "airflow"]
        subprocess.run([*airflow, "db", "migrate"], check=True, capture_output=True, env=self._environment)
        for part in PARTS:
            with (self._home / f"{part}.log").open("ab") as log:
                self._processes[part] = subprocess.Popen(
                    [*airflow, part], env=self._environment, stdout=log, stderr=log, start_new_session=True
                )
        self.wait(lambda: self.call("dags")["total_entries"] >= len(DAGS), 300)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)

    def call(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._url}/api/v2/{path}", timeout=20) as answer:
            return json.load(answer)

    def wait(self, condition: Callable[[], Any], seconds: float) -> Any:
        """Return the first true result of the condition; watches memory meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if found := condition():
                    return found
            except OSError:
                pass  # not up yet, or busy
            self._look_after_memory()
            time.sleep(0.5)
        raise SystemExit(f"Not done after {seconds:.0f} s; the logs are in {self._home}")

    def ended(self, dag_id: str) -> Any:
        """The newest run of a DAG, once it has ended."""
        runs = self.call(f"dags/{dag_id}/dagRuns?order_by=-run_after&limit=1")["dag_runs"]
        return runs[0] if runs and runs[0]["state"] in ("success", "failed") else None

    def _look_after_memory(self) -> None:
        try:
            running = self.call("dags/~/dagRuns/~/taskInstances?state=running&limit=100")["task_instances"]
        except OSError:
            return
        tasks = {each["pid"]: f"task {each['task_id']}" for each in running}
        for part, process in self._processes.items():
            below = "executor" if part == "scheduler" else part
            for pid, kind in [(process.pid, part), *_descendants(process.pid, below, tasks)]:
                self.peaks[kind] = max(self.peaks.get(kind, 0.0), peak_mb(pid))


def _descendants(pid: int, kind: str, tasks: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """The processes that one has started, each with its kind: a task's name also for those that the task starts."""
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in thread.read_text().split()]
        except OSError:
            continue
        for child in children:
            its_kind = tasks.get(child, kind)
            yield child, its_kind
            yield from _descendants(child, its_kind, tasks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--regions", type=int, default=17)
    parser.add_argument("--latency", type=float, default=40, help="milliseconds")
    parser.add_argument("--parallelism", type=int, default=2, help="tasks at once")
    options = parser.parse_args()
    # Whoever stops the benchmark stops all that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped"))
    world = partial(large_world, options.accounts, options.regions)
    with (
        tempfile.TemporaryDirectory() as folder,
        emulated_aws(world, latency=options.latency / 1000) as aws,
        Airflow(Path(folder), aws, options.parallelism) as airflow,
    ):
        runs = [airflow.wait(partial(airflow.ended, dag_id), 3600) for dag_id in DAGS]
        for run in runs:
            _tell(run, airflow.call(f"dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances?limit=1000"))
        print(f"\nBoth DAGs: {_time(runs[1], 'end_date') - _time(runs[0], 'start_date'):.0f} s\n")
        print_table(
            ("processes", "peak MB of the largest"), [*airflow.peaks.items(), ("emulated AWS", peak_mb(aws.pid))]
        )


def _time(found: dict[str, Any], key: str) -> float:
    return datetime.fromisoformat(found[key]).timestamp()


def _tell(run: dict[str, Any], tasks: dict[str, Any]) -> None:
    spans: dict[str, list[tuple[float, float]]] = {}
    for each in tasks["task_instances"]:
        if each["start_date"] and each["end_date"]:
            spans.setdefault(each["task_id"], []).append((_time(each, "start_date"), _time(each, "end_date")))
    rows = []
    for name, its_spans in spans.items():
        starts, ends = zip(*its_spans, strict=True)
        mean = (sum(ends) - sum(starts)) / len(its_spans)
        rows.append((name, len(its_spans), max(ends) - min(starts), mean))
    print(f"\n{run['dag_id']}: {run['state']}\n")
    print_table(("task", "instances", "first start to last end, s", "mean s"), rows)


if __name__ == "__main__":
    main()
