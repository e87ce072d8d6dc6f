"""The findings that are due in a night, cut into calls.

A finding is due in the first night of its account and region, when it has changed, and, so that none expires 90 days
after its last update, in one night of thirty: sql/exports/due_records.sql. The same publication gives the same calls.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from ecr_audit.aws.security_hub import MOST_BYTES, MOST_FINDINGS
from ecr_audit.publish.json_lines import lines_of_records
from ecr_audit.vocabulary import ENGINE_CONDITIONS, ExportedRecords, Status

Registry = tuple[str, str]

# Beside its findings, the body of a call holds their list's name, and after each a comma and a blank.
_AROUND = 100

# Under every policy: its account is not active.
_ACCOUNT_INACTIVE = next(each.index for each in ENGINE_CONDITIONS if each.status is Status.INAPPLICABLE)
_INACTIVE = f"SELECT DISTINCT account_id FROM policy_output WHERE condition_index = {_ACCOUNT_INACTIVE}"


@dataclass(frozen=True)
class Batch:
    """The findings of one call, which are all of one account and region (`registry`)."""

    registry: Registry
    count: int
    # Compressed: the first night has all findings of the organization.
    packed: bytes

    def findings(self) -> list[dict[str, Any]]:
        """The findings, as BatchImportFindings takes them."""
        found: list[dict[str, Any]] = json.loads(zlib.decompress(self.packed))
        return found


def due_batches(database: duckdb.DuckDBPyConnection, records: ExportedRecords) -> list[Batch]:
    """The calls that import what is due by a published database, in the order of objects and policies."""
    lines = lines_of_records(database, "asff_findings", records, due=True)
    return list(_cut(json.loads(line) for line in lines))


def inactive_accounts(database: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Accounts with objects that cannot be entered: suspended, closed, or no longer in the organization."""
    return frozenset(account_id for (account_id,) in database.execute(_INACTIVE).fetchall())


def _cut(findings: Iterator[dict[str, Any]]) -> Iterator[Batch]:
    """Cut findings into calls, by registry and by the limits of one call."""
    registry, texts, size = ("", ""), list[str](), 0
    for finding in findings:
        own = (finding["AwsAccountId"], finding["Resources"][0]["Region"])
        # As it is sent.
        text = json.dumps(finding)
        if texts and (own != registry or len(texts) == MOST_FINDINGS or size + len(text) + _AROUND > MOST_BYTES):
            yield _batch(registry, texts)
            texts, size = [], 0
        registry = own
        texts.append(text)
        size += len(text) + len(", ")
    if texts:
        yield _batch(registry, texts)


def _batch(registry: Registry, texts: Sequence[str]) -> Batch:
    return Batch(registry, len(texts), zlib.compress(f"[{','.join(texts)}]".encode(), level=1))
