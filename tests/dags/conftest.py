"""Airflow for the tests of this folder: a home and database of their own, the DAGs of the checkout.

Airflow reads its settings when it is first imported. So they are set here, before any test does.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from demo.emulated_aws import identities
from demo.emulated_aws.server import EmulatedAws
from demo.organization import EXTERNAL_ID, demo_world

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

# Runs a DAG, or one task of it: its state, and the faults of its failed tasks.
Run = Callable[..., tuple[str, dict[str, str]]]

ROOT = Path(__file__).resolve().parents[2]

_HOME = tempfile.TemporaryDirectory(prefix="airflow-", ignore_cleanup_errors=True)

# None of the caller's, such as those that the Makefile exports.
for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[name]
os.environ.update(
    AIRFLOW_HOME=_HOME.name,
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
)


@pytest.fixture(scope="session", autouse=True)
def airflow_logging() -> None:
    """Set up before any test captures output: its handler goes on writing to the output that there is by then."""
    import airflow.settings  # noqa: F401


@pytest.fixture(scope="session")
def airflow_database(airflow_tables: Path) -> None:
    """Airflow's tables, in a SQLite file of this process's."""
    shutil.copy(airflow_tables, Path(_HOME.name, "airflow.db"))


@pytest.fixture(scope="session")
def dags(airflow_database: None) -> DagBag:
    """The DAGs of the checkout, as Airflow loads them."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag()


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[EmulatedAws]:
    """The demo organization's first night on an emulated AWS, and settings to audit it into a folder of the test's."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "ECR_AUDIT_")):
            monkeypatch.delenv(name)
    with EmulatedAws(demo_world(1)) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", identities.HUB_ACCESS_KEY_ID)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", identities.HUB_SECRET_ACCESS_KEY)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("ECR_AUDIT_EXTERNAL_ID", EXTERNAL_ID)
        monkeypatch.setenv("ECR_AUDIT_MIN_COVERAGE", "0.85")
        yield aws


@pytest.fixture
def run_dag(airflow_database: None) -> Run:
    """Run a DAG to its end by Airflow's own task runner. Returns the state, and what each failed task failed of.

    `only`: run this task alone, as when it is cleared without the others.
    """

    def run(dag_id: str, only: str = "", **params: Any) -> tuple[str, dict[str, str]]:
        from airflow.dag_processing.dagbag import DagBag

        faults: dict[str, str] = {}

        def note(context: Any) -> None:
            faults[context["task"].task_id] = f"{type(context['exception']).__name__}: {context['exception']}"

        # Loaded again: a run leaves its parameters in the DAG that it ran.
        dag = DagBag(ROOT / "dags" / f"{dag_id}.py").get_dag(dag_id)
        for task in dag.tasks:
            task.retries = 0
            task.on_failure_callback = [note]
        if only:
            dag = dag.partial_subset(only, include_upstream=False)
        return str(dag.test(run_conf=params, logical_date=None).state), faults

    return run
