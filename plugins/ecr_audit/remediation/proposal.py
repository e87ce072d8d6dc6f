"""The rows of a plan to be: those of the published plan, as the form limits it, or those that undo an earlier plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import duckdb

from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import REMEDIATION_ACTIONS
from ecr_audit.publish.policies import shown_policies
from ecr_audit.remediation.outcomes import ActionOutcome
from ecr_audit.remediation.plan import PLAN_ID, RemediationError
from ecr_audit.text import nearest

Row = dict[str, Any]

_PLANNED = """
SELECT
    p.policy_id,
    p.account_id,
    p.region,
    p.repository_name,
    p.repository_arn,
    r.created_at,
    p.rule,
    p.current_setting,
    p.current_filters,
    p.proposed_setting,
    p.proposed_filters,
    p.closes_finding,
    p.evidence_nights,
    p.overwritable_after,
    a.ou_path,
    coalesce(a.unit_ids, [a.ou_id]) AS unit_ids
FROM remediation_plan AS p
JOIN repositories AS r USING (repository_arn)
LEFT JOIN accounts AS a ON a.account_id = p.account_id
WHERE p.policy_id = $policy_id AND p.action = 'FIX_BY_API'
ORDER BY p.account_id, p.region, p.repository_name
"""

_LEFT_OUT = """
SELECT action, rule, count(*) AS repositories
FROM remediation_plan
WHERE policy_id = $policy_id AND action <> 'FIX_BY_API'
GROUP BY ALL
ORDER BY ALL
"""


@dataclass(frozen=True)
class Limits:
    """The limits of one run; empty or 0: no limit. `repositories`: names, with `*` for any text, or ARNs."""

    accounts: Sequence[str] = ()
    ous: Sequence[str] = ()
    repositories: Sequence[str] = ()
    most: int = 0


def chosen_policy(published: duckdb.DuckDBPyConnection, given: str | None) -> str:
    """The policy of a run: by default the first in the order in which people are shown them.

    Raises RemediationError for one that the publication does not have.
    """
    policies = [policy.policy_id for policy in shown_policies(published)]
    if given is None:
        return policies[0]
    if given not in policies:
        near = nearest(given, policies)
        raise RemediationError(f"policy: '{given}' is not published.{f' Did you mean {near}?' if near else ''}")
    return given


def planned_rows(published: duckdb.DuckDBPyConnection, policy_id: str, limits: Limits) -> list[Row]:
    """The changes of the published plan that can be made by the API, as far as the limits go.

    Raises RemediationError for a limit that leaves none.
    """
    return _limited(_rows(published, _PLANNED, policy_id), limits)


def left_out(published: duckdb.DuckDBPyConnection, policy_id: str) -> list[tuple[str, str, int]]:
    """The findings that the plan holds, or leaves to code: action, rule, number of repositories."""
    return published.execute(_LEFT_OUT, {"policy_id": policy_id}).fetchall()


def rollback_rows(lake: Lake, plan_id: str, limits: Limits) -> list[Row]:
    """The changes that give the repositories that a plan changed the exact settings from before it.

    Raises RemediationError when nothing is recorded of the plan, or it changed nothing.
    """
    if not PLAN_ID.fullmatch(plan_id):
        raise RemediationError(f"rollback_of: {plan_id[:100]!r} is not the id of a plan, 64 digits from 0 to f.")
    actions = recorded_actions(lake, plan_id)
    if not actions:
        raise RemediationError(f"rollback_of: {lake.root} has no record of plan {plan_id}: it was never applied.")
    rows = [
        {
            **{name: action[name] for name in ("policy_id", "account_id", "region", "repository_name")},
            "repository_arn": action["repository_arn"],
            "created_at": action["created_at"],
            "rollback_of": plan_id,
            "rule": "rollback",
            "current_setting": action["proposed_setting"],
            "current_filters": action["proposed_filters"],
            "proposed_setting": action["before_setting"],
            "proposed_filters": action["before_filters"],
        }
        for action in actions
        if action["outcome"] == ActionOutcome.DONE
    ]
    if not rows:
        raise RemediationError(f"rollback_of: plan {plan_id} changed no repository.")
    return _limited(rows, limits)


def recorded_actions(lake: Lake, plan_id: str) -> list[Row]:
    """The recorded outcomes of a plan."""
    rows: list[Row] = []
    for commit in lake.read_commits("remediation", lake.snapshot_dates("remediation")):
        rows += lake.read_table(commit, REMEDIATION_ACTIONS).to_pylist()
    return [row for row in rows if row["plan_id"] == plan_id]


def _rows(published: duckdb.DuckDBPyConnection, query: str, policy_id: str) -> list[Row]:
    try:
        cursor = published.execute(query, {"policy_id": policy_id})
    except duckdb.CatalogException as fault:
        raise RemediationError("The publication has no remediation plan: run ecr_compliance again.") from fault
    columns = [column for column, *_ in cursor.description or ()]
    return [dict(zip(columns, values, strict=True)) for values in cursor.fetchall()]


def _limited(rows: list[Row], limits: Limits) -> list[Row]:
    for what, wanted, fits in (
        ("accounts", limits.accounts, lambda row, account: row["account_id"] == account),
        ("OUs", limits.ous, _is_within),
        ("repositories", limits.repositories, _is_called),
    ):
        for each in wanted:
            if not any(fits(row, each) for row in rows):
                raise RemediationError(f"{what}: '{each}' fits none of the {len(rows):,} changes that can be made.")
        if wanted:
            rows = [row for row in rows if any(fits(row, each) for each in wanted)]
    return rows[: limits.most or None]


def _is_called(row: Mapping[str, Any], pattern: str) -> bool:
    return row["repository_arn"] == pattern or fnmatchcase(row["repository_name"], pattern)


def _is_within(row: Mapping[str, Any], unit: str) -> bool:
    path = row.get("ou_path") or ""
    return unit in (row.get("unit_ids") or ()) or path == unit or path.startswith(f"{unit}/")
