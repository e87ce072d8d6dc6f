"""The DAG files: they load, they are light, and they carry what people need to run them."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

ROOT = Path(__file__).resolve().parents[2]
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))
DAG_IDS = [path.stem for path in DAG_FILES]

# Airflow's own warnings are not this project's.
pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]


def test_each_file_is_one_dag_of_its_name(dags: DagBag) -> None:
    assert dags.import_errors == {}
    assert sorted(dags.dag_ids) == DAG_IDS
    names = ("compliance", "freshness", "image_tags", "inventory", "maintenance", "remediation")
    assert [path.stem.removeprefix("ecr_") for path in DAG_FILES] == list(names)


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_a_dag_has_documentation_and_explicit_defaults(dags: DagBag, dag_id: str) -> None:
    dag = dags.get_dag(dag_id)
    assert dag.doc_md.strip().startswith("### ")
    assert "ecr" in dag.tags
    assert dag.catchup is False
    assert dag.max_active_runs == 1
    for task in dag.tasks:
        assert task.owner == "platform-security"
        # A person takes longer than a task may, and is not asked twice.
        waits = task.task_id == "approve"
        assert task.retries == (0 if waits else 2)
        assert (task.execution_timeout is None) == waits
        assert task.doc_md or task.python_callable.__doc__, f"{task.task_id} does not say what it does"


def test_the_snapshot_connects_the_dags(dags: DagBag) -> None:
    [outlet] = dags.get_dag("ecr_inventory").get_task("commit_snapshot").outlets
    assert outlet.name == "ecr_inventory"
    for dag_id in ("ecr_compliance", "ecr_image_tags"):
        assert outlet in list(dags.get_dag(dag_id).schedule)


def test_the_order_of_the_tasks(dags: DagBag) -> None:
    def order(dag_id: str) -> list[str]:
        return [task.task_id for task in dags.get_dag(dag_id).topological_sort()]

    assert order("ecr_inventory") == [
        "discover_organization",
        "plan_scan",
        "scan_accounts",
        "commit_snapshot",
        "check_coverage",
    ]
    assert order("ecr_compliance") == [
        "evaluate_policies",
        "roll_up_frameworks",
        "publish",
        "announce",
        "publish_to_postgres",
        "complete_publication",
        "import_into_security_hub",
    ]
    # None waits for another: neither the alerts for the workbook, nor the workbook for PostgreSQL.
    for task_id in ("announce", "publish_to_postgres", "complete_publication", "import_into_security_hub"):
        assert dags.get_dag("ecr_compliance").get_task(task_id).upstream_task_ids == {"publish"}
    assert order("ecr_image_tags") == ["choose_snapshot", "plan_reads", "read_tags", "commit_tags", "read_trail"]
    assert order("ecr_remediation") == [
        *("make_plan", "approve", "apply_canary", "apply_rest", "verify", "record", "read_again", "conclude")
    ]
    assert order("ecr_freshness") == ["check_freshness"]
    assert order("ecr_maintenance") == ["thin_snapshots", "verify_evidence"]


def test_freshness_is_looked_at_when_the_night_is_due(dags: DagBag) -> None:
    from ecr_audit.publish.freshness import DUE

    assert dags.get_dag("ecr_freshness").schedule == f"{DUE.minute} {DUE.hour} * * *"


def test_a_run_that_fails_is_reported(dags: DagBag) -> None:
    for dag_id in DAG_IDS:
        reported = dags.get_dag(dag_id).on_failure_callback.__name__
        assert reported == ("send_missed_night" if dag_id == "ecr_freshness" else "send_failed_run")


def test_a_fault_that_a_retry_cannot_fix_is_not_retried(dags: DagBag) -> None:
    """The rule names its class by a string, which nothing else would check."""
    for dag_id in DAG_IDS:
        for task in dags.get_dag(dag_id).tasks:
            [rule] = task.retry_policy.rules
            module, _, name = rule.exception_path.rpartition(".")
            assert issubclass(getattr(importlib.import_module(module), name), Exception)
            assert rule.action.value == "fail"


def test_the_forms_refuse_invalid_accounts_and_dates(dags: DagBag) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    inventory, compliance = (dags.get_dag(dag_id).params for dag_id in ("ecr_inventory", "ecr_compliance"))
    assert inventory.dump() == {"accounts": [], "ous": [], "regions": []}
    with pytest.raises(ParamValidationError):
        inventory["accounts"] = ["12345"]
    with pytest.raises(ParamValidationError):
        compliance["snapshot_date"] = "yesterday"


def test_upkeep_started_by_hand_removes_only_on_request(dags: DagBag) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    params = dags.get_dag("ecr_maintenance").params
    assert params.dump() == {"dry_run": True}
    with pytest.raises(ParamValidationError):
        params["dry_run"] = "maybe"


def test_remediation_started_by_hand_writes_only_on_request(dags: DagBag) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    dag = dags.get_dag("ecr_remediation")
    assert dag.schedule is None
    assert dag.params.dump() == {
        "dry_run": True,
        "policy": None,
        "accounts": [],
        "ous": [],
        "repositories": [],
        "at_most": None,
        "rollback_of": None,
    }
    for name, value in {"accounts": ["12345"], "at_most": 0, "rollback_of": "the last one"}.items():
        with pytest.raises(ParamValidationError):
            dag.params[name] = value


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.stem)
def test_a_dag_file_is_wiring(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 100


def test_a_dag_file_imports_nothing_heavy(airflow_database: None) -> None:
    """It is parsed again and again: what costs time to import is imported in the tasks."""
    program = (
        "import sys, json, runpy; import airflow.sdk, pendulum; from airflow.sdk import *; before = set(sys.modules);"
        f"[runpy.run_path(path) for path in {[str(path) for path in DAG_FILES]}];"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    added = {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert not added & {"boto3", "botocore", "duckdb", "pandas", "pyarrow", "numpy", "slack_sdk"}
