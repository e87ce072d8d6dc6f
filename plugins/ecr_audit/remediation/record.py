"""Commits what came of a plan as the lake's tables remediation_actions and remediation_approvals.

Airflow's own record goes with `airflow db clean`; this one stays.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ecr_audit.aws.ecr.mutability import Setting
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import REMEDIATION_ACTIONS, REMEDIATION_APPROVALS
from ecr_audit.lake.tables import LakeTable
from ecr_audit.remediation.approval import Answer, Rules, person, refusal
from ecr_audit.remediation.journal import Entry, Journal
from ecr_audit.remediation.outcomes import ActionOutcome
from ecr_audit.remediation.plan import PlannedChange, RemediationPlan


def record(lake: Lake, plan: RemediationPlan, answer: Answer, rules: Rules, run_id: str) -> list[dict[str, Any]]:
    """Commit the answer to a plan and, where something of it was tried, how each change ended. Returns these rows.

    They go to the day on which the plan was made, beside those of that day's other plans; repeated, the rows of this
    plan are replaced.
    """
    entries = Journal(lake, plan.plan_id).read(plan.changes)
    refused = refusal(answer, plan.plan_id, plan.planned_at, rules)
    actions = [_action(plan, change, entries.get(change.number), answer) for change in plan.changes]
    # A refused plan has no outcomes. (One that was begun and is refused now, such as for another approver, has.)
    actions = actions if entries or refused is None else []
    approval = {
        "plan_id": plan.plan_id,
        "rollback_of": plan.rollback_of,
        "policy_id": plan.policy_id,
        "repositories": len(plan.rows),
        "planned_at": plan.planned_at,
        "run_id": run_id,
        "triggered_by": person(rules.triggered_by),
        "answer": answer.chosen,
        "approver_id": person(answer.user_id),
        "approver": person(answer.user_name),
        "answered_at": answer.answered_at,
        "accepted": refused is None,
        "refusal": refused,
    }
    day = plan.planned_at.date()
    committed = lake.read_commit("remediation", day)
    with lake.writer("remediation", day) as writer:
        for table, rows in ((REMEDIATION_ACTIONS, actions), (REMEDIATION_APPROVALS, [approval])):
            added = pa.Table.from_pylist(rows, schema=table.schema)
            others = _others(lake.read_table(committed, table), table, plan.plan_id) if committed else []
            writer.write(table, pa.concat_tables([*others, added]))
        writer.commit({"plan_id": plan.plan_id, "run_id": run_id})
    return actions


def _others(rows: pa.Table, table: LakeTable, plan_id: str) -> list[pa.Table]:
    return [table.completed(rows.filter(pc.not_equal(rows["plan_id"], plan_id))).cast(table.schema)]


def _action(plan: RemediationPlan, change: PlannedChange, entry: Entry | None, answer: Answer) -> dict[str, Any]:
    entry = entry or Entry(change.row["repository_arn"])
    same = ("policy_id", "rollback_of", "account_id", "region", "repository_name", "repository_arn", "created_at")
    return {
        "plan_id": plan.plan_id,
        **{name: change.row[name] for name in same},
        "outcome": (entry.outcome or ActionOutcome.NOT_REACHED).value,
        "error_code": entry.error_code,
        "error_message": entry.error_message,
        **_setting("before", entry.before),
        **_setting("proposed", change.proposed),
        **_setting("after", entry.after),
        "approver": person(answer.user_name),
        "acted_at": entry.acted_at,
        "verified_at": entry.verified_at,
    }


def _setting(when: str, setting: Setting | None) -> dict[str, Any]:
    return {
        f"{when}_setting": setting.mutability if setting else None,
        f"{when}_filters": list(setting.filters) if setting else None,
    }
