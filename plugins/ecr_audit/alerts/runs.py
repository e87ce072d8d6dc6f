"""What is told of a run that failed, and of a night that was missed."""

from __future__ import annotations

from datetime import datetime

from ecr_audit.alerts.message import Message
from ecr_audit.text import moment, plain

# What a red run means to who reads the message, where that is not plain.
_MEANS = {
    "check_coverage": "Too little of the organization could be read. What was read is committed and will be published.",
    "announce": "What was found is published; an alert of it may not have been sent.",
    "publish_to_postgres": "What was found is published; only PostgreSQL still has the night before.",
}
_ELSE = {
    "ecr_inventory": "Tonight's snapshot may be missing; what was published before is untouched.",
    "ecr_compliance": "What was published before is untouched, unless the log says otherwise.",
}


def run_failed(dag_id: str, run_id: str, task_id: str | None, reason: str | None, at: datetime, pages: str) -> Message:
    """A run that failed at a time (UTC). `task_id`: the task that failed last, None when Airflow does not say.

    `pages`: where Airflow's own are; empty when not known.
    """
    where = f"in task {plain(task_id)}" if task_id else f"({plain(reason) or 'no reason given'})"
    lines = [
        f"Run {plain(run_id)} failed {where}, at {moment(at)}.",
        _MEANS.get(task_id or "") or _ELSE.get(dag_id, ""),
        f"Its log says why: {pages}/dags/{dag_id}/runs/{run_id}" if pages else "The task's log says why.",
    ]
    return Message(f"ECR audit: {dag_id} failed", tuple(line for line in lines if line))


def missed_night(message: str, pages: str) -> Message:
    """A missed night; `message` names it (`freshness.missed_night`), or says why it cannot be named."""
    lines = [
        " ".join(message.split()),
        "Look whether the scheduler runs, whether ecr_inventory or ecr_compliance is paused, and how they last ended"
        + (f": {pages}/dags" if pages else "."),
        "Until then the pages and tables show an old night.",
    ]
    return Message("ECR audit: no snapshot of last night", tuple(lines))
