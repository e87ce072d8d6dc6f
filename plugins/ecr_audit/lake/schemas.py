"""Arrow schemas of the lake's tables: the meaning of a row, and the sort order of the files of a snapshot.

`snapshot_date` is in no schema: it is the partition (`snapshot_date=YYYY-MM-DD`), which every reader of Parquet adds.
All timestamps are UTC. No table holds an e-mail address.
"""

from __future__ import annotations

import pyarrow as pa

from ecr_audit.lake.tables import LakeTable
from ecr_audit.vocabulary import Status

TIMESTAMP = pa.timestamp("us", tz="UTC")

EXCLUSION_FILTERS = pa.list_(pa.struct([("filter_type", pa.string()), ("filter", pa.string())]))


# Facets (vocabulary.Facet) of which the last turn failed, each with AWS's error code or the audit's own.
FACETS_FAILED = pa.list_(pa.struct([("facet", pa.string()), ("error_code", pa.string())]))


ACCOUNTS = LakeTable(
    "accounts",
    pa.schema(
        [
            ("account_id", pa.string()),
            ("account_name", pa.string()),
            ("state", pa.string()),
            ("ou_id", pa.string()),
            # Names from the root down, `Root/Prod/Payments`: what people call the unit. See unit_paths.py.
            ("ou_path", pa.string()),
            # The unit's id and those of the units above it, from the root down: one for each name of the path.
            ("unit_ids", pa.list_(pa.string())),
            ("joined_at", TIMESTAMP),
            ("collected_at", TIMESTAMP),
            # When its name, unit and date of joining were read: before collected_at where one of them could not be read
            # and is the last known one; null when it never was.
            ("details_read_at", TIMESTAMP),
        ]
    ),
    ("account_id",),
    added={"unit_ids": 5, "collected_at": 5, "details_read_at": 5},
)

SCAN_TARGETS = LakeTable(
    "scan_targets",
    pa.schema(
        [
            ("account_id", pa.string()),
            ("region", pa.string()),
            ("outcome", pa.string()),
            ("error_code", pa.string()),
            ("error_message", pa.string()),
            ("repository_count", pa.int64()),
            ("api_calls", pa.int64()),
            ("retries", pa.int64()),
            ("throttles", pa.int64()),
            ("started_at", TIMESTAMP),
            ("duration_ms", pa.int64()),
            # Only where the target was COLLECTED. `objects`: how many repositories were not read, or keys, or
            # 1 for the registry.
            (
                "facets_failed",
                pa.list_(
                    pa.struct(
                        [
                            ("facet", pa.string()),
                            ("error_code", pa.string()),
                            ("error_message", pa.string()),
                            ("objects", pa.int64()),
                        ]
                    )
                ),
            ),
        ]
    ),
    ("account_id", "region"),
    added={"throttles": 4, "facets_failed": 7},
)

REPOSITORIES = LakeTable(
    "repositories",
    pa.schema(
        [
            ("account_id", pa.string()),
            ("region", pa.string()),
            ("repository_name", pa.string()),
            ("repository_arn", pa.string()),
            ("repository_uri", pa.string()),
            ("created_at", TIMESTAMP),
            ("image_tag_mutability", pa.string()),
            ("image_tag_mutability_exclusion_filters", EXCLUSION_FILTERS),
            ("scan_on_push", pa.bool_()),
            ("encryption_type", pa.string()),
            ("kms_key", pa.string()),
            # Null when they are not wanted (setting) or were never read; an empty map when there are none.
            ("tags", pa.map_(pa.string(), pa.string())),
            # Before collected_at where they could not be read and are the last known ones; null with `tags`.
            ("tags_read_at", TIMESTAMP),
            ("collected_at", TIMESTAMP),
            # False: its target could not be read in this snapshot, and the row is the last one known, carried over.
            ("observed", pa.bool_()),
            # Each facet's values, and when they were read: the last known ones where they were not read in this
            # snapshot, null where never or where the facet is not wanted (ECR_AUDIT_COLLECT).
            # SCAN_ON_PUSH, CONTINUOUS_SCAN or MANUAL, with the registry's filters that decide it.
            ("scan_frequency", pa.string()),
            ("scan_filters", pa.list_(pa.string())),
            ("scanning_read_at", TIMESTAMP),
            # AWS or CUSTOMER.
            ("kms_key_manager", pa.string()),
            ("keys_read_at", TIMESTAMP),
            # The policy's JSON, as AWS gave it; null with a time: there is none.
            ("lifecycle_policy", pa.string()),
            ("lifecycle_read_at", TIMESTAMP),
            ("repository_policy", pa.string()),
            ("policies_read_at", TIMESTAMP),
            ("facets_failed", FACETS_FAILED),
        ]
    ),
    ("account_id", "region", "repository_name"),
    added={
        "tags_read_at": 5,
        "scan_frequency": 7,
        "scan_filters": 7,
        "scanning_read_at": 7,
        "kms_key_manager": 7,
        "keys_read_at": 7,
        "lifecycle_policy": 7,
        "lifecycle_read_at": 7,
        "repository_policy": 7,
        "policies_read_at": 7,
        "facets_failed": 7,
    },
)

# A registry is ECR in one account x region. Those with at least one repository have a row.
REGISTRIES = LakeTable(
    "registries",
    pa.schema(
        [
            ("account_id", pa.string()),
            ("region", pa.string()),
            # Ours, since AWS gives a registry no ARN: arn:<partition>:ecr:<region>:<account>:registry
            ("registry_arn", pa.string()),
            (
                "creation_templates",
                pa.list_(
                    pa.struct(
                        [
                            # ROOT: for names that no other template's prefix matches.
                            ("prefix", pa.string()),
                            # PULL_THROUGH_CACHE, REPLICATION, CREATE_ON_PUSH.
                            ("applied_for", pa.list_(pa.string())),
                            # Null: left out, which makes MUTABLE.
                            ("image_tag_mutability", pa.string()),
                            ("exclusion_filters", pa.list_(pa.string())),
                        ]
                    )
                ),
            ),
            (
                "pull_through_rules",
                pa.list_(pa.struct([("prefix", pa.string()), ("upstream_registry_url", pa.string())])),
            ),
            ("registries_read_at", TIMESTAMP),
            ("collected_at", TIMESTAMP),
            ("observed", pa.bool_()),
            ("facets_failed", FACETS_FAILED),
        ]
    ),
    ("account_id", "region"),
    since=7,
)

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

# An interval in which a tag pointed at a digest, as complete reads of its repository found it. A night holds all of
# them, so that only the newest nights have the table: see `TAG_MOVES` for what stays.
IMAGE_TAGS = LakeTable(
    "image_tags",
    pa.schema(
        [
            ("account_id", pa.string()),
            ("repository_arn", pa.string()),
            ("tag", pa.string()),
            ("digest", pa.string()),
            # The complete reads that found it first and last.
            ("first_seen", TIMESTAMP),
            ("last_seen", TIMESTAMP),
            # The last complete read found it. False: it was moved or removed since, or the repository was deleted.
            ("is_current", pa.bool_()),
        ]
    ),
    ("account_id", "repository_arn", "tag", "first_seen"),
    since=7,
    identified_by=("repository_arn", "tag", "first_seen"),
)

# How the image tags of a repository of the night's inventory were read.
IMAGE_TAG_READS = LakeTable(
    "image_tag_reads",
    pa.schema(
        [
            ("repository_arn", pa.string()),
            ("account_id", pa.string()),
            ("region", pa.string()),
            ("repository_name", pa.string()),
            # One of those of scan_targets; null: ECR_AUDIT_IMAGE_TAGS left it out.
            ("outcome", pa.string()),
            ("error_code", pa.string()),
            ("error_message", pa.string()),
            # Null where the read is not complete.
            ("tags", pa.int64()),
            # Null where that is not known.
            ("calls", pa.int64()),
            ("complete", pa.bool_()),
            # Complete, and there was an earlier read of the same repository to compare with.
            ("compared", pa.bool_()),
            # When the read was tried last, in an earlier night where it was not reached in this one; null: never.
            ("read_at", TIMESTAMP),
            # The last complete read up to this night, and the repository as it was then.
            ("complete_at", TIMESTAMP),
            ("complete_tags", pa.int64()),
            ("created_at", TIMESTAMP),
            ("image_tag_mutability", pa.string()),
            ("exclusion_filters", pa.list_(pa.string())),
        ]
    ),
    ("account_id", "repository_arn"),
    since=7,
    identified_by=("repository_arn",),
)

# A tag that changed between two complete reads of its repository.
TAG_MOVES = LakeTable(
    "tag_moves",
    pa.schema(
        [
            ("account_id", pa.string()),
            ("account_name", pa.string()),
            ("ou_id", pa.string()),
            ("ou_path", pa.string()),
            ("region", pa.string()),
            ("repository_name", pa.string()),
            ("repository_arn", pa.string()),
            ("owner", pa.string()),
            ("owner_source", pa.string()),
            ("tag", pa.string()),
            ("is_release", pa.bool_()),
            # moved, moved_though_immutable, moved_back, added, removed.
            ("kind", pa.string()),
            ("old_digest", pa.string()),
            ("new_digest", pa.string()),
            # The two reads.
            ("seen_before", TIMESTAMP),
            ("seen_after", TIMESTAMP),
            # The repository's image_tag_mutability at the two reads.
            ("setting_before", pa.string()),
            ("setting_after", pa.string()),
        ]
    ),
    ("account_id", "repository_arn", "tag"),
    since=7,
    identified_by=("repository_arn", "tag"),
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

# The lake is committed in stages, each by one commit file: what was seen, what was evaluated of it, and what its image
# tags point to, which is read after it and only with ECR_AUDIT_IMAGE_TAGS.
STAGES: dict[str, tuple[LakeTable, ...]] = {
    "inventory": (ACCOUNTS, SCAN_TARGETS, REPOSITORIES, REGISTRIES),
    "compliance": (POLICY_OUTPUT, *ROLLED_UP),
    "image_tags": (IMAGE_TAGS, IMAGE_TAG_READS, TAG_MOVES),
}

# The tables of a night that stay when it is thinned, by stage. They are small, and say of their night what would be
# dear to find out later: publishing reads all nights of them.
KEPT: dict[str, tuple[LakeTable, ...]] = {"inventory": (), "compliance": ROLLED_UP, "image_tags": (TAG_MOVES,)}


def stage_tables(stage: str, version: int) -> tuple[LakeTable, ...]:
    """The tables that a commit of that version of the schema has."""
    return tuple(table for table in STAGES[stage] if table.since <= version)
