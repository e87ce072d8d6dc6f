"""A lake in which older versions committed a repository twice goes on with one row a key, and nobody removes a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_audit import checks, warehouse
from ecr_audit.dictionary import load_dictionary
from ecr_audit.publish import TABLES, publish

DAYS = [date(2026, 11, day) for day in range(1, 5)]
FIRST, POISONED, NEXT, LAST = DAYS
POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
NEW_CHECKS = ("one_row_per_account", "one_row_per_repository")
WEB, APP = {"repository_name": "web"}, {"repository_name": "app"}
# Deleted and created again since the night before; by its time of creation, a little before that (clock skew).
RECREATED = {"created_at": datetime(2026, 10, 31, 12, tzinfo=UTC)}


@pytest.fixture
def older_version(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """What happens within it is as an older version does it: that had no checks on keys, and took every row."""

    @contextmanager
    def started() -> Iterator[None]:
        every = checks.load_checks()
        with monkeypatch.context() as patch:
            patch.setattr(checks, "load_checks", lambda *_: [each for each in every if each.name not in NEW_CHECKS])
            patch.setattr(warehouse, "may_repeat_keys", lambda _: False)
            yield

    return started


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


def verdicts(small_lake: Any, day: date) -> dict[str, tuple[Any, ...]]:
    rows = [row for row in small_lake.rows("policy_output", day) if row["policy_id"] == POLICY]
    assert len({row["object_id"] for row in rows}) == len(rows)
    return {
        row["object_id"].rpartition("/")[2]: (row["status"], row["incompliant_start_date"], row["incompliant_end_date"])
        for row in rows
    }


@pytest.mark.parametrize(
    ("twice", "tables"),
    [
        # As the two pages had it, which may differ; and again the same.
        ([APP, APP], {"policy_output", "repositories", "findings", "findings_history", "changes"}),
        ([APP, {**APP, "image_tag_mutability": "IMMUTABLE"}], {"policy_output", "repositories", "changes"}),
        (
            [{**WEB, **RECREATED}, {**WEB, **RECREATED}],
            {"policy_output", "repositories", "findings", "findings_history", "changes"},
        ),
    ],
    ids=["new", "differing", "recreated"],
)
def test_the_next_night_heals_a_night_that_was_published_doubled(
    small_lake: Any, older_version: Callable[[], Any], tmp_path: Path, twice: list[dict[str, Any]], tables: set[str]
) -> None:
    others = [WEB] if WEB["repository_name"] != twice[0]["repository_name"] else []
    with older_version():
        small_lake.scan(FIRST, repositories=[WEB])
        small_lake.judge(FIRST)
        small_lake.scan(POISONED, repositories=[*others, *twice])
        small_lake.judge(POISONED)
        database = publish(small_lake.lake, small_lake.catalog, tmp_path, owner_tags=()).database
    assert doubled_keys(database).keys() >= tables, "the lake is not poisoned as it was"

    for day in (NEXT, LAST):
        small_lake.scan(day, repositories=[*others, twice[0]])
        small_lake.judge(day)
        database = publish(small_lake.lake, small_lake.catalog, tmp_path, owner_tags=()).database
        assert doubled_keys(database) == {}
        started = FIRST if twice[0]["repository_name"] == "web" and "created_at" not in twice[0] else POISONED
        expected = {twice[0]["repository_name"]: ("INCOMPLIANT", started, None)}
        assert verdicts(small_lake, day) == expected | ({"web": ("INCOMPLIANT", FIRST, None)} if others else {})
        assert small_lake.rows("changes", day) == []


def test_a_doubled_repository_that_is_gone_disappears_once(
    small_lake: Any, older_version: Callable[[], Any], tmp_path: Path
) -> None:
    with older_version():
        small_lake.scan(POISONED, repositories=[WEB, APP, APP])
        small_lake.judge(POISONED)
    small_lake.scan(NEXT, repositories=[WEB])
    small_lake.judge(NEXT)
    assert verdicts(small_lake, NEXT) == {
        "web": ("INCOMPLIANT", POISONED, None),
        "app": ("DISAPPEARED", POISONED, NEXT),
    }
    assert [row["ended_by"] for row in small_lake.rows("ended_findings", NEXT)] == ["disappeared"] * 2  # two policies
    assert doubled_keys(publish(small_lake.lake, small_lake.catalog, tmp_path, owner_tags=()).database) == {}


def test_a_doubled_inventory_is_judged_and_published_once(small_lake: Any, tmp_path: Path) -> None:
    """One that an older version committed just before an upgrade, or that is judged anew among later nights."""
    small_lake.scan(POISONED, repositories=[APP, APP], accounts=[{}, {}])
    small_lake.judge(POISONED)
    assert verdicts(small_lake, POISONED) == {"app": ("INCOMPLIANT", POISONED, None)}
    assert doubled_keys(publish(small_lake.lake, small_lake.catalog, tmp_path, owner_tags=()).database) == {}
    with duckdb.connect(tmp_path / "compliance.duckdb", read_only=True) as published:
        counts = "SELECT incompliant FROM account_compliance WHERE policy_id = $policy"
        assert published.execute(counts, {"policy": POLICY}).fetchall() == [(1,)]
