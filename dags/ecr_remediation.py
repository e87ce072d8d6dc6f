"""
### Remediation of tag mutability

Changes the tag mutability of repositories as the published remediation plan proposes, once a person has approved the
plan of the run. **Run by hand**; the form limits it to accounts, organizational units or repositories. In a *dry run*,
its default, it ends with the plan, which the log of `make_plan` shows.

The plan is frozen in the lake, under the hash of its rows, and waits in *Required Actions*. Nothing is written without
a named person's answer to that very plan, whatever the state of `approve`. A few accounts are changed first; each
repository is read before it is written, and after all are. Outcomes are in the table `remediation_actions`.

**To take a plan back**, give its id: each repository that it changed gets its exact setting from before, after another
approval. **A batch that failed** can be cleared: nothing is written twice.

Off unless `ECR_AUDIT_REMEDIATION_ROLE_NAME` is set: docs/remediation.md.
"""

from __future__ import annotations

import pendulum
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import TriggerRule, dag, get_current_context, task

from ecr_audit_airflow.alerts import send_failed_run
from ecr_audit_airflow.aws_connection import connect_hub
from ecr_audit_airflow.common import DEFAULT_ARGS, in_own_process
from ecr_audit_airflow.remediation import FORM, PlanApproval, current_run, pages_address, send_run_done


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    params=FORM,
    default_args=DEFAULT_ARGS,
    on_failure_callback=send_failed_run,
    tags=["ecr", "remediation"],
    doc_md=__doc__,
)
def ecr_remediation() -> None:
    @task.short_circuit
    def make_plan() -> dict[str, str] | None:
        """Freeze the plan of this run. Returns its id and what a person is asked; nothing in a dry run, which ends."""
        params = dict(get_current_context()["params"])
        plan: dict[str, str] = in_own_process("ecr_audit.remediation.steps:make_plan", params, pages_address())
        return None if params["dry_run"] else plan

    @task
    def apply_canary() -> list[int]:
        """Change a few accounts, and fail when too much of it failed. Returns the other batches.

        Fails, with nothing written, unless a person approved this very plan.
        """
        from ecr_audit.remediation import steps

        return steps.apply_canary(connect_hub(), current_run())

    @task(map_index_template="batch {{ task.op_kwargs['batch'] }}")
    def apply_rest(batch: int) -> str:
        """Change a batch of the other accounts, under the same conditions."""
        from ecr_audit.remediation import steps

        return steps.apply(connect_hub(), current_run(), batch)

    # These also run when batches failed: what was written is verified and recorded.
    @task(trigger_rule=TriggerRule.ALL_DONE)
    def verify() -> None:
        """Read again what was written."""
        from ecr_audit.remediation import steps

        steps.verify(connect_hub(), current_run())

    @task.short_circuit(trigger_rule=TriggerRule.ALL_DONE)
    def record() -> list[str]:
        """Record the answer and the outcomes, and send an alert. Returns the accounts in which something changed."""
        from ecr_audit.remediation import steps

        recorded = steps.record(current_run())
        send_run_done(current_run(), recorded["outcomes"])
        return list(recorded["accounts"])

    approve = PlanApproval(task_id="approve", doc_md="Wait until a person approves or rejects the plan.")
    canary, verified, recorded = apply_canary(), verify(), record()
    rest = apply_rest.expand(batch=canary)
    make_plan() >> approve >> canary >> rest >> verified >> recorded
    TriggerDagRunOperator(
        task_id="read_again",
        trigger_dag_id="ecr_inventory",
        conf={"accounts": recorded},
        doc_md="Start the inventory of the changed accounts, so that their findings close.",
    )
    # Red when a task failed, though those after it ran.
    conclude = EmptyOperator(task_id="conclude", trigger_rule=TriggerRule.NONE_FAILED, doc_md="Show failures of tasks.")
    [rest, verified] >> conclude


ecr_remediation()
