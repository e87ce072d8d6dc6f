"""A night on which tags, units and regions cannot be read changes no verdict, no waiver and no later night."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from demo.emulated_aws.faults import Fault, Faults, Refuse
from demo.emulated_aws.world import stored
from ecr_audit.aws.ecr.facets import FACETS
from ecr_audit.catalog import Catalog
from ecr_audit.catalog.waivers import SCHEMA
from ecr_audit.compliance import KnownWaivers, evaluate, roll_up
from ecr_audit.lake.lake import Lake
from ecr_audit.publish.build import publish
from ecr_audit.publish.tables import TABLES

from .conftest import MakeAudit, MakeWorld

Row = dict[str, Any]
Tables = dict[str, list[Row]]

NIGHTS = [date(2026, 3, day) for day in (1, 2, 3)]
HUB = "100000000000"
POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
# One tag of a repository is moved, another removed, by night.
TAGS = [{"owner": "team", "stage": "prod"}, {"owner": "team", "stage": "prod"}, {"owner": "other"}]

REFUSED = [
    Fault(Refuse("AccessDeniedException", "tag:GetResources is not allowed"), service="tagging"),
    Fault(Refuse("UnauthorizedOperation", "no", 403), operation="DescribeRegions", account=HUB),
    Fault(Refuse("AccessDeniedException", "organizations:ListRoots is not allowed"), operation="ListRoots"),
]

WAIVERS = [
    {"waiver_id": "by-tag", "policy_id": POLICY, "tag_key": "stage", "tag_value": "prod"},
    {"waiver_id": "by-unit", "policy_id": POLICY, "ou_path": "Root/Prod/Shop", "region": "us-east-1"},
]

# Columns in which two readings that found the same differ; and which facets a night failed to read.
TIMES = {"collected_at", "details_read_at", "started_at", "duration_ms", "run_time", "committed_at", "facets_failed"}
TIMES |= {declaration.read_at for declaration in FACETS}
TIMES |= {"inventory_commit", "compliance_commit", "inventory_run_id", "published_at", "scanned_at", "evaluated_at"}
TIMES |= {"request_id"}

# Tables on accounts, repositories and their verdicts; the others have what was read, and how.
EVALUATED = (
    *("findings", "policy_output", "compliance_daily", "owner_compliance", "ou_compliance", "section_compliance"),
    *("waivers", "changes", "accounts", "repositories"),
)


@pytest.fixture
def nights_of(
    audit_of: MakeAudit, organization_of: MakeWorld, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[Tables]]:
    """Audits the three nights into a lake of its own; returns the published tables of each."""

    def run(name: str, *refused: Fault) -> list[Tables]:
        audit = audit_of(organization_of(6))
        audit.lake = Lake(str(tmp_path / name / "lake"))
        world = audit.aws.world
        waivers = [row | {"created": NIGHTS[0], "expires": date(2026, 9, 1)} for row in WAIVERS]
        published = []
        for day, tags in zip(NIGHTS, TAGS, strict=True):
            source = {target: list(world.repositories(*target)) for target in world.targets()}
            target = next(each for each in source if source[each] and each[0] != HUB)
            source[target] = [replace(each, tags=tags, image_tag_mutability="MUTABLE") for each in source[target]]
            audit.aws.world = replace(world, repository_source=stored(source))
            audit.aws.faults = Faults(refused if day == NIGHTS[1] else ())
            audit.run(day)
            run_time = datetime(2026, 3, day.day, 3, tzinfo=UTC)
            evaluate(audit.lake, catalog, day, owner_tags=("owner",), run_time=run_time)
            accepted = KnownWaivers(pa.Table.from_pylist(waivers, schema=SCHEMA), run_time)
            roll_up(audit.lake, catalog, day, waivers=accepted)
            path = publish(audit.lake, catalog, tmp_path / name / "publish", owner_tags=("owner",)).database
            published.append(tables(path))
        return published

    return run


def tables(path: Path) -> Tables:
    with duckdb.connect(path, read_only=True) as database:
        return {table: database.table(table).to_arrow_table().to_pylist() for table in TABLES}


def without_times(rows: Iterable[Row]) -> list[Row]:
    return sorted(({name: row[name] for name in row if name not in TIMES} for row in rows), key=str)


def test_a_night_that_cannot_read_them_is_evaluated_as_one_that_can_and_the_next_is_the_same(
    nights_of: Callable[..., list[Tables]],
) -> None:
    undisturbed, odd = nights_of("undisturbed"), nights_of("odd", *REFUSED)
    waived = {row["waiver_id"] for row in undisturbed[1]["findings"] if row["waived"]}
    assert waived == {"by-tag", "by-unit"}
    assert {row["owner"] for row in undisturbed[1]["owner_compliance"]} > {"team"}
    for table in EVALUATED:
        assert without_times(odd[1][table]) == without_times(undisturbed[1][table]), table

    # It reports them; the nights before and after have nothing to report.
    assert {(row["kind"], row["is_new"]) for row in odd[1]["unread_values"]} == {
        ("tags", True),
        ("account", True),
        ("regions", True),
    }
    assert not odd[0]["unread_values"] and not odd[2]["unread_values"]
    accounts = [row for row in odd[1]["unread_values"] if row["kind"] == "account"]
    assert len(accounts) == 7
    assert "organizations:ListRoots is denied" in accounts[0]["error_message"]
    stale = [row for row in odd[1]["repositories"] if row["tags_read_at"] != row["collected_at"]]
    assert len(stale) == len(odd[1]["repositories"]) > 0
    assert all(row["tags_read_at"] < row["collected_at"] for row in stale)

    # A move or removal meanwhile counts as soon as it is read, and nothing is left of the odd night.
    assert {row["owner"] for row in odd[2]["owner_compliance"]} > {"other"}
    for table in set(TABLES) - {"publication"}:
        assert without_times(odd[2][table]) == without_times(undisturbed[2][table]), table
