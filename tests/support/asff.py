"""Security Hub's own shapes of a finding, and the limits that they do not hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
from botocore.model import Shape
from botocore.validate import ParamValidator

_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
# Source: AWS Security Hub API Reference, and "ASFF syntax" of its User Guide.
_ENUMS = {
    "Label": {"INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"},
    "RecordState": {"ACTIVE", "ARCHIVED"},
    "Partition": {"aws", "aws-cn", "aws-us-gov"},
    "ImageTagMutability": {"MUTABLE", "IMMUTABLE"},
}
_LENGTHS = {"Title": 256, "Description": 1024, "GeneratorId": 512, "Text": 512, "Id": 512, "ProductName": 128}
_MOST_BYTES = 240_000


@cache
def _shape() -> Shape:
    model = botocore.session.get_session().get_service_model("securityhub")
    return model.shape_for("AwsSecurityFinding")


def faults(record: dict[str, Any]) -> list[str]:
    """The faults of a record by botocore's shape, and by Security Hub's enums and lengths."""
    report = ParamValidator().validate(record, _shape())
    return [*([report.generate_report()] if report.has_errors() else []), *_own(record)]


def smallest_finding(account_id: str, region: str, number: int) -> dict[str, Any]:
    """As much of a finding as Security Hub requires."""
    return {
        "SchemaVersion": "2018-10-08",
        "Id": f"{region}/{account_id}/ecr-audit/{number}",
        "ProductArn": f"arn:aws:securityhub:{region}:{account_id}:product/{account_id}/default",
        "GeneratorId": "policy",
        "AwsAccountId": account_id,
        "CreatedAt": "2026-11-01T00:00:00Z",
        "UpdatedAt": "2026-11-01T00:00:00Z",
        "Severity": {"Label": "HIGH"},
        "Title": "é",
        "Description": "\U0001f4a5",
        "Resources": [{"Type": "Other", "Id": "x", "Region": region}],
    }


def _own(record: dict[str, Any]) -> Iterator[str]:
    if len(json.dumps(record).encode()) > _MOST_BYTES:
        yield "larger than 240 KB"
    status = record["Compliance"]["Status"]
    if status not in ("PASSED", "FAILED", "WARNING", "NOT_AVAILABLE"):
        yield f"Compliance.Status: {status}"
    related = record["Compliance"].get("RelatedRequirements", [])
    if len(related) > 32 or any(len(each) > 64 for each in related):
        yield f"RelatedRequirements: {related}"
    if any(len(key) > 128 or len(value) > 1024 for key, value in record["ProductFields"].items()):
        yield "ProductFields: too long"
    names = {"FirstObservedAt", "LastObservedAt", "CreatedAt", "UpdatedAt"}
    yield from (f"{name}: {record[name]}" for name in names & record.keys() if not re.fullmatch(_TIME, record[name]))
    account, region = record["AwsAccountId"], record["Resources"][0]["Region"]
    if not re.fullmatch(
        rf"arn:aws[a-z-]*:securityhub:{region}:{account}:product/{account}/default", record["ProductArn"]
    ):
        yield f"ProductArn: {record['ProductArn']}"
    if "SecurityControlId" in record["Compliance"] or "AssociatedStandards" in record["Compliance"]:
        yield "would be counted with AWS's own controls"
    yield from _texts(record)


def _texts(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            # In `Other`, and only there, keys are free.
            yield from () if key == "Other" else _texts(each, key)
        if not value:
            yield f"{name} is empty"
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, name)
        if not value:
            yield f"{name} is empty"
    elif isinstance(value, str):
        if not value.strip():
            yield f"{name} is blank"
        if len(value) > _LENGTHS.get(name, 2**20):
            yield f"{name} has {len(value)} characters"
        if value not in _ENUMS.get(name, {value}):
            yield f"{name}: {value}"
    elif not isinstance(value, bool | int | float):
        yield f"{name}: {value!r}"
