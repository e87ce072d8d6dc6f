"""The demo organization, with all facets: its history is written as a scan writes, and verdicts are the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import UTC, date, datetime
from pathlib import PurePath
from typing import Any

import pytest

from demo import rows as demo_rows
from demo.emulated_aws.world import World
from demo.environment import demo_settings
from demo.image_tags import ATTACK, FORCED, Moved, moves_between
from demo.organization import demo_world
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.catalog import load_catalog
from ecr_audit.compliance import evaluate, roll_up
from ecr_audit.lake.schemas import POLICY_OUTPUT, REGISTRIES, REPOSITORIES, SCAN_TARGETS, TAG_MOVES
from ecr_audit.lake.tables import LakeTable
from ecr_audit.settings import SQL_ROOT, Settings, load_settings
from support.lakes import committed
from support.truth import MOVES_POLICIES, verdicts_of

from .conftest import Audit, MakeAudit

DAYS = date(2026, 3, 1), date(2026, 3, 2)
# Of one scan: how long it took, what the network cost, and AWS's words.
SCAN_ONLY = {
    "started_at",
    "duration_ms",
    "api_calls",
    "retries",
    "throttles",
    "request_id",
    "error_code",
    "error_message",
}


@pytest.fixture
def audit(audit_of: MakeAudit, monkeypatch: pytest.MonkeyPatch) -> Audit:
    """An audit of the demo organization by the demo's own settings."""
    audit = audit_of(demo_world(1, DAYS[1]))
    for name, value in demo_settings(audit.aws.endpoint_url).items():
        monkeypatch.setenv(name, value)
    audit.settings = load_settings()
    assert isinstance(audit.settings, Settings)
    return audit


def without(rows: Iterable[dict[str, Any]], table: LakeTable) -> list[dict[str, Any]]:
    """Rows as they are compared: times as whether there is one, and the facets that failed without AWS's words."""
    times = {name for name in table.schema.names if name.endswith("_read_at") or name == "collected_at"}
    compared = []
    for row in rows:
        kept = {name: row.get(name) for name in table.schema.names if name not in SCAN_ONLY}
        kept |= {name: kept[name] is not None for name in times}
        kept["facets_failed"] = [
            {name: each[name] for name in each if name != "error_message"} for each in kept["facets_failed"] or ()
        ]
        compared.append(kept)
    return sorted(compared, key=lambda row: [row[name] for name in table.sort_by])


def test_the_history_has_the_rows_of_a_scan(audit: Audit) -> None:
    audit.run(DAYS[0])
    world, now = audit.aws.world, datetime(2026, 3, 1, 2, tzinfo=UTC)
    collected = [target for target in world.targets() if world.outcome(*target) == "COLLECTED"]
    targets = [demo_rows.target_row(world, each, Outcome(world.outcome(*each)), now) for each in world.targets()]
    repositories = [
        demo_rows.repository_row(world, target, each, now)
        for target in collected
        for each in world.repositories(*target)
    ]
    registries = [demo_rows.registry_row(world, each, now) for each in collected if world.repositories(*each)]
    for table, rows in ((SCAN_TARGETS, targets), (REPOSITORIES, repositories), (REGISTRIES, registries)):
        assert without(audit.rows(table, DAYS[0]), table) == without(rows, table), table.name


def test_verdicts_of_every_policy_and_moves_of_image_tags_are_the_truth(audit: Audit) -> None:
    catalog, before = load_catalog(SQL_ROOT), None
    for day, number in zip(DAYS, (1, 2), strict=True):
        world = audit.aws.world = demo_world(number, DAYS[1])
        audit.run(day)
        audit.read_image_tags(day)
        evaluate(audit.lake, catalog, day, owner_tags=("owner",))
        roll_up(audit.lake, catalog, day)
        given = audit.lake.read_table(committed(audit.lake, "compliance", day), POLICY_OUTPUT).to_pylist()
        for policy in catalog.policies:
            compare(policy.id, PurePath(policy.folder).name, world, before, given)
        moves = audit.lake.read_table(committed(audit.lake, "image_tags", day), TAG_MOVES).to_pylist()
        names = [each.name for each in fields(Moved)]
        assert {Moved(**{name: row[name] for name in names}) for row in moves} == (
            moves_between(before, world) if before else set()
        )
        before = world
    assert {row["tag"] for row in moves if row["is_release"]} == {ATTACK.tag, FORCED.tag}


def compare(policy_id: str, folder: str, world: World, before: World | None, given: Sequence[dict[str, Any]]) -> None:
    expected = verdicts_of(folder, world, before)
    found = {row["object_id"]: row["status"] for row in given if row["policy_id"] == policy_id and row["observed"]}
    found = {arn: status for arn, status in found.items() if status != "DISAPPEARED"}
    differing = {arn: (found.get(arn), expected.get(arn)) for arn in found.keys() | expected.keys()}
    assert {arn: pair for arn, pair in differing.items() if pair[0] != pair[1]} == {}, folder
    # No policy is one that nothing of the demo fails, or passes; but the first night has no tags to compare with.
    if before or folder not in MOVES_POLICIES:
        assert {"COMPLIANT", "INCOMPLIANT"} <= Counter(found.values()).keys(), folder
