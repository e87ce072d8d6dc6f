"""Evaluating and publishing have processes of their own: what happens to them is as if it had happened to their
tasks."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from demo.emulated_aws.faults import Faults
from demo.emulated_aws.server import EmulatedAws
from support.airflow import Airflow
from support.truth import assert_published_is_the_truth

from .watchers import Watchers

pytestmark = [pytest.mark.airflow, pytest.mark.scheduler]


@pytest.fixture
def evaluated(airflow: Airflow, aws: EmulatedAws) -> Airflow:
    """Airflow, once it has evaluated a night."""
    aws.faults = Faults()
    airflow.wait_for("the end of a night", lambda: "success" in airflow.runs("ecr_compliance").values())
    return airflow


def tries(airflow: Airflow, run_id: str) -> dict[str, int]:
    tasks = airflow.get(f"dags/ecr_compliance/dagRuns/{run_id}/taskInstances")["task_instances"]
    return {task["task_id"]: task["try_number"] for task in tasks}


def logged(airflow: Airflow, run_id: str) -> str:
    return "".join(
        path.read_text("utf-8") for path in airflow.home.glob(f"logs/dag_id=ecr_compliance/run_id={run_id}/**/*.log")
    )


def test_one_that_is_killed_is_tried_again(
    evaluated: Airflow, aws: EmulatedAws, data: Path, watchers: Watchers
) -> None:
    """While nobody watches, too: a watcher that is away fails no task, and holds up none."""

    def killed() -> bool:
        for pid in evaluated.processes.pids("scheduler"):
            if b"ecr_audit.own_process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    with watchers.away():
        run_id = evaluated.trigger("ecr_compliance")
        evaluated.processes.wait_for("a process of its own", killed)
        assert evaluated.finish("ecr_compliance", run_id) == "success"
    assert sorted(tries(evaluated, run_id).values()) == [1, 1, 1, 1, 1, 1, 2]
    assert "was ended by signal 9" in logged(evaluated, run_id)
    assert_published_is_the_truth(data / "publish/compliance.duckdb", aws.world)


def test_a_fault_that_no_retry_fixes_is_not_tried_again(evaluated: Airflow, waivers: Path) -> None:
    before = waivers.read_text()
    waivers.write_text("nothing: []\n")
    try:
        run_id = evaluated.trigger("ecr_compliance")
        assert evaluated.finish("ecr_compliance", run_id) == "failed"
        assert tries(evaluated, run_id)["evaluate_policies"] == 1
        assert f"ECR_AUDIT_WAIVERS: '{waivers}'" in logged(evaluated, run_id)
    finally:
        waivers.write_text(before)
