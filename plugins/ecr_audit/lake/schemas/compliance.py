"""Tables of the stage compliance: the verdicts, and what is rolled up from them."""

from __future__ import annotations

import pyarrow as pa

from ecr_audit.lake.tables import TIMESTAMP, LakeTable
from ecr_audit.vocabulary import Status

POLICY_OUTPUT = LakeTable(
    "policy_output",
    pa.schema(
        [
            ("policy_id", pa.string()),
            ("object_id", pa.string()),
            ("account_id", pa.string()),
            ("region", pa.string()),
            # On that day: the owner named by the repository's tags, else its account's name; source: tag or account.
            ("owner", pa.string()),
            ("owner_source", pa.string()),
            ("status", pa.string()),
            ("status_date", pa.date32()),
            ("incompliant_start_date", pa.date32()),
            ("incompliant_end_date", pa.date32()),
            ("started_known", pa.bool_()),
            ("condition_index", pa.int32()),
            ("current_state_message", pa.string()),
            ("remediation_message", pa.string()),
            ("remediation_command", pa.string()),
            ("observed", pa.bool_()),
            ("run_time", TIMESTAMP),
        ]
    ),
    # And within a policy by runs of accounts, see compliance/verdicts.py. Sorting throughout costs more than
    # evaluating.
    ("policy_id",),
    added={"owner": 3, "owner_source": 5, "started_known": 5},
    identified_by=("policy_id", "object_id"),
)

# compliant, incompliant, undetermined, inapplicable, disappeared.
STATUS_COUNTS: list[tuple[str, pa.DataType]] = [(status.lower(), pa.int64()) for status in Status]

# compliance_percent ignores waivers; with waivers, waived verdicts are not counted.
WAIVED_COUNTS: list[tuple[str, pa.DataType]] = [
    ("waived", pa.int64()),
    ("compliance_percent", pa.float64()),
    ("compliance_percent_with_waivers", pa.float64()),
]

POLICY_RUN = LakeTable(
    "policy_run",
    pa.schema(
        [
            ("policy_id", pa.string()),
            ("policy_hash", pa.string()),
            ("run_time", TIMESTAMP),
            ("completed", pa.bool_()),
            *STATUS_COUNTS,
        ]
    ),
    ("policy_id",),
)

SECTION_COMPLIANCE = LakeTable(
    "section_compliance",
    pa.schema(
        [
            ("framework_id", pa.string()),
            ("section_id", pa.string()),
            ("scope_type", pa.string()),
            ("scope_id", pa.string()),
            # The unit's id, where the scope is one: it stays when the unit is renamed.
            ("ou_id", pa.string()),
            ("sub_sections", pa.int32()),
            ("internal_rules", pa.int32()),
            ("policies", pa.int32()),
            ("flags", pa.list_(pa.string())),
            *STATUS_COUNTS,
            *WAIVED_COUNTS,
            ("coverage_percent", pa.float64()),
        ]
    ),
    ("framework_id", "section_id", "scope_type", "scope_id"),
    added={"ou_id": 5},
)

SCOPE_COMPLIANCE = LakeTable(
    "scope_compliance",
    pa.schema(
        [
            ("policy_id", pa.string()),
            # organization, ou, account, owner, untagged or region.
            ("scope_type", pa.string()),
            ("scope_id", pa.string()),
            ("ou_id", pa.string()),
            *STATUS_COUNTS,
            *WAIVED_COUNTS,
            ("coverage_percent", pa.float64()),
        ]
    ),
    ("policy_id", "scope_type", "scope_id"),
    added={"ou_id": 5},
)

CHANGES = LakeTable(
    "changes",
    pa.schema(
        [
            ("previous_snapshot_date", pa.date32()),
            ("policy_id", pa.string()),
            ("repository_arn", pa.string()),
            ("account_id", pa.string()),
            ("account_name", pa.string()),
            ("ou_id", pa.string()),
            ("ou_path", pa.string()),
            # The unit that its account was moved from; only of the change `moved`.
            ("previous_ou_id", pa.string()),
            ("previous_ou_path", pa.string()),
            ("region", pa.string()),
            ("repository_name", pa.string()),
            ("owner", pa.string()),
            ("owner_source", pa.string()),
            ("change", pa.string()),
            ("previous_status", pa.string()),
            ("status", pa.string()),
            ("incompliant_start_date", pa.date32()),
            ("incompliant_end_date", pa.date32()),
            ("current_state_message", pa.string()),
        ]
    ),
    ("policy_id", "account_id", "region", "repository_arn", "change"),
    added={"ou_id": 5, "previous_ou_id": 5, "previous_ou_path": 5, "owner_source": 5},
)

ENDED_FINDINGS = LakeTable(
    "ended_findings",
    pa.schema(
        [
            ("policy_id", pa.string()),
            ("object_id", pa.string()),
            ("account_id", pa.string()),
            ("account_name", pa.string()),
            ("ou_id", pa.string()),
            ("ou_path", pa.string()),
            ("region", pa.string()),
            ("owner", pa.string()),
            ("owner_source", pa.string()),
            ("incompliant_start_date", pa.date32()),
            ("started_known", pa.bool_()),
            ("ended_by", pa.string()),
        ]
    ),
    ("policy_id", "account_id", "region", "object_id"),
    added={"ou_id": 5, "owner_source": 5, "started_known": 5},
)

COVERAGE = LakeTable(
    "coverage",
    pa.schema(
        [
            ("account_id", pa.string()),
            ("account_name", pa.string()),
            ("state", pa.string()),
            ("ou_id", pa.string()),
            ("ou_path", pa.string()),
            ("targets", pa.int64()),
            ("collected", pa.int64()),
            ("assume_role_denied", pa.int64()),
            ("access_denied", pa.int64()),
            ("region_disabled", pa.int64()),
            ("account_inactive", pa.int64()),
            ("throttled", pa.int64()),
            ("failed", pa.int64()),
            ("repositories_observed", pa.int64()),
            ("repositories_unseen", pa.int64()),
            ("coverage_percent", pa.float64()),
            ("first_day_not_seen", pa.date32()),
        ]
    ),
    ("account_id",),
    added={"ou_id": 5},
)

# A waiver as its file has it; NULL in a part of the scope means no limit.
WAIVER_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("waiver_id", pa.string()),
    ("policy_id", pa.string()),
    ("repository", pa.string()),
    ("account_id", pa.string()),
    # A unit is given by its path or by its id.
    ("ou_path", pa.string()),
    ("ou_id", pa.string()),
    ("region", pa.string()),
    ("tag_key", pa.string()),
    ("tag_value", pa.string()),
    ("reason", pa.string()),
    ("owner", pa.string()),
    ("ticket", pa.string()),
    ("approved_by", pa.string()),
    ("created", pa.date32()),
    ("expires", pa.date32()),
]

WAIVERS = LakeTable(
    "waivers",
    pa.schema([*WAIVER_COLUMNS, ("status", pa.string()), ("days_left", pa.int64()), ("matched_findings", pa.int64())]),
    ("waiver_id",),
    added={"ou_id": 5},
)

WAIVED_FINDINGS = LakeTable(
    "waived_findings",
    pa.schema([("policy_id", pa.string()), ("object_id", pa.string()), ("waiver_id", pa.string())]),
    ("policy_id", "object_id"),
)

# Tables made from the verdicts, in this order: each may read those before it.
ROLLED_UP = (
    WAIVED_FINDINGS,
    WAIVERS,
    POLICY_RUN,
    SCOPE_COMPLIANCE,
    SECTION_COMPLIANCE,
    CHANGES,
    ENDED_FINDINGS,
    COVERAGE,
)
