"""Messages on remediation: a plan waits for a person, and a run is done."""

from __future__ import annotations

from collections.abc import Mapping

from ecr_audit.alerts.message import Message
from ecr_audit.text import plain, plural


def approval_wanted(subject: str, plan_id: str, run_id: str, hours: int, pages: str) -> Message:
    """A plan waits for an answer. `pages`: the address of Airflow's own pages; empty if unknown."""
    lines = [
        f"Plan {plan_id} waits for an answer, for {plural(hours, 'hour')}; without one nothing is changed.",
        f"Answer it: {pages}/dags/ecr_remediation/runs/{run_id}/tasks/approve/required_actions"
        if pages
        else f"Answer it in Airflow: Required Actions, run {plain(run_id)}.",
    ]
    return Message(f"ECR audit: approval wanted. {subject}", tuple(lines))


def run_done(plan_id: str, outcomes: Mapping[str, int], run_id: str, pages: str) -> Message:
    """A plan was applied. `outcomes`: how many repositories ended in each way."""
    lines = [
        *(f"{outcome}: {number:,}" for outcome, number in outcomes.items()),
        f"To take it back, trigger ecr_remediation with rollback_of {plan_id}." if outcomes else "Nothing was written.",
        *([f"{pages}/dags/ecr_remediation/runs/{run_id}"] if pages else []),
    ]
    changed = outcomes.get("DONE", 0)
    repositories = plural(changed, "repository", "repositories")
    return Message(f"ECR audit: {repositories} changed by plan {plan_id[:12]}", tuple(lines))
