"""One page on one repository: its verdicts of a night, and what each follows from, to the byte."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb

from ecr_audit.catalog import Policy
from ecr_audit.evidence.contents import Restored
from ecr_audit.evidence.results import STEPS, NightResult
from ecr_audit.evidence.statement import LAKE, SQL
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.schemas import POLICY_OUTPUT, REGISTRIES, REPOSITORIES, SCAN_TARGETS
from ecr_audit.lake.storage import LakeError
from ecr_audit.lake.tables import LakeTable
from ecr_audit.vocabulary import ENGINE_CONDITIONS
from ecr_audit.warehouse.sandbox import NO_EXTENSIONS, path_list


class Proof:
    """Called by `verify` with each night; `page` has the pages of all of them."""

    def __init__(self, object_id: str) -> None:
        """`object_id`: the ARN of a repository or a registry."""
        self._object_id = object_id
        self._pages: list[str] = []
        # Whether a night had a verdict on it.
        self.found = False

    @property
    def page(self) -> str:
        """The pages, as text."""
        return "\n\n".join(self._pages)

    def __call__(self, restored: Restored, result: NightResult) -> None:
        """Write the page of a night."""
        try:
            lines = list(self._lines(restored, result))
        except (LakeError, duckdb.Error) as fault:
            lines = [f"The page of {result.date} cannot be written: {fault}"]
        self._pages.append("\n".join(lines))

    def _lines(self, restored: Restored, result: NightResult) -> Iterator[str]:
        night, lake = restored.entry.night, restored.lake
        inventory, compliance = (lake.read_commit(stage, night.date) for stage in ("inventory", "compliance"))
        yield f"{self._object_id} on {night.date}"
        yield "=" * 72
        if result.failed:
            yield "NOT PROVED: " + "; ".join(
                f"step {each.step}, {STEPS[each.step]}: {each.found}"
                for each in result.steps
                if each.outcome == "FAILED"
            )
        if inventory is None or compliance is None:
            return
        verdicts = _rows(restored, compliance, POLICY_OUTPUT, "object_id", self._object_id)
        if not verdicts:
            yield "No policy evaluated it in this night."
            return
        self.found = True
        yield from _raw_values(restored, inventory, self._object_id)
        [first, *_] = verdicts
        target = _rows(restored, inventory, SCAN_TARGETS, "account_id", first["account_id"])
        for row in target:
            if row["region"] == first["region"]:
                code = f" ({row['error_code']})" if row["error_code"] else ""
                yield f"Account {row['account_id']} in {row['region']}: {row['outcome']}{code}, at {row['started_at']}"
                # Absent in files of versions that did not keep it.
                if request_id := row.get("request_id"):
                    yield f"    CloudTrail of the account has this call as requestID {request_id}"
        policies = {policy.id: policy for policy in restored.catalog().policies}
        for verdict in verdicts:
            yield ""
            yield from _verdict(verdict, policies[verdict["policy_id"]], restored)
        yield ""
        yield from _hashes(restored, result, ((inventory, _table_of(self._object_id)[0]), (compliance, POLICY_OUTPUT)))


def _raw_values(restored: Restored, inventory: Commit, object_id: str) -> Iterator[str]:
    table, key = _table_of(object_id)
    if table.name not in inventory.files:
        return
    rows = _rows(restored, inventory, table, key, object_id)
    if not rows:
        yield "It was not in the inventory of this night."
    for row in rows:
        if not row["observed"]:
            yield "Not seen in this night: these are the last known values."
        yield f"Read at {row['collected_at']}. As AWS returned it:"
        for name, value in row.items():
            if name not in ("account_id", "region", key, "observed", "collected_at") and value is not None:
                yield f"    {name:<40} {json.dumps(value, default=str)}"


def _verdict(verdict: dict[str, Any], policy: Policy, restored: Restored) -> Iterator[str]:
    index = verdict["condition_index"]
    words = {each.index: each.when for each in policy.conditions}
    words |= {each.index: each.when for each in ENGINE_CONDITIONS}
    yield f"{verdict['status']} under {policy.name} ({policy.id}), since {verdict['status_date']}"
    yield f"    condition {index}: {words.get(index, 'in no list of conditions')}"
    yield f"    {verdict['current_state_message']}"
    if verdict["incompliant_start_date"]:
        end = verdict["incompliant_end_date"] or "still open"
        yield f"    incompliant from {verdict['incompliant_start_date']}, {end}"
    yield f"    policy text {policy.hash}, logic.sql {restored.entry.hashes(SQL)[f'{policy.folder}/logic.sql']}"


def _table_of(object_id: str) -> tuple[LakeTable, str]:
    """The table of the inventory that an object is in, and the column of its ARN there."""
    return (REGISTRIES, "registry_arn") if object_id.endswith(":registry") else (REPOSITORIES, "repository_arn")


def _hashes(restored: Restored, result: NightResult, tables: Iterable[tuple[Commit, LakeTable]]) -> Iterator[str]:
    hashes, night = restored.entry.hashes(LAKE), restored.entry.night
    for commit, each in tables:
        for name in commit.files.get(each.name, ()):
            yield f"SHA-256 {hashes[name]}  {name}"
    yield f"SHA-256 {night.sql_hash}  all texts of sql/"
    yield f"SHA-256 {result.payload_sha256}  entry {night.sequence}, sealed at {night.sealed_at}"
    for step in result.steps:
        yield f"step {step.step}, {STEPS[step.step]}: {step.outcome}. {step.found}"


def _rows(restored: Restored, commit: Commit, table: LakeTable, key: str, value: str) -> list[dict[str, Any]]:
    paths = path_list(restored.lake.locations(commit, table))
    with duckdb.connect(config=dict(NO_EXTENSIONS)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(
            f"FROM read_parquet({paths}, hive_partitioning = FALSE) WHERE {key} = $value ORDER BY ALL", {"value": value}
        )
        names = [name for name, *_ in rows.description or ()]
        return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
