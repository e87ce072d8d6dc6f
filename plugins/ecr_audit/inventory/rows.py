"""From what scans brought to rows of the lake. What AWS answers is read before, target by target (aws/ecr/):
nothing here can fail because of it, which would cost a whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa

from ecr_audit.aws.dispatcher import Effort
from ecr_audit.aws.ecr.repositories import Repository
from ecr_audit.aws.ecr.target import TargetScan
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.lake.schemas import REPOSITORIES, SCAN_TARGETS


def target_rows(ended: Sequence[tuple[TargetScan, Effort | None]]) -> pa.Table:
    """The rows of `scan_targets` for some scans and what each cost: null, not 0, where that is None, not known."""
    efforts = [effort for _, effort in ended]
    columns = {
        "account_id": [scan.account_id for scan, _ in ended],
        "region": [scan.region for scan, _ in ended],
        "outcome": [scan.outcome.value for scan, _ in ended],
        "error_code": [scan.error_code for scan, _ in ended],
        "error_message": [scan.error_message for scan, _ in ended],
        # Null, not 0, where the target could not be read.
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

    A field that AWS leaves out is null: a missing mutability is for the policy to evaluate, not for the scan to guess.
    """
    found = [(scan, each) for scan in scans for each in scan.repositories]
    tags = [_tags_of(scan, each) for scan, each in found]
    columns = {
        "account_id": [scan.account_id for scan, _ in found],
        "region": [scan.region for scan, _ in found],
        "repository_name": [each.name for _, each in found],
        "repository_arn": [each.arn for _, each in found],
        "repository_uri": [each.uri for _, each in found],
        "created_at": [each.created_at for _, each in found],
        "image_tag_mutability": [each.image_tag_mutability for _, each in found],
        "image_tag_mutability_exclusion_filters": [each.exclusion_filters for _, each in found],
        "scan_on_push": [each.scan_on_push for _, each in found],
        "encryption_type": [each.encryption_type for _, each in found],
        "kms_key": [each.kms_key for _, each in found],
        "tags": tags,
        "tags_read_at": [None if each is None else collected_at for each in tags],
        "collected_at": [collected_at] * len(found),
        "observed": [True] * len(found),
    }
    return pa.table(columns, schema=REPOSITORIES.schema)


def _tags_of(scan: TargetScan, repository: Repository) -> list[tuple[str, str]] | None:
    tags = None if scan.tags is None else scan.tags.get(repository.arn, {})
    return None if tags is None else list(tags.items())
