"""A lake in which older versions committed a repository twice goes on with one row a key, and nobody removes a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ecr_audit.lake.commits import INVENTORY_CHECKS, Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import CHANGES, ENDED_FINDINGS, POLICY_OUTPUT, REPOSITORIES
from ecr_audit.lake.tables import LakeTable
from ecr_audit.publish.build import publish
from ecr_audit.publish.dictionary import load_dictionary
from ecr_audit.publish.tables import TABLES
from ecr_audit.warehouse import checks
from support.lakes import committed
from support.small_lake import SmallLake

pytestmark = [pytest.mark.usefixtures("database_alone"), pytest.mark.slow]

DAYS = [date(2026, 11, day) for day in range(1, 5)]
FIRST, POISONED, NEXT, LAST = DAYS
POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
NEW_CHECKS = ("one_row_per_account", "one_row_per_repository")
WEB, APP = {"repository_name": "web"}, {"repository_name": "app"}
# Details of the inventory's commit: older versions did not note that it was checked.
UNCHECKED: dict[str, Any] = {INVENTORY_CHECKS: []}
# Deleted and created again since the night before.
RECREATED = {"created_at": datetime(2026, 11, 1, 12, tzinfo=UTC)}


@pytest.fixture
def older_version(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Within it, steps work as in an older version, which had no checks on keys, and took every row."""

    @contextmanager
    def started() -> Iterator[None]:
        every = checks.load_checks()
        with monkeypatch.context() as patch:
            patch.setattr(checks, "load_checks", lambda *_: [each for each in every if each.name not in NEW_CHECKS])
            patch.setattr(Commit, "may_repeat_keys", False)
            yield

    return started


def double(lake: Lake, stage: str, day: date, table: LakeTable) -> None:
    """Write every row of a committed file twice."""
    commit = committed(lake, stage, day)
    for location in lake.locations(commit, table):
        rows = pq.read_table(location, partitioning=None)
        pq.write_table(pa.concat_tables([rows, rows]), location)
    file = Path(lake.root, f"_commits/{stage}/{day}.json")
    document = json.loads(file.read_text("utf-8"))
    document["rows"][table.name] *= 2
    file.write_text(json.dumps(document), "utf-8")


def doubled_keys(database: Path) -> dict[str, int]:
    """How many keys of each published table have several rows; only tables that have such."""
    dictionary = load_dictionary(TABLES)
    with duckdb.connect(database, read_only=True) as published:
        found = {
            table: published.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {table} GROUP BY {', '.join(described.key)} HAVING count(*) > 1)"
            ).fetchall()[0][0]
            for table, described in dictionary.tables.items()
            if described.key
        }
    return {table: count for table, count in found.items() if count}


def verdicts(small_lake: SmallLake, day: date) -> dict[str, tuple[Any, ...]]:
    rows = [row for row in small_lake.rows("policy_output", day) if row["policy_id"] == POLICY]
    assert len({row["object_id"] for row in rows}) == len(rows)
    return {
        row["object_id"].rpartition("/")[2]: (row["status"], row["incompliant_start_date"], row["incompliant_end_date"])
        for row in rows
    }


@pytest.mark.parametrize(
    ("again", "tables"),
    [
        # As the two pages had it, the same or changed in between.
        (APP, {"policy_output", "repositories", "findings", "findings_history", "changes"}),
        ({**APP, "image_tag_mutability": "IMMUTABLE"}, {"policy_output", "repositories"}),
    ],
    ids=["same", "differing"],
)
def test_the_next_night_heals_a_night_that_was_published_doubled(
    small_lake: SmallLake, older_version: Callable[[], Any], tmp_path: Path, again: dict[str, Any], tables: set[str]
) -> None:
    with older_version():
        small_lake.night(FIRST, repositories=[WEB], details=UNCHECKED)
        small_lake.night(POISONED, repositories=[WEB, APP, again], details=UNCHECKED)
        database = publish(small_lake.lake, small_lake.catalog, tmp_path, owner_tags=()).database
    assert doubled_keys(database).keys() >= tables, "the lake is not poisoned as it was"

    for day in (NEXT, LAST):
        small_lake.night(day, repositories=[WEB, APP])
        database = publish(small_lake.lake, small_lake.catalog, tmp_path, owner_tags=()).database
        assert doubled_keys(database) == {}
        assert verdicts(small_lake, day) == {
            "app": ("INCOMPLIANT", POISONED, None),
            "web": ("INCOMPLIANT", FIRST, None),
        }
        assert small_lake.rows("changes", day) == []


def test_histories_with_every_row_twice_are_published_with_one(small_lake: SmallLake, tmp_path: Path) -> None:
    """A finding that ended and one that began on a night whose repositories were committed twice."""
    small_lake.night(FIRST, repositories=[WEB], details=UNCHECKED)
    small_lake.night(POISONED, repositories=[{**WEB, **RECREATED}, APP], details=UNCHECKED)
    sound = {table: len(small_lake.rows(table, POISONED)) for table in ("changes", "ended_findings")}
    assert all(sound.values())
    for stage, tables in (
        ("inventory", (REPOSITORIES,)),
        ("compliance", (POLICY_OUTPUT, CHANGES, ENDED_FINDINGS)),
    ):
        for table in tables:
            double(small_lake.lake, stage, POISONED, table)

    small_lake.night(NEXT, repositories=[{**WEB, **RECREATED}, APP])
    database = publish(small_lake.lake, small_lake.catalog, tmp_path, owner_tags=()).database
    assert doubled_keys(database) == {}
    with duckdb.connect(database, read_only=True) as published:
        count = "SELECT count(*) FROM changes WHERE snapshot_date = $night"
        assert published.execute(count, {"night": POISONED}).fetchall() == [(sound["changes"],)]
        ended = published.execute("SELECT count(*) FROM findings_history WHERE ended IS NOT NULL").fetchall()
        assert ended == [(sound["ended_findings"],)]


def test_a_doubled_repository_that_is_gone_disappears_once(
    small_lake: SmallLake, older_version: Callable[[], Any], tmp_path: Path
) -> None:
    with older_version():
        small_lake.night(POISONED, repositories=[WEB, APP, APP], details=UNCHECKED)
    small_lake.night(NEXT, repositories=[WEB])
    assert verdicts(small_lake, NEXT) == {
        "web": ("INCOMPLIANT", POISONED, None),
        "app": ("DISAPPEARED", POISONED, NEXT),
    }
    assert [row["ended_by"] for row in small_lake.rows("ended_findings", NEXT)] == ["disappeared"] * 2  # two policies
    assert doubled_keys(publish(small_lake.lake, small_lake.catalog, tmp_path, owner_tags=()).database) == {}


def test_a_doubled_inventory_is_evaluated_and_published_once(small_lake: SmallLake, tmp_path: Path) -> None:
    """One that an older version committed just before an upgrade, or that is evaluated again among later nights."""
    small_lake.night(POISONED, repositories=[APP, APP], accounts=[{}, {}], details=UNCHECKED)
    assert verdicts(small_lake, POISONED) == {"app": ("INCOMPLIANT", POISONED, None)}
    assert doubled_keys(publish(small_lake.lake, small_lake.catalog, tmp_path, owner_tags=()).database) == {}
    with duckdb.connect(tmp_path / "compliance.duckdb", read_only=True) as published:
        counts = "SELECT incompliant FROM account_compliance WHERE policy_id = $policy"
        assert published.execute(counts, {"policy": POLICY}).fetchall() == [(1,)]
