"""The parts of ecr_remediation that Airflow has to know: the request for approval, and the alerts on it."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.exceptions import DownstreamTasksSkipped

if TYPE_CHECKING:
    from ecr_audit.alerts.message import Message
    from ecr_audit.remediation.steps import Run

log = logging.getLogger(__name__)

APPROVE_TASK, PLAN_TASK = "approve", "make_plan"

_MANY: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "description": "Empty: all of them."}

# The form by which a run is triggered.
FORM = {
    "dry_run": Param(True, type="boolean", title="Dry run", description="Only make the plan, and log it."),
    "policy": Param(
        None, type=["null", "string"], title="Policy (its id)", description="Empty: the first policy of the pages."
    ),
    "accounts": Param(
        [], **_MANY | {"items": {"type": "string", "pattern": r"^\d{12}$"}}, title="Accounts (12-digit ids)"
    ),
    "ous": Param([], **_MANY, title="Organizational units (ids, or paths: Root/Prod/Payments), with all below them"),
    "repositories": Param([], **_MANY, title="Repositories (names, where * stands for any text, or ARNs)"),
    "at_most": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        title="Maximum number of repositories",
        description="Empty: all that the plan has.",
    ),
    "rollback_of": Param(
        None,
        type=["null", "string"],
        pattern="^[0-9a-f]{64}$",
        title="Roll back (the id of a plan)",
        description="Give the repositories that this plan changed their settings from before it.",
    ),
}
_PLAN_FIELD = "plan_id"


class PlanApproval(ApprovalOperator):
    """Asks a person to approve the plan of the run. The answer names the plan, so that it holds for no other one.

    Who may answer, and for how long, are settings, which are read when the task runs: an invalid one must not keep
    Airflow from loading the DAG. Without an answer in time the task fails: there is no default answer.
    """

    def __init__(self, **kwargs: Any) -> None:
        # A field of the task: those of the DAG's own form are left out.
        plan = Param("", type="string", title="Plan", description="The plan that you approve.", source="task")
        # Defaults of the DAG are among the arguments; its time limit for tasks would become the one for answering.
        own = {"params": {_PLAN_FIELD: plan}, "retries": 0, "execution_timeout": None}
        super().__init__(subject="", body="", **kwargs | own)

    def execute(self, context: Any) -> Any:
        """Send alerts, then wait for the answer."""
        from ecr_audit.alerts.remediation import approval_wanted
        from ecr_audit.settings import load_settings
        from ecr_audit_airflow.alerts import airflow_address

        settings = load_settings()
        plan = context["ti"].xcom_pull(task_ids=PLAN_TASK)
        self.subject, self.body = plan["subject"], plan["body"]
        self.params[_PLAN_FIELD] = plan["plan_id"]
        self.assigned_users = [{"id": user, "name": user} for user in settings.approvers] or None
        self.response_timeout = timedelta(hours=settings.approval_hours)
        _send(
            approval_wanted(
                plan["subject"], plan["plan_id"], context["run_id"], settings.approval_hours, airflow_address()
            )
        )
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Take the answer. A rejection skips what follows, and so ends the task without a return value: kept here."""
        try:
            return super().execute_complete(context, event)
        except DownstreamTasksSkipped:
            answer = ("chosen_options", "params_input", "responded_at", "responded_by_user")
            context["ti"].xcom_push(BaseXCom.XCOM_RETURN_KEY, {name: event[name] for name in answer})
            raise


def pages_address() -> str:
    """The address of the audit's pages; empty if unknown."""
    from ecr_audit_airflow.alerts import airflow_address

    return f"{address}/ecr-audit" if (address := airflow_address()) else ""


def current_run() -> Run:
    """The run of the task at hand: its plan, and the answer to it as Airflow has it."""
    from airflow.sdk import get_current_context

    from ecr_audit.remediation.steps import Run

    context: Any = get_current_context()
    plan, answer = (context["ti"].xcom_pull(task_ids=task) for task in (PLAN_TASK, APPROVE_TASK))
    return Run(context["run_id"], plan["plan_id"], context["dag_run"].triggering_user_name, answer)


def send_run_done(run: Run, outcomes: dict[str, int]) -> None:
    """Report what became of a plan."""
    from ecr_audit.alerts.remediation import run_done
    from ecr_audit_airflow.alerts import airflow_address

    _send(run_done(run.plan_id, outcomes, run.run_id, airflow_address()))


def _send(message: Message) -> None:
    """Send over all channels. One that fails is logged, and costs the run nothing."""
    from ecr_audit.settings import load_settings
    from ecr_audit_airflow.alerts import send

    send(load_settings(), [message])
