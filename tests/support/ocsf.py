"""OCSF's official schemas, of which each version that findings are valid by."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

# The version that records declare, and the one that Security Hub reads.
VERSIONS = ("1.8.0", "1.6.0")


@cache
def validator(version: str) -> Any:
    """Validates a Compliance Finding with the profiles that our records name."""
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version)).get_class_schema(
        "compliance_finding", ["cloud", "datetime"]
    )
    return jsonschema_rs.validator_for(schema)


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The objects of a compressed file with one on each line."""
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).decode("utf-8").splitlines()]


def faults(records: list[dict[str, Any]]) -> list[str]:
    """The faults of records by all versions of the schema."""
    return [
        f"{version}: {fault.message} at {fault.instance_path}"
        for version in VERSIONS
        for record in records
        for fault in validator(version).iter_errors(record)
    ]
