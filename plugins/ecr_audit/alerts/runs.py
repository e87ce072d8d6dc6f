"""Messages on failed runs and missed nights."""

from __future__ import annotations

from datetime import datetime

from ecr_audit.alerts.message import Message
from ecr_audit.text import moment, plain

# Consequences of a failed task, for the reader of the message.
_MEANS = {
    "check_coverage": "Coverage is under the minimum. What was read is committed and will be published.",
    "announce": "The night is published; an alert on it may not have been sent.",
    "complete_publication": "The night is published; a file beside the database is missing, such as the workbook.",
    "import_into_security_hub": "The night is published; Security Hub lacks findings in places that the log names."
    " They are sent again with the next night's.",
    "publish_to_postgres": "The night is published; only PostgreSQL still has the night before.",
}
_ELSE = {
    "ecr_inventory": "Tonight's snapshot may be missing; without it nothing new is published.",
    "ecr_compliance": "Nothing new was published, unless the log says otherwise.",
}


def run_failed(dag_id: str, run_id: str, task_id: str | None, reason: str | None, at: datetime, pages: str) -> Message:
    """A run that failed at a time (UTC). `task_id`: the task that failed last, None if unknown.

    `pages`: the address of Airflow's own pages; empty if unknown.
    """
    where = f"in task {plain(task_id)}" if task_id else f"({plain(reason) or 'no reason given'})"
    lines = [
        f"Run {plain(run_id)} failed {where}, at {moment(at)}.",
        _MEANS.get(task_id or "") or _ELSE.get(dag_id, ""),
        f"See its log: {pages}/dags/{dag_id}/runs/{run_id}" if pages else "See the task's log.",
    ]
    return Message(f"ECR audit: {dag_id} failed", tuple(line for line in lines if line))


def missed_night(message: str, pages: str) -> Message:
    """A missed night; `message` names it (`freshness.missed_night`), or the reason why it is not known."""
    lines = [
        " ".join(message.split()),
        "Check that the scheduler runs, and that ecr_inventory and ecr_compliance are not paused and did not fail"
        + (f": {pages}/dags" if pages else "."),
        "Until there is a new snapshot, the pages and tables show an old night.",
    ]
    return Message("ECR audit: no snapshot of last night", tuple(lines))
