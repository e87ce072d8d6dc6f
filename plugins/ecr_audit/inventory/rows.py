"""From what AWS answers to rows of the lake. Nothing here talks to AWS."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from ecr_audit.aws.calls import Effort
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.aws.repositories import TargetScan
from ecr_audit.schemas import REPOSITORIES, SCAN_TARGETS


def target_rows(ended: Sequence[tuple[TargetScan, Effort | None]]) -> pa.Table:
    """The rows of `scan_targets` for some scans and what each cost: null, not 0, where that is None, not known."""
    efforts = [effort for _, effort in ended]
    columns = {
        "account_id": [scan.account_id for scan, _ in ended],
        "region": [scan.region for scan, _ in ended],
        "outcome": [scan.outcome.value for scan, _ in ended],
        "error_code": [scan.error_code for scan, _ in ended],
        "error_message": [scan.error_message for scan, _ in ended],
        # Null, not 0, where nobody could look.
        "repository_count": [
            len(scan.repositories) if scan.outcome is Outcome.COLLECTED else None for scan, _ in ended
        ],
        "api_calls": [each and each.calls for each in efforts],
        "retries": [each and each.retries for each in efforts],
        "throttles": [each and each.throttles for each in efforts],
        "started_at": [each and datetime.fromtimestamp(each.started_at, UTC) for each in efforts],
        "duration_ms": [each and each.duration_ms for each in efforts],
    }
    return pa.table(columns, schema=SCAN_TARGETS.schema)


def repository_rows(scans: Sequence[TargetScan], collected_at: datetime) -> pa.Table:
    """The rows of `repositories` for some targets, column by column.

    A field that AWS leaves out is null: a missing mutability is for the policy to judge, not for the scan to guess.
    """
    found = [(scan, each) for scan in scans for each in scan.repositories]
    tags = [_tags_of(scan, each) for scan, each in found]
    columns = {
        "account_id": [scan.account_id for scan, _ in found],
        "region": [scan.region for scan, _ in found],
        "repository_name": [each.get("repositoryName") for _, each in found],
        "repository_arn": [each.get("repositoryArn") for _, each in found],
        "repository_uri": [each.get("repositoryUri") for _, each in found],
        "created_at": [_utc(each.get("createdAt")) for _, each in found],
        "image_tag_mutability": [each.get("imageTagMutability") for _, each in found],
        "image_tag_mutability_exclusion_filters": [
            [
                {"filter_type": each_filter.get("filterType"), "filter": each_filter.get("filter")}
                for each_filter in each.get("imageTagMutabilityExclusionFilters") or ()
            ]
            for _, each in found
        ],
        "scan_on_push": [(each.get("imageScanningConfiguration") or {}).get("scanOnPush") for _, each in found],
        "encryption_type": [(each.get("encryptionConfiguration") or {}).get("encryptionType") for _, each in found],
        "kms_key": [(each.get("encryptionConfiguration") or {}).get("kmsKey") for _, each in found],
        "tags": tags,
        "tags_read_at": [None if each is None else collected_at for each in tags],
        "collected_at": [collected_at] * len(found),
        "observed": [True] * len(found),
    }
    return pa.table(columns, schema=REPOSITORIES.schema)


def _utc(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _tags_of(scan: TargetScan, repository: dict[str, Any]) -> list[tuple[str, str]] | None:
    if scan.tags is None:
        return None
    return list(scan.tags.get(repository.get("repositoryArn", ""), {}).items())
