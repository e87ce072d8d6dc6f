"""Tables of remediation: the changes of a plan, who answered it, and how each change ended.

The changes of a plan that waits or is under way are a file of their own, `remediation/<plan id>/plan.parquet`; what
came of a plan is committed as the stage remediation, under the day on which it was made.
"""

from __future__ import annotations

import pyarrow as pa

from ecr_audit.lake.tables import TIMESTAMP, LakeTable

_FILTERS = pa.list_(pa.string())

# A change that a plan wants to make. Its id is the hash of all its rows: see remediation/plan.py.
PLANNED_CHANGES = LakeTable(
    "planned_changes",
    pa.schema(
        [
            ("account_id", pa.string()),
            ("region", pa.string()),
            ("repository_name", pa.string()),
            ("repository_arn", pa.string()),
            ("created_at", TIMESTAMP),
            ("policy_id", pa.string()),
            # When the plan was made: an approval has to be later.
            ("planned_at", TIMESTAMP),
            # The plan that it takes back; null: it follows from the published plan.
            ("rollback_of", pa.string()),
            ("rule", pa.string()),
            ("current_setting", pa.string()),
            ("current_filters", _FILTERS),
            ("proposed_setting", pa.string()),
            ("proposed_filters", _FILTERS),
            ("closes_finding", pa.bool_()),
            ("evidence_nights", pa.int64()),
            ("overwritable_after", pa.int64()),
            # 0: among the canary accounts, which are changed first.
            ("batch", pa.int32()),
        ]
    ),
    ("account_id", "region", "repository_name"),
    since=7,
)

# How a change of a plan ended that a person approved.
REMEDIATION_ACTIONS = LakeTable(
    "remediation_actions",
    pa.schema(
        [
            ("plan_id", pa.string()),
            ("rollback_of", pa.string()),
            ("policy_id", pa.string()),
            ("account_id", pa.string()),
            ("region", pa.string()),
            ("repository_name", pa.string()),
            ("repository_arn", pa.string()),
            ("created_at", TIMESTAMP),
            # A value of remediation/outcomes.py.
            ("outcome", pa.string()),
            ("error_code", pa.string()),
            ("error_message", pa.string()),
            # As it was read just before the write; null: not read.
            ("before_setting", pa.string()),
            ("before_filters", _FILTERS),
            ("proposed_setting", pa.string()),
            ("proposed_filters", _FILTERS),
            # As it was read after all writes; null: not read.
            ("after_setting", pa.string()),
            ("after_filters", _FILTERS),
            ("approver", pa.string()),
            # When the outcome was known, and when the repository was read again after it.
            ("acted_at", TIMESTAMP),
            ("verified_at", TIMESTAMP),
        ]
    ),
    ("plan_id", "account_id", "region", "repository_name"),
    since=7,
    identified_by=("plan_id", "repository_arn"),
)

# A person's answer to a plan, and whether it counted.
REMEDIATION_APPROVALS = LakeTable(
    "remediation_approvals",
    pa.schema(
        [
            ("plan_id", pa.string()),
            ("rollback_of", pa.string()),
            ("policy_id", pa.string()),
            ("repositories", pa.int64()),
            ("planned_at", TIMESTAMP),
            ("run_id", pa.string()),
            # A user's name, never an e-mail address; null: unknown.
            ("triggered_by", pa.string()),
            # Approve or Reject; null: nobody answered.
            ("answer", pa.string()),
            ("approver_id", pa.string()),
            ("approver", pa.string()),
            ("answered_at", TIMESTAMP),
            ("accepted", pa.bool_()),
            # Why the plan was not applied.
            ("refusal", pa.string()),
        ]
    ),
    ("plan_id",),
    since=7,
)
