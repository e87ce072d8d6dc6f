"""Remediation under a real scheduler, through the REST API: what is asked, who may answer, and what is written then.

Every write that the emulated AWS has taken is compared with the frozen plan.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demo.emulated_aws.faults import Effect, Fault, Faults, Hang
from demo.emulated_aws.server import EmulatedAws
from ecr_audit.aws.ecr.mutability import Setting
from ecr_audit.lake.schemas import REMEDIATION_ACTIONS, REMEDIATION_APPROVALS
from ecr_audit.remediation.plan import RemediationPlan
from support.airflow import Airflow
from support.receivers import Http

from .remediation import DAG, Place, Remediation

pytestmark = [pytest.mark.airflow, pytest.mark.scheduler]

STRICT = "/ce/ca/aws/ecr/repository-image-tag-immutability-strict"
# The last one is for the runs that write nothing; the first has the fewest changes, and is the canary.
CANARY, *REST, REFUSED = "210000000018", "210000000016", "210000000017", "210000000023"


def test_rejected_nothing_is_written_and_the_answer_is_recorded(remediation: Remediation) -> None:
    run_id = remediation.ask(accounts=[REFUSED])
    assert remediation.answer(run_id, "bob", "Reject") == 200
    assert remediation.finish(run_id) == "success"
    plan = remediation.plan(run_id)
    [approval] = remediation.recorded(REMEDIATION_APPROVALS, plan)
    assert (approval["answer"], approval["approver"], approval["accepted"]) == ("Reject", "bob", False)
    assert remediation.recorded(REMEDIATION_ACTIONS, plan) == []
    assert remediation.writes == []


def test_silence_ends_red(remediation: Remediation) -> None:
    run_id = remediation.ask(accounts=[REFUSED])
    # As if the 72 hours were over.
    with closing(sqlite3.connect(remediation.airflow.home / "airflow.db", timeout=60)) as database, database:
        changed = database.execute(
            "UPDATE task_instance SET trigger_timeout = '2026-01-01 00:00:00.000000' WHERE run_id = ?"
            " AND task_id = 'approve' AND trigger_timeout IS NOT NULL",
            [run_id],
        )
        assert changed.rowcount == 1
    assert remediation.finish(run_id) == "failed"
    plan = remediation.plan(run_id)
    [approval] = remediation.recorded(REMEDIATION_APPROVALS, plan)
    assert (approval["answer"], approval["approver"], approval["accepted"]) == (None, None, False)
    assert remediation.task(run_id, "apply_canary")["state"] == "upstream_failed"
    assert remediation.recorded(REMEDIATION_ACTIONS, plan) == []
    assert remediation.writes == []


def marked_as_success(remediation: Remediation) -> str:
    run_id = remediation.ask(accounts=[REFUSED])
    remediation.mark_as_success(run_id)
    return run_id


def approved_by_who_triggered(remediation: Remediation) -> str:
    run_id = remediation.ask("bob", accounts=[REFUSED])
    assert remediation.answer(run_id, "bob") == 200
    return run_id


def changed_after_the_approval(remediation: Remediation) -> str:
    run_id = remediation.ask(accounts=[REFUSED])
    plan = remediation.plan(run_id)
    # No task of a paused DAG is begun.
    remediation.airflow.patch(f"dags/{DAG}", {"is_paused": True})
    assert remediation.answer(run_id, "bob") == 200
    [file] = Path(remediation.lake.root).glob(f"remediation/{plan.plan_id}/plan.parquet")
    rows = pq.read_table(file)
    rows = rows.set_column(rows.schema.get_field_index("repository_name"), "repository_name", pa.array(["another/one"]))
    pq.write_table(rows, file)
    remediation.airflow.patch(f"dags/{DAG}", {"is_paused": False})
    return run_id


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (marked_as_success, "Nobody answered: the task of the approval has no answer, whatever its state is."),
        (approved_by_who_triggered, "ECR_AUDIT_FOUR_EYES: the person who triggered the run approved it, too."),
        (changed_after_the_approval, "its rows were changed since it was frozen"),
    ],
)
def test_a_plan_that_no_other_person_approved_is_not_applied(
    remediation: Remediation, refused: Callable[[Remediation], str], reason: str
) -> None:
    """Whatever the state of the task that asks: each of these succeeds."""
    run_id = refused(remediation)
    assert remediation.finish(run_id) == "failed"
    assert remediation.task(run_id, "approve")["state"] == "success"
    canary = remediation.task(run_id, "apply_canary")
    assert (canary["state"], canary["try_number"]) == ("failed", 1)
    assert reason in remediation.logged(run_id, "apply_canary")
    assert remediation.writes == []


class SecondWriteHangs(Faults):
    """Gives no answer to the second write of an account."""

    def __init__(self, account: str) -> None:
        super().__init__([Fault(Hang(), operation="PutImageTagMutability", account=account)])
        self._writes = 0
        self.is_reached = False

    def strike(self, service: str, operation: str, account: str, region: str) -> Iterator[Effect]:
        for effect in super().strike(service, operation, account, region):
            self._writes += 1
            if self._writes == 2:
                self.is_reached = True
                yield effect


def settings_of(aws: EmulatedAws, plan: RemediationPlan) -> dict[Place, Setting]:
    """The settings that a plan's repositories have."""
    found = {}
    for change in plan.changes:
        place = (*change.registry, change.row["repository_name"])
        [now] = [each for each in aws.world.repositories(*change.registry) if each.name == place[2]]
        found[place] = Setting(str(now.image_tag_mutability), now.exclusion_filters)
    return found


def test_approved_by_another_person_it_is_applied_once_and_taken_back(
    remediation: Remediation, aws: EmulatedAws, data: Path, slack: Http
) -> None:
    """With a worker that is killed between two writes. The findings close, and a rollback opens them again."""
    airflow, sent = remediation.airflow, len(slack.bodies)
    run_id = remediation.ask(policy=STRICT, accounts=[CANARY, *REST])
    plan = remediation.plan(run_id)
    before = settings_of(aws, plan)
    assert before == {(*c.registry, c.row["repository_name"]): c.current for c in plan.changes}
    assert {setting.mutability for setting in before.values()} == {"MUTABLE", "MUTABLE_WITH_EXCLUSION"}
    assert remediation.answer(run_id, "eve") == 403  # not assigned
    assert remediation.writes == []
    aws.faults = hanging = SecondWriteHangs(REST[1])
    assert remediation.answer(run_id, "bob") == 200
    assert remediation.answer(run_id, "alice", "Reject") == 409
    airflow.wait_for("a write without an answer", lambda: hanging.is_reached)
    kill_task(airflow, remediation.task(run_id, "apply_rest")["id"])
    aws.faults = Faults()
    inventories = set(airflow.runs("ecr_inventory"))
    assert remediation.finish(run_id) == "success"
    assert remediation.task(run_id, "apply_rest")["try_number"] == 2

    proposed = {(*c.registry, c.row["repository_name"]): c.proposed for c in plan.changes}
    assert dict(remediation.writes) == settings_of(aws, plan) == proposed
    assert len(remediation.writes) == len(plan.changes) == 7
    assert [place[0] for place, _ in remediation.writes].index(CANARY) == 0
    actions = remediation.recorded(REMEDIATION_ACTIONS, plan)
    assert [(row["outcome"], row["approver"]) for row in actions] == [("DONE", "bob")] * len(plan.changes)
    assert all(row["verified_at"] >= row["acted_at"] for row in actions)
    [approval] = remediation.recorded(REMEDIATION_APPROVALS, plan)
    assert (approval["triggered_by"], approval["approver"], approval["accepted"]) == ("alice", "bob", True)

    [again] = set(airflow.runs("ecr_inventory")) - inventories
    airflow.finish_night(again)
    closed = {row["repository_arn"] for row in plan.rows if row["closes_finding"]}
    assert closed
    with duckdb.connect(str(data / "publish/compliance.duckdb"), read_only=True) as published:
        still_open = published.execute("SELECT repository_arn FROM findings WHERE policy_id = ?", [STRICT]).fetchall()
        outcomes = published.execute("SELECT outcome, count(*) FROM remediation_actions GROUP BY ALL").fetchall()
    assert closed.isdisjoint(arn for (arn,) in still_open)
    assert outcomes == [("DONE", len(plan.changes))]

    undo_id = remediation.ask(rollback_of=plan.plan_id)
    undo = remediation.plan(undo_id)
    assert remediation.answer(undo_id, "bob") == 200
    assert remediation.finish(undo_id) == "success"
    assert settings_of(aws, undo) == before
    assert dict(remediation.writes[len(plan.changes) :]) == before
    assert len(remediation.writes) == 2 * len(plan.changes)
    subjects = [payload["text"].partition("\n")[0] for payload in slack.slack[sent:]]
    asked, done = "ECR audit: approval wanted. ", "ECR audit: 7 repositories changed by plan "
    assert [text for text in subjects if text.startswith((asked, done))] == [
        f"{asked}Change the tag mutability of 7 repositories in 3 accounts? Plan {plan.plan_id[:12]}",
        f"{done}{plan.plan_id[:12]}",
        f"{asked}Take back the changes of 7 repositories in 3 accounts? Plan {undo.plan_id[:12]}",
        f"{done}{undo.plan_id[:12]}",
    ]


def kill_task(airflow: Airflow, task_id: str) -> None:
    """SIGKILL the process of a task that runs."""
    [pid] = [
        pid
        for pid in airflow.processes.pids("scheduler")
        if f"airflow worker -- {task_id}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(pid, signal.SIGKILL)
