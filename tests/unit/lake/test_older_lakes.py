"""The audit goes on with a lake that an older version of it wrote: those of tests/fixtures, see write_lake.py."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ecr_audit.compliance import ComplianceError, evaluation, roll_up
from ecr_audit.lake import retention
from ecr_audit.lake.commits import OLDEST_READABLE, SCHEMA_VERSION
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import POLICY_OUTPUT, POLICY_RUN
from ecr_audit.lake.snapshot import fetch_history
from ecr_audit.lake.tables import Input, LakeTable
from ecr_audit.publish.build import publish
from support.lakes import committed
from support.small_lake import SmallLake

FIXTURES = Path(__file__).parents[2] / "fixtures"
LAKES = sorted(FIXTURES.glob("lake-v*"))
# The first of its three nights was thinned.
THINNED, FIRST, LAST = (date(2026, 10, day) for day in (29, 30, 31))
NEXT = date(2026, 11, 1)
SHOP, LEDGER, LAB = "111111111111", "222222222222", "333333333333"
PROD, SANDBOX = "ou-demo-00000001", "ou-demo-00000002"
POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"


def next_night(older: SmallLake) -> None:
    """Everything can be read again; `web` is fixed, `api` is as it was, `waived` is gone."""
    accounts = [
        {"account_id": id, "account_name": name, "unit_ids": ["r-demo", PROD]}
        for id, name in ((SHOP, "shop"), (LEDGER, "ledger"))
    ]
    settings = {"web": "IMMUTABLE", "api": "MUTABLE", "fixed": "IMMUTABLE"}
    repositories = [
        {"account_id": SHOP, "repository_name": name, "image_tag_mutability": value, "tags": {"owner": f"{name}-team"}}
        for name, value in settings.items()
    ] + [{"account_id": LEDGER, "repository_name": "book"}]
    older.scan(NEXT, accounts=accounts, repositories=repositories)
    older.evaluate(NEXT)


def history(rows: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Status, since when, and the incompliant stretch, by repository."""
    return {
        row["object_id"].rpartition("/")[2]: (
            row["status"],
            row["status_date"],
            row["incompliant_start_date"],
            row["incompliant_end_date"],
        )
        for row in rows
        if row["policy_id"] == POLICY
    }


def test_a_lake_of_the_version_before_is_kept() -> None:
    """Whoever raises SCHEMA_VERSION has to keep one: see tests/fixtures/write_lake.py."""
    kept = {int(path.name.removeprefix("lake-v")) for path in LAKES}
    assert SCHEMA_VERSION == OLDEST_READABLE or SCHEMA_VERSION - 1 in kept
    for path in LAKES:
        commits = [json.loads(file.read_text("utf-8")) for file in path.glob("_commits/*/*.json")]
        assert {commit["schema_version"] for commit in commits} == {int(path.name.removeprefix("lake-v"))}


def test_the_next_night_continues_its_history(older: SmallLake) -> None:
    next_night(older)
    assert history(older.rows("policy_output", NEXT)) == {
        "web": ("COMPLIANT", NEXT, THINNED, NEXT),
        "api": ("INCOMPLIANT", LAST, LAST, None),
        "fixed": ("COMPLIANT", LAST, THINNED, LAST),
        "waived": ("DISAPPEARED", NEXT, THINNED, NEXT),
        # Not seen on the last night: that neither ended nor restarted it.
        "book": ("INCOMPLIANT", NEXT, THINNED, None),
        "bench": ("INAPPLICABLE", LAST, THINNED, LAST),
    }
    ended = [row for row in older.rows("ended_findings", NEXT) if row["policy_id"] == POLICY]
    assert {(row["object_id"].rpartition("/")[2], row["ended_by"], row["owner"]) for row in ended} == {
        ("web", "fixed", "web-team"),
        ("waived", "disappeared", "waived-team"),
    }


ASKED = {
    "nights": "SELECT DISTINCT snapshot_date FROM policy_run ORDER BY ALL",
    "moves": "SELECT count(*), count(actor) FROM tag_moves",
    "trend": "SELECT DISTINCT snapshot_date FROM compliance_daily ORDER BY ALL",
    "findings": f"SELECT repository_name, owner FROM findings WHERE policy_id = '{POLICY}' ORDER BY ALL",
}


def published(older: SmallLake, folder: Path) -> dict[str, list[Any]]:
    path = publish(older.lake, older.catalog, folder, owner_tags=older.owner_tags).database
    with duckdb.connect(path, read_only=True) as database:
        return {name: database.execute(sql).fetchall() for name, sql in ASKED.items()}


def test_it_is_published_as_it_is(older: SmallLake, tmp_path: Path) -> None:
    """Also before the first night of the present version."""
    found = published(older, tmp_path)
    assert found["nights"] == [(THINNED,), (FIRST,), (LAST,)]
    assert found["findings"] == [("api", "shop"), ("book", "book-team"), ("waived", "waived-team"), ("web", "web-team")]


def test_its_nights_and_those_after_are_published_together(older: SmallLake, tmp_path: Path) -> None:
    next_night(older)
    # It has no image tags: the first read has nothing to compare with.
    older.read_tags(NEXT, [{"account_id": SHOP, "repository_name": "api", "tags": {"latest": "sha256:a"}}])
    found = published(older, tmp_path)
    assert found["moves"] == [(0, 0)]
    assert found["nights"] == found["trend"] == [(THINNED,), (FIRST,), (LAST,), (NEXT,)]
    assert found["findings"] == [("api", "api-team"), ("book", "ledger")]
    with duckdb.connect() as views:
        views.execute((tmp_path / "lake.sql").read_text("utf-8"))
        days = views.execute("SELECT DISTINCT snapshot_date FROM lake_policy_output ORDER BY ALL").fetchall()
        assert views.execute("SELECT DISTINCT snapshot_date FROM lake_image_tags").fetchall() == [(NEXT,)]
        assert views.execute("FROM lake_tag_moves UNION ALL BY NAME FROM lake_tag_actors").fetchall() == []
    assert days == [(FIRST,), (LAST,), (NEXT,)]


def test_the_history_of_an_account_continues_over_the_versions(older: SmallLake, tmp_path: Path) -> None:
    """Before version 5 nights lack the unit's id, which ends no run; the thinned night still has its coverage."""
    has_unit_ids = committed(older.lake, "compliance", LAST).schema_version >= 5
    next_night(older)
    path = publish(older.lake, older.catalog, tmp_path, owner_tags=older.owner_tags).database
    with duckdb.connect(path, read_only=True) as database:
        runs = database.execute(
            "SELECT account_id, state, ou_id, ou_path, from_date, to_date FROM account_history ORDER BY ALL"
        ).fetchall()
    assert runs == [
        (SHOP, "ACTIVE", PROD, "Root/Prod", THINNED, None),
        (LEDGER, "ACTIVE", PROD, "Root/Prod", THINNED, None),
        (LAB, "ACTIVE", SANDBOX if has_unit_ids else None, "Root/Sandbox", THINNED, FIRST),
        (LAB, "SUSPENDED", SANDBOX if has_unit_ids else None, "Root/Sandbox", LAST, LAST),
    ]


def test_an_old_night_is_evaluated_again(older: SmallLake) -> None:
    before = {day: history(older.rows("policy_output", day)) for day in (FIRST, LAST)}
    for day in (FIRST, LAST):
        older.evaluate(day)
        commit = committed(older.lake, "compliance", day)
        assert commit.schema_version == SCHEMA_VERSION
        assert older.lake.read_table(commit, POLICY_OUTPUT).schema.names == POLICY_OUTPUT.schema.names
    starts = {day: {name: row[2] for name, row in history(older.rows("policy_output", day)).items()} for day in before}
    # The thinned night before them cannot be continued: the history begins with the first whole one.
    assert starts[LAST] == {name: row[2] and max(row[2], FIRST) for name, row in before[LAST].items()}


def test_verdicts_of_an_older_version_are_not_rolled_up(older: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be committed with columns missing."""
    monkeypatch.setattr(evaluation, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    with pytest.raises(ComplianceError, match=r"schema_version\b.* changed since .* Evaluate that date again"):
        roll_up(older.lake, older.catalog, LAST)


def test_it_is_thinned_and_stays_readable(older: SmallLake, tmp_path: Path) -> None:
    version = committed(older.lake, "compliance", FIRST).schema_version
    assert retention.thin(older.lake, date(2026, 12, 31), 30, dry_run=False) == [FIRST]
    thinned = committed(older.lake, "compliance", FIRST)
    assert not thinned.is_whole
    assert thinned.schema_version == version, "its files are as they were written"
    document = json.loads(Path(older.lake.root, f"_commits/compliance/{FIRST}.json").read_text("utf-8"))
    assert {type(names) for names in document["files"].values()} == {str if version < 6 else list}, (
        "and so is the commit file"
    )
    next_night(older)
    assert published(older, tmp_path)["nights"] == [(THINNED,), (FIRST,), (LAST,), (NEXT,)]


def test_a_column_that_a_version_added_is_null_in_older_files(older: SmallLake, tmp_path: Path) -> None:
    """With a column that the next version might add; of two nights the second has it."""
    lake: Lake = older.lake
    since = SCHEMA_VERSION + 1
    output, runs = (
        LakeTable(table.name, table.schema.append(pa.field("note", pa.date32())), (), {**table.added, "note": since})
        for table in (POLICY_OUTPUT, POLICY_RUN)
    )
    old, present = (committed(lake, "compliance", day) for day in (FIRST, LAST))
    rows = lake.read_table(present, POLICY_RUN)
    pq.write_table(rows.append_column("note", pa.array([LAST] * rows.num_rows)), *lake.locations(present, POLICY_RUN))
    present = replace(present, schema_version=since)
    with older.opened(LAST) as warehouse:
        warehouse.register_input(Input("output", output, [lake.fetch_table(old, output, tmp_path)]))
        notes = warehouse.connection.execute("SELECT note FROM lake.output").to_arrow_table()["note"]
        assert notes.type == pa.date32()
        assert notes.null_count == len(notes) > 0
        for commits, expected in (([old], {None}), ([old, present], {None, LAST}), ([present], {LAST})):
            warehouse.register_input(fetch_history(lake, runs, commits, tmp_path))
            found = warehouse.connection.execute("SELECT DISTINCT note FROM lake.policy_run_history").fetchall()
            assert {note for (note,) in found} == expected
            warehouse.connection.execute("DROP VIEW lake.policy_run_history")
