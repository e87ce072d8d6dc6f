"""The messages on remediation: what a person has to know, and where to go."""

from __future__ import annotations

from ecr_audit.alerts.remediation import approval_wanted, run_done

PLAN = "ab" * 32
AIRFLOW = "https://airflow.example"


def test_an_approval_is_wanted() -> None:
    message = approval_wanted("Change 3 repositories?", PLAN, "manual__1", 72, AIRFLOW)
    assert message.subject == "ECR audit: approval wanted. Change 3 repositories?"
    assert f"Plan {PLAN} waits for an answer, for 72 hours" in message.body
    assert f"{AIRFLOW}/dags/ecr_remediation/runs/manual__1/tasks/approve/required_actions" in message.body
    assert "Required Actions, run manual__1" in approval_wanted("?", PLAN, "manual__1", 1, "").body


def test_a_run_is_done() -> None:
    message = run_done(PLAN, {"DONE": 2, "DENIED": 1}, "manual__1", AIRFLOW)
    assert message.subject == "ECR audit: 2 repositories changed by plan abababababab"
    assert message.lines[:2] == ("DONE: 2", "DENIED: 1")
    assert f"rollback_of {PLAN}" in message.body
    assert "Nothing was written." in run_done(PLAN, {}, "manual__1", "").body
