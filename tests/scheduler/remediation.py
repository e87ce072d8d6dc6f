"""Runs of ecr_remediation as its users see them, through the REST API, and what they write to AWS."""

from __future__ import annotations

import urllib.error
from pathlib import Path
from typing import Any
from urllib.parse import quote

from demo.emulated_aws.server import EmulatedAws
from demo.organization import REMEDIATION_ROLE
from ecr_audit.aws.ecr.mutability import Setting
from ecr_audit.lake.lake import Lake
from ecr_audit.remediation.plan import RemediationPlan, read_plan
from support.airflow import Airflow

DAG = "ecr_remediation"

# Account, region and name of a repository.
Place = tuple[str, str, str]


class Remediation:
    """Runs of the DAG, and all that has been written to AWS since."""

    def __init__(self, airflow: Airflow, aws: EmulatedAws, data: Path) -> None:
        self.airflow = airflow
        self.lake = Lake(str(data / "lake"))
        self._aws = aws
        self._seen = len(aws.world.writes)

    @property
    def writes(self) -> list[tuple[Place, Setting]]:
        """The writes, in order; each by the remediation role."""
        writes = self._aws.world.writes[self._seen :]
        assert {each.role for each in writes} <= {REMEDIATION_ROLE}
        return [
            (
                (each.account_id, each.region, each.repository_name),
                Setting(each.image_tag_mutability, each.exclusion_filters),
            )
            for each in writes
        ]

    def ask(self, user: str = "alice", **form: Any) -> str:
        """Trigger a run as a user. Returns its id, once it waits for an answer."""
        run_id = self.airflow.as_user(user).trigger(DAG, {"dry_run": False, **form})
        self.wait_for_request(run_id)
        return run_id

    def wait_for_request(self, run_id: str) -> None:
        """Wait until a run waits for an answer."""
        # An answer that comes before the scheduler has the report of the task's first part fails the task.
        log = self.airflow.home / "scheduler.log"
        report = f"task_id='approve', run_id='{run_id}'"

        def waits() -> bool:
            lines = log.read_text(errors="replace").splitlines()
            return any("Received executor event" in line and report in line for line in lines)

        self.airflow.wait_for("a request for approval", waits)
        assert self.task(run_id, "approve")["state"] == "awaiting_input"

    def plan(self, run_id: str) -> RemediationPlan:
        """The frozen plan of a run, as its request names it."""
        detail = self.airflow.get(f"{self._approval(run_id)}/hitlDetails")
        return read_plan(self.lake, detail["params"]["plan_id"]["value"])

    def answer(self, run_id: str, user: str, option: str = "Approve") -> int:
        """Answer a request as a user. Returns the HTTP status."""
        detail = self.airflow.get(f"{self._approval(run_id)}/hitlDetails")
        fields = {"plan_id": detail["params"]["plan_id"]["value"]}
        body = {"chosen_options": [option], "params_input": fields}
        try:
            self.airflow.as_user(user).patch(f"{self._approval(run_id)}/hitlDetails", body)
        except urllib.error.HTTPError as refused:
            return refused.code
        return 200

    def finish(self, run_id: str) -> str:
        """Wait for the end of a run; returns its state."""
        return self.airflow.finish(DAG, run_id)

    def task(self, run_id: str, task_id: str) -> dict[str, Any]:
        """A task instance of a run; the first of a mapped task."""
        tasks = self.airflow.get(f"dags/{DAG}/dagRuns/{quote(run_id)}/taskInstances")["task_instances"]
        found: dict[str, Any] = next(task for task in tasks if task["task_id"] == task_id)
        return found

    def logged(self, run_id: str, task_id: str) -> str:
        """The log of a task."""
        folder = self.airflow.home / f"logs/dag_id={DAG}/run_id={run_id}/task_id={task_id}"
        return "".join(path.read_text("utf-8") for path in folder.rglob("*.log"))

    def recorded(self, table: Any, plan: RemediationPlan) -> list[dict[str, Any]]:
        """The rows of a plan in the record of its day."""
        commit = self.lake.read_commit("remediation", plan.planned_at.date())
        rows = self.lake.read_table(commit, table).to_pylist() if commit else []
        return [row for row in rows if row["plan_id"] == plan.plan_id]

    def mark_as_success(self, run_id: str) -> None:
        """Mark the approval as successful, as who may edit task instances can."""
        self.airflow.patch(self._approval(run_id).removesuffix("/-1"), {"new_state": "success"})

    def _approval(self, run_id: str) -> str:
        return f"dags/{DAG}/dagRuns/{quote(run_id)}/taskInstances/approve/-1"
