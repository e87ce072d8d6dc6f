"""An Airflow whose parts are processes of this machine, and its REST API."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from demo.environment import demo_settings
from support.made_once import made_once
from support.processes import PATIENCE, Processes, clean_environment, free_port

ROOT = Path(__file__).resolve().parents[2]
DAG_FILES = list((ROOT / "dags").glob("*.py"))

SETTINGS = {
    "AIRFLOW__API__HOST": "127.0.0.1",
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__API_AUTH__JWT_SECRET": "of-this-test-only-0123456789abcdef",
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    # The DAG files do not change meanwhile.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    # A worker that is gone is noticed within half a minute rather than five; one that is only slow has that long.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
}


def settings_of_the_demo(endpoint_url: str) -> dict[str, str]:
    """The settings of the audit for a demo organization's AWS; small batches, so that there are several."""
    return demo_settings(endpoint_url) | {"ECR_AUDIT_BATCH_ACCOUNTS": "9"}


def password_of(user: str) -> str:
    """The password of a user of the tests."""
    return f"password-of-{user}"


def migrated_database(folder: Path) -> Path:
    """A SQLite file with Airflow's tables, to be copied. `folder` may be shared: the first one who comes makes it."""

    def migrate(home: Path) -> None:
        environment = clean_environment() | SETTINGS | {"AIRFLOW_HOME": str(home)}
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        subprocess.run(command, check=True, capture_output=True, env=environment)

    return made_once(folder / "migrated", migrate) / "airflow.db"


class Airflow:
    """The parts, and the REST API as a user sees it who may do everything."""

    def __init__(self, home: Path, settings: Mapping[str, str], path: str = "") -> None:
        """`path` is the one below which people see it, such as `/airflow`."""
        port = free_port()
        self.home = home
        self.url = f"http://127.0.0.1:{port}{path}"
        self.processes = Processes(home)
        self.settings = {
            **SETTINGS,
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            **settings,
        }
        self._token = ""

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until a condition of Airflow's holds. Asked more often, its server would take a fifth of a core."""
        self.processes.wait_for(what, condition, every=1)

    def environment(self, part: str) -> dict[str, str]:
        """The environment of a part."""
        return clean_environment() | self.settings | {"AIRFLOW_HOME": str(self.home)}

    def command(self, part: str) -> list[str]:
        """The arguments of Airflow's command that make a part run."""
        return [part]

    def run(self, *arguments: str) -> None:
        """Run Airflow's command to its end."""
        command = [sys.executable, "-m", "airflow", *arguments]
        done = subprocess.run(command, env=self.environment("init"), capture_output=True)
        assert done.returncode == 0, done.stderr.decode()[-3000:]

    def start_part(self, part: str, **settings: str) -> None:
        """Start a part; `settings` are added to its environment."""
        command = [sys.executable, "-m", "airflow", *self.command(part)]
        self.processes.start(part, command, self.environment(part) | settings)

    def log_in(self, user: str, password: str | None = None) -> bool:
        """Ask for the token that the other calls need."""
        credentials = {"username": user, "password": password or password_of(user)}
        self._token = self._call("auth/token", credentials)["access_token"]
        return bool(self._token)

    def as_user(self, name: str) -> Airflow:
        """The same Airflow, as another user sees it."""
        other = copy.copy(self)
        other.log_in(name)
        return other

    @property
    def token(self) -> str:
        """The token of the user who is logged in; a browser has it as the cookie `_token`."""
        return self._token

    def wait_for_the_dags(self) -> None:
        """Wait until the scheduler is at work and every DAG is known."""
        self.wait_for("the scheduler", lambda: self.get("monitor/health")["scheduler"]["status"] == "healthy")
        self.wait_for("the DAGs", lambda: self.get("dags")["total_entries"] == len(DAG_FILES))

    def get(self, path: str) -> Any:
        """GET of the public API."""
        return self._call(f"api/v2/{path}", None)

    def patch(self, path: str, body: Any) -> Any:
        """PATCH of the public API."""
        return self._call(f"api/v2/{path}", body, method="PATCH")

    def trigger(self, dag_id: str, form: Mapping[str, Any] | None = None) -> str:
        """Start a run, with a form if it has one; returns its id."""
        body = {"logical_date": None, "conf": dict(form or {})}
        return str(self._call(f"api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def trigger_by_command(self, dag_id: str) -> str:
        """Start a run as docs/operations.md has it for `make up`: by a command that knows the home alone."""
        run_id = f"by_command__{dag_id}"
        command = [sys.executable, "-m", "airflow", "dags", "trigger", dag_id, "--run-id", run_id]
        environment = clean_environment() | {"AIRFLOW_HOME": str(self.home)}
        done = subprocess.run(command, env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        return run_id

    def connect(self, conn_id: str, **fields: str) -> None:
        """Make a connection, in Airflow's database."""
        self._call("api/v2/connections", {"connection_id": conn_id} | fields)

    def fail_batch(self, run_id: str, number: int) -> None:
        """Mark a batch of a run of the inventory as failed, as people do in the UI: its process is ended."""
        path = f"dags/ecr_inventory/dagRuns/{quote(run_id)}/taskInstances/scan_accounts/{number}"
        self._call(f"api/v2/{path}", {"new_state": "failed"}, method="PATCH")

    def runs(self, dag_id: str) -> dict[str, str]:
        """State by run id."""
        return {run["dag_run_id"]: run["state"] for run in self.get(f"dags/{dag_id}/dagRuns?limit=100")["dag_runs"]}

    def batches(self, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run of the inventory that scan."""
        tasks = self.get(f"dags/ecr_inventory/dagRuns/{run_id}/taskInstances?limit=1000")["task_instances"]
        return [task for task in tasks if task["task_id"] == "scan_accounts"]

    def scheduled_night(self) -> str:
        """The id of the run that is due as soon as the scheduler starts; nobody triggers it."""
        self.wait_for("the nightly run", lambda: len(self.runs("ecr_inventory")) > 0)
        [run_id] = self.runs("ecr_inventory")
        assert run_id.startswith("scheduled__")
        return run_id

    def finish_night(self, run_id: str) -> None:
        """Wait for the end of a run of the inventory and of the compliance run that it starts; both must succeed."""
        assert self.finish("ecr_inventory", run_id) == "success", self.batches(run_id)
        self.wait_for("the compliance run", lambda: len(self._evaluated_by(run_id)) == 1)
        assert self.finish("ecr_compliance", *self._evaluated_by(run_id)) == "success"

    def finish(self, dag_id: str, run_id: str) -> str:
        """Wait for the end of a run; returns its state."""
        self.wait_for(f"the end of {run_id}", lambda: self.runs(dag_id).get(run_id) in ("success", "failed"))
        return self.runs(dag_id)[run_id]

    def _evaluated_by(self, run_id: str) -> list[str]:
        """The compliance runs that a run of the inventory has started."""
        events = self.get("assets/events")["asset_events"]
        started = [run for each in events if each["source_run_id"] == run_id for run in each["created_dagruns"]]
        return [run["run_id"] for run in started if run["dag_id"] == "ecr_compliance"]

    def _call(self, path: str, body: Any, method: str | None = None) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/{path}", headers=headers, method=method)
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        request.data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)


def on_sqlite(airflow: Airflow, migrated: Path) -> Airflow:
    """Give an Airflow a database of its own, a copy of a migrated one.

    Its scheduler ends when somebody else has been writing for longer than SQLite waits, 5 seconds by default.
    """
    database = shutil.copy(migrated, airflow.home / "airflow.db")
    airflow.settings["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{database}?timeout={PATIENCE}"
    return airflow
