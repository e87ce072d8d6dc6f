"""Tables of the stage inventory: accounts, targets, repositories and registries, as a scan saw them."""

from __future__ import annotations

import pyarrow as pa

from ecr_audit.lake.tables import TIMESTAMP, LakeTable

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
            # AWS's id of the call that decided the outcome: CloudTrail of the account has the call under it.
            ("request_id", pa.string()),
        ]
    ),
    ("account_id", "region"),
    added={"throttles": 4, "facets_failed": 7, "request_id": 7},
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
