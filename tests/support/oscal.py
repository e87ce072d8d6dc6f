"""OSCAL's official schemas, and the rules that they do not hold.

tests/fixtures/oscal has the schemas of NIST (public domain), with the SHA-256 of the released files.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

SCHEMAS = Path(__file__).parents[1] / "fixtures" / "oscal"
# The version that documents declare, and the newest.
VERSIONS = ("1.1.3", "1.2.3")


@cache
def validator(version: str) -> Any:
    """Validates assessment results."""
    schema = SCHEMAS / f"oscal_assessment-results_schema-{version}.json"
    return jsonschema_rs.validator_for(json.loads(schema.read_text("utf-8")))


def faults(document: dict[str, Any]) -> list[str]:
    """The faults of a document by both schemas, and by the rules that they do not hold."""
    invalid = [
        f"{version}: {fault.message} at {fault.instance_path}"
        for version in VERSIONS
        for fault in validator(version).iter_errors(document)
    ]
    return [*invalid, *_own(document["assessment-results"])]


def _own(document: dict[str, Any]) -> Iterator[str]:
    items = list(_items(document))
    declared = Counter(value for _, name, value in items if name == "uuid")
    yield from (f"uuid {uid} is there {count} times" for uid, count in declared.items() if count > 1)
    for where, name, value in items:
        if name.endswith("-uuid") and value not in declared:
            yield f"{where}: {name} {value} does not resolve"
        if name == "party-uuids":
            yield from (f"{where}: {each} does not resolve" for each in value if each not in declared)
        if name == "href" and value.startswith("#") and value[1:] not in declared:
            yield f"{where}: {value} does not resolve"
        if value in ([], {}, None, ""):
            yield f"{where}.{name} is empty"
        if name == "target" and not re.fullmatch(r"[a-z]{2}-\d+(\.\d+)?_smt", value["target-id"]):
            yield f"{where}: {value['target-id']} is not a statement"
    for activity in document["local-definitions"]["activities"]:
        if not any(prop["name"] == "method" and "ns" not in prop for prop in activity["props"]):
            yield f"activity {activity['uuid']} has no method"
    for resource in document.get("back-matter", {}).get("resources", []):
        if not resource.get("rlinks"):
            yield f"resource {resource['uuid']} has no rlink"


def _items(value: Any, where: str = "") -> Iterator[tuple[str, str, Any]]:
    """Each member of each object, with its place."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield where, name, each
            yield from _items(each, f"{where}.{name}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _items(each, f"{where}[{number}]")
