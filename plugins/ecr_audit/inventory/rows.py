"""From what scans brought to rows of the lake. What AWS answers is read before, target by target (aws/ecr/):
nothing here can fail because of it, which would cost a whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pyarrow as pa

from ecr_audit.aws.dispatcher import Effort
from ecr_audit.aws.ecr.facet import Declaration
from ecr_audit.aws.ecr.facets import REGISTRY_FACET, REPOSITORY_FACETS
from ecr_audit.aws.ecr.registry import registry_arn
from ecr_audit.aws.ecr.target import TargetScan
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.lake.schemas import REGISTRIES, REPOSITORIES, SCAN_TARGETS


class ScannedRows(NamedTuple):
    """Rows of the lake's scanned tables, of the same targets."""

    targets: pa.Table
    repositories: pa.Table
    registries: pa.Table


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
        "facets_failed": [_failures(scan) for scan, _ in ended],
        "request_id": [scan.request_id for scan, _ in ended],
    }
    return pa.table(columns, schema=SCAN_TARGETS.schema)


def repository_rows(scans: Sequence[TargetScan], collected_at: datetime) -> pa.Table:
    """The rows of `repositories` for some targets, column by column.

    A field that AWS leaves out is null: a missing mutability is for the policy to evaluate, not for the scan to guess.
    """
    found = [(scan, each) for scan in scans for each in scan.repositories]
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
        "collected_at": [collected_at] * len(found),
        "observed": [True] * len(found),
    }
    objects = [(scan, each.arn) for scan, each in found]
    for declaration in REPOSITORY_FACETS:
        columns |= _facet_columns(declaration, objects, collected_at)
    columns["facets_failed"] = _failed_facets(objects, REPOSITORY_FACETS)
    return pa.table(columns, schema=REPOSITORIES.schema)


def registry_rows(scans: Sequence[TargetScan], collected_at: datetime) -> pa.Table:
    """The rows of `registries` for some targets: one for each that has repositories."""
    found = [scan for scan in scans if scan.repositories]
    objects = [(scan, registry_arn(scan.repositories[0])) for scan in found]
    columns = {
        "account_id": [scan.account_id for scan in found],
        "region": [scan.region for scan in found],
        "registry_arn": [arn for _, arn in objects],
        "collected_at": [collected_at] * len(found),
        "observed": [True] * len(found),
        **_facet_columns(REGISTRY_FACET, objects, collected_at),
        "facets_failed": _failed_facets(objects, (REGISTRY_FACET,)),
    }
    return pa.table(columns, schema=REGISTRIES.schema)


def _facet_columns(
    declaration: Declaration, objects: Sequence[tuple[TargetScan, str]], collected_at: datetime
) -> dict[str, list[Any]]:
    """The columns of a facet, and the one with the time; null where an object's values were not read."""
    reads = [(scan.facets.get(declaration.facet), arn) for scan, arn in objects]
    values = [None if read is None else read.values.get(arn) for read, arn in reads]
    columns: dict[str, list[Any]] = {
        column: [each and each[column] for each in values] for column in declaration.columns
    }
    columns[declaration.read_at] = [None if each is None else collected_at for each in values]
    return columns


def _failed_facets(
    objects: Sequence[tuple[TargetScan, str]], declarations: Sequence[Declaration]
) -> list[list[dict[str, str]]]:
    """For each object the facets that were to be read of it and were not."""
    facets = [declaration.facet for declaration in declarations]
    failing = {
        id(scan): [(facet, scan.facets[facet]) for facet in facets if facet in scan.facets and scan.facets[facet].fault]
        for scan, _ in objects
    }
    return [
        [
            {"facet": facet.value, "error_code": code}
            for facet, read in failing[id(scan)]
            if (code := read.error_of(arn)) is not None
        ]
        for scan, arn in objects
    ]


def _failures(scan: TargetScan) -> list[dict[str, Any]] | None:
    """The facets of a target that could not be read, of some object at least; None where it was not read itself."""
    if scan.outcome is not Outcome.COLLECTED:
        return None
    return [
        {
            "facet": facet.value,
            "error_code": read.fault.error_code,
            "error_message": read.fault.error_message,
            "objects": len(read.unread),
        }
        for facet, read in scan.facets.items()
        if read.fault is not None
    ]
