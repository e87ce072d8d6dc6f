"""The request for approval: its subject and body, as Markdown.

Of other people's text it has only what AWS restricts: ids, and names of repositories and regions.
"""

from __future__ import annotations

from collections.abc import Sequence

from ecr_audit.aws.ecr.mutability import Setting
from ecr_audit.remediation.plan import CANARY, PlannedChange, RemediationPlan
from ecr_audit.text import moment, plural

# Changes that are listed: those that leave most tags overwritable first, then those with the least evidence.
SHOWN = 20

# Why the published plan leaves a finding to people: rules of sql/marts/remediation_plan.sql are words enough.
LeftOut = Sequence[tuple[str, str, int]]


def subject(plan: RemediationPlan) -> str:
    """The request in a sentence."""
    repositories = plural(len(plan.rows), "repository", "repositories")
    accounts = plural(len({row["account_id"] for row in plan.rows}), "account")
    done = "Take back the changes of" if plan.rollback_of else "Change the tag mutability of"
    return f"{done} {repositories} in {accounts}? Plan {plan.plan_id[:12]}"


def body(plan: RemediationPlan, left_out: LeftOut, pages: str) -> str:
    """The details. `pages`: the address of the plan's page; empty if unknown."""
    canary = {row["account_id"] for row in plan.rows if row["batch"] == CANARY}
    lines = [
        f"Plan `{plan.plan_id}`, made {moment(plan.planned_at)}, under policy `{plan.policy_id}`.",
        f"As a canary, {plural(len(canary), 'account')} first: {', '.join(sorted(canary))}."
        if canary
        else "No canary.",
        "Existing tags stay as they are. Each repository is read again before it is written, and left alone where it"
        " is no longer as planned.",
        "",
    ]
    if plan.rollback_of:
        lines.insert(1, f"It takes back plan `{plan.rollback_of}`: each repository gets the setting from before.")
    lines += ["| account | region | repository | from | to |", "|---|---|---|---|---|"]
    riskiest = sorted(plan.changes, key=_risk)[:SHOWN]
    lines += [
        f"| {change.row['account_id']} | {change.row['region']} | {change.row['repository_name']} |"
        f" {_cell(change.current)} | {_cell(change.proposed)} |"
        for change in riskiest
    ]
    if more := len(plan.rows) - len(riskiest):
        lines += ["", f"… and {more:,} more."]
    if left_out:
        lines += ["", "Not in it:", ""]
        lines += [
            f"- {action}, `{rule}`: {plural(number, 'repository', 'repositories')}" for action, rule, number in left_out
        ]
    return "\n".join([*lines, *(["", f"[All of the plan]({pages})"] if pages else [])])


def _risk(change: PlannedChange) -> tuple[int, int, int]:
    row = change.row
    return -(row["overwritable_after"] or 0), row["evidence_nights"] or 0, change.number


def _cell(setting: Setting) -> str:
    # An asterisk would be emphasis.
    return f"`{setting}`"
