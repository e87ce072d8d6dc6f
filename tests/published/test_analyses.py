"""Every question of sql/analyses, asked as in docs/analysts.md: by DuckDB's shell, from Python, by psql."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

import ecr_audit
from ecr_audit.catalog import load_catalog
from ecr_audit.lake.lake import Lake
from ecr_audit.publish.build import publish
from ecr_audit.publish.dictionary import load_dictionary
from ecr_audit.publish.postgres import publish_to_postgres
from ecr_audit.publish.tables import TABLES, VIEWS
from ecr_audit.settings import SQL_ROOT
from support.processes import PATIENCE
from support.small_lake import SmallLake

ROOT = Path(__file__).parents[2]
SHELL = Path(sys.executable).with_name("duckdb")
ANALYSES = sorted((ROOT / "sql" / "analyses").glob("*.sql"))
POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
STRICT = "/ce/ca/aws/ecr/repository-image-tag-immutability-strict"


def ask(*arguments: object) -> list[dict[str, str]]:
    command = [str(SHELL), "-bail", "-csv", *map(str, arguments)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, encoding="utf-8")
    # With -init the shell also reports there which file it reads.
    assert (answer.returncode, "Error" in answer.stderr) == (0, False), answer.stderr
    return list(csv.DictReader(io.StringIO(answer.stdout)))


def ask_question(name: str, database: Path) -> list[dict[str, str]]:
    """As the Makefile's shell has it ready, and as the document says for another one."""
    text = (ROOT / "sql/analyses" / f"{name}.sql").read_text(encoding="utf-8")
    given = f"(policy_id := '{POLICY}')" if "$policy_id" in text else ""
    return ask("-readonly", database, "-cmd", f"PREPARE question AS {text}", "-c", f"EXECUTE question{given}")


def test_there_are_enough() -> None:
    assert len(ANALYSES) >= 15


@pytest.mark.parametrize("path", ANALYSES, ids=lambda path: path.stem)
def test_a_question_is_answered(path: Path, demo: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("-- "), "begin with the question"
    assert "/ce/" not in text, "its policy is a parameter"
    assert ask_question(path.stem, demo / "publish" / "compliance.duckdb")


def test_a_question_is_answered_from_python(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_DATA", str(demo))
    text = (ROOT / "sql/analyses/age_of_findings.sql").read_text(encoding="utf-8")
    rows = ask_question("age_of_findings", demo / "publish" / "compliance.duckdb")
    assert ecr_audit.query(text, {"policy_id": POLICY})["findings"].tolist() == [int(row["findings"]) for row in rows]


def test_a_question_is_answered_by_psql(on_postgres: Any, postgres: str) -> None:
    """By the command of the document, but for where the database is."""
    [command] = re.findall(r"^ {4}(sed .*?psql [^\n]*)$", (ROOT / "docs/analysts.md").read_text("utf-8"), re.M | re.S)
    command = command.replace("search_path=ecr_audit", "search_path=analyses").replace("-h db.example -d bi", postgres)
    done = subprocess.run(["bash", "-c", f"{command} --csv"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("\n") > 2, done.stderr


@pytest.fixture(scope="module")
def on_postgres(demo: Path, postgres: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """The same publication in PostgreSQL."""
    publish_to_postgres(demo / "publish" / "compliance.duckdb", postgres, "analyses", load_dictionary(TABLES | VIEWS))
    with psycopg.connect(postgres, autocommit=True, options="-c search_path=analyses") as connection:
        yield connection
        connection.execute("DROP SCHEMA analyses CASCADE")


def rows_of(answer: list[tuple[Any, ...]]) -> Counter[tuple[str, ...]]:
    """Whatever the order, in which text is sorted differently, and whether a number is exact or not."""
    return Counter(
        tuple(f"{value:.6f}" if isinstance(value, int | float | Decimal) else str(value) for value in row)
        for row in answer
    )


@pytest.mark.parametrize("path", ANALYSES, ids=lambda path: path.stem)
def test_postgresql_gives_the_same_answer(path: Path, demo: Path, on_postgres: Any) -> None:
    """But for a question that says in its header that it is asked in DuckDB; and that one really has to be."""
    text = path.read_text(encoding="utf-8").replace("$policy_id", f"'{POLICY}'")
    if re.search(r"^-- .*\bin DuckDB\b", text, flags=re.MULTILINE):
        with pytest.raises(psycopg.Error):
            on_postgres.execute(text)
        return
    here = answer(path.stem, demo / "publish" / "compliance.duckdb")
    assert rows_of(on_postgres.execute(text).fetchall()) == rows_of(here)


def test_counts_of_one_question_agree_with_another(demo: Path) -> None:
    """The ages of the open findings, and how findings ended, count the same open ones."""
    database = demo / "publish" / "compliance.duckdb"
    ages = ask_question("age_of_findings", database)
    ends = ask_question("how_findings_ended", database)
    open_stretches = next(int(row["stretches"]) for row in ends if row["ended_by"] == "still open")
    assert sum(int(row["findings"]) for row in ages) == open_stretches


def test_started_less_ended_findings_are_the_open_ones(demo: Path) -> None:
    """At the end of each week, as the lake has it; a repository that is not seen is still open."""
    sql = f"""
        SELECT date_trunc('week', snapshot_date)::DATE AS week, count(*) FILTER (WHERE is_last AND is_open) AS open
        FROM (
            SELECT
                snapshot_date,
                snapshot_date = max(snapshot_date) OVER (PARTITION BY date_trunc('week', snapshot_date)) AS is_last,
                incompliant_start_date IS NOT NULL AND incompliant_end_date IS NULL AS is_open
            FROM lake_policy_output
            WHERE policy_id = '{POLICY}'
        )
        GROUP BY ALL ORDER BY ALL
    """
    truth = ask("-init", demo / "publish" / "lake.sql", "-c", sql)
    rows = ask_question("new_and_fixed_by_week", demo / "publish" / "compliance.duckdb")
    assert [(row["week"], row["open_at_the_end"]) for row in rows] == [(row["week"], row["open"]) for row in truth]
    before = 0
    for row in rows:
        assert int(row["open_at_the_end"]) - before == int(row["net"])
        before = int(row["open_at_the_end"])


def test_changes_by_unit_add_up(demo: Path) -> None:
    """Over an account's move: out of the sandbox, into the storefront."""
    rows = ask_question("changes_by_unit", demo / "publish" / "compliance.duckdb")
    more = ("incompliant_then", "came", "seen_again", "moved_in")
    fewer = ("fixed", "deleted", "lost_sight", "moved_out")
    for row in rows:
        now = sum(int(row[name]) for name in more) - sum(int(row[name]) for name in fewer)
        assert now == int(row["incompliant_now"]), row
    moved = {row["ou_path"]: (row["moved_in"], row["moved_out"]) for row in rows}
    assert moved["Root/Sandbox"][1] == moved["Root/Workloads/Production/Storefront"][0] != "0"


def test_the_strict_reading_by_framework_is_a_recount(lake_of: type[SmallLake], tmp_path: Path) -> None:
    """With the strict policy in place of the other, where a framework holds that one beside further policies."""
    lake = lake_of(tmp_path / "lake", load_catalog(SQL_ROOT))
    settings = ("MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION", "unknown")
    unencrypted = {"encryption_type": "AES256"}
    repositories = [{"repository_name": each.lower(), "image_tag_mutability": each} | unencrypted for each in settings]
    lake.night(date(2026, 11, 1), repositories=repositories)
    database = publish(lake.lake, lake.catalog, tmp_path / "publish", owner_tags=()).database
    recount = f"""
        WITH strictly AS (
            SELECT DISTINCT framework_name, if(policy_id = '{POLICY}', '{STRICT}', policy_id) AS policy_id
            FROM section_policies
            JOIN sections USING (section_id)
        )
        SELECT
            framework_name,
            100.0 * count(*) FILTER (status = 'COMPLIANT')
                / nullif(count(*) FILTER (status IN ('COMPLIANT', 'INCOMPLIANT')), 0)
        FROM strictly
        JOIN policy_output USING (policy_id)
        GROUP BY framework_name
    """
    with duckdb.connect(database, read_only=True) as published:
        recounted = published.sql(recount).fetchall()
        question = (ROOT / "sql/analyses/strict_reading_by_framework.sql").read_text(encoding="utf-8")
        rows = published.sql(question).fetchall()
    assert {row[0]: row[-1] for row in rows} == {name: value and round(value, 1) for name, value in recounted}
    # FSBP also has five verdicts on encryption, which fail. Both settings with exclusions fail strictly.
    [fsbp] = [row[1:] for row in rows if row[0].startswith("AWS Foundational")]
    assert fsbp == (3, 6, 33.3, 2, 1, 11.1)
    [pci] = [row[4] for row in rows if row[0].startswith("PCI")]
    assert pci == 0, "it does not hold the policy on mutability"


def test_only_fixed_findings_can_come_back(small_lake: SmallLake, tmp_path: Path) -> None:
    """Five were incompliant twice: fixed; deleted; fixed and deleted; deleted between two nights; account suspended."""
    lab = {"account_id": "222222222222", "account_name": "lab"}
    dark = {"account_id": lab["account_id"], "repository_name": "dark"}
    again = {"created_at": datetime(2026, 11, 2, 12, tzinfo=UTC)}
    fixed = {"image_tag_mutability": "IMMUTABLE"}
    deleted, both, replaced = ({"repository_name": name} for name in ("deleted", "both", "replaced"))
    nights: list[tuple[list[dict[str, Any]], str]] = [
        ([{}, deleted, both, replaced, dark], "ACTIVE"),
        ([fixed, both | fixed, replaced], "SUSPENDED"),
        ([{}, deleted | again, both | again, replaced | again, dark], "ACTIVE"),
    ]
    for day, (repositories, state) in enumerate(nights, 1):
        small_lake.night(date(2026, 11, day), accounts=[{}, lab | {"state": state}], repositories=repositories)
    database = publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=("owner",)).database
    with duckdb.connect(database, read_only=True) as published:
        sql = "SELECT DISTINCT repository_name FROM findings WHERE policy_id NOT LIKE '%strict' ORDER BY ALL"
        assert [name for (name,) in published.execute(sql).fetchall()] == ["app", "both", "dark", "deleted", "replaced"]
    rows = ask_question("findings_that_came_back", database)
    assert [(row["repository_name"], row["times_broken_again"]) for row in rows] == [("app", "1")]


def test_the_lake_answers_across_all_nights(demo: Path) -> None:
    sql = "SELECT snapshot_date, count(*) AS n FROM lake_repositories GROUP BY ALL ORDER BY ALL"
    rows = ask("-init", demo / "publish" / "lake.sql", "-c", sql)
    lake = Lake(str(demo / "lake"))
    commits = [lake.read_commit("inventory", day) for day in lake.snapshot_dates("inventory")]
    assert [(row["snapshot_date"], int(row["n"])) for row in rows] == [
        (str(commit.snapshot_date), commit.rows["repositories"]) for commit in commits if commit
    ]


def test_a_copy_of_the_lake_elsewhere_is_read_there(demo: Path, tmp_path: Path) -> None:
    """The file holds paths below one root, which its reader may set."""
    sql = "SELECT count(*) AS n, current_setting('TimeZone') AS zone FROM lake_accounts"
    views = (demo / "publish" / "lake.sql").read_text("utf-8")
    assert views.count(str(demo)) == 1, "the root alone"
    shutil.copytree(demo / "lake", tmp_path / "copy")
    (moved := tmp_path / "lake.sql").write_text(views.replace(str(demo), "/gone"))
    [there] = ask("-init", demo / "publish" / "lake.sql", "-c", sql)
    root = f"SET VARIABLE lake_root = '{tmp_path / 'copy'}'"
    [here] = ask("-init", os.devnull, "-c", root, "-c", f".read {moved}", "-c", sql)
    assert here == there == {"n": there["n"], "zone": "UTC"}


def test_the_lake_stands_beside_the_published_tables(demo: Path) -> None:
    sql = """
        SELECT count(DISTINCT l.snapshot_date) AS nights
        FROM lake_policy_output AS l
        JOIN findings AS f ON f.repository_arn = l.object_id AND f.policy_id = l.policy_id
    """
    folder = demo / "publish"
    [row] = ask("-readonly", "-init", folder / "lake.sql", folder / "compliance.duckdb", "-c", sql)
    assert row["nights"] == "6"


def test_uncommitted_files_are_not_in_the_lake(demo: Path) -> None:
    """A file that a killed writer left in a night's folder has no commit that names it."""
    [left_by] = list(demo.glob("lake/accounts/snapshot_date=2026-*/*.parquet"))[:1]
    stray = left_by.with_name("stray.parquet")
    stray.write_bytes(left_by.read_bytes())
    try:
        sql = "SELECT count(*) - count(DISTINCT (snapshot_date, account_id)) AS twice FROM lake_accounts"
        assert ask("-init", demo / "publish" / "lake.sql", "-c", sql) == [{"twice": "0"}]
    finally:
        stray.unlink()


def answer(name: str, database: Path) -> list[tuple[object, ...]]:
    text = (ROOT / "sql/analyses" / f"{name}.sql").read_text("utf-8")
    with duckdb.connect(database, read_only=True) as published:
        return published.execute(text, {"policy_id": POLICY} if "$policy_id" in text else None).fetchall()


def test_an_account_of_which_nothing_was_read_did_not_improve(small_lake: SmallLake, tmp_path: Path) -> None:
    """`dark` and `suspended` had fixed half before they were not seen; only `better` was evaluated on both
    nights."""
    names = {"1" * 12: "better", "2" * 12: "dark", "3" * 12: "suspended"}
    fixed_in = {"1" * 12: 3, "2" * 12: 2, "3" * 12: 2}

    def state(name: str, night: int) -> str:
        return "SUSPENDED" if (name, night) == ("suspended", 3) else "ACTIVE"

    def scan(night: int) -> None:
        unseen = {"2" * 12} if night == 3 else set()
        small_lake.scan(
            date(2026, 11, night),
            accounts=[
                {
                    "account_id": id,
                    "account_name": name,
                    "state": "SUSPENDED" if night == 3 and id[0] == "3" else "ACTIVE",
                }
                for id, name in names.items()
            ],
            repositories=[
                {
                    "account_id": id,
                    "repository_name": repository,
                    "image_tag_mutability": "IMMUTABLE" if repository == "a" and night >= fixed_in[id] else "MUTABLE",
                    "observed": id not in unseen and not (night == 3 and id[0] == "3"),
                }
                for id in names
                for repository in ("a", "b")
            ],
            scan_targets=[{"account_id": id, "region": "eu-west-1", "outcome": "FAILED"} for id in unseen],
        )
        small_lake.evaluate(date(2026, 11, night))

    for night in (1, 2, 3):
        scan(night)
    database = publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=()).database
    assert answer("accounts_that_improved", database) == [("1" * 12, "better", 0.0, 50.0, 50.0)]


def test_a_week_that_ends_dark_shows_no_compliance_of_an_earlier_night(small_lake: SmallLake, tmp_path: Path) -> None:
    """Monday and Tuesday of one week; on Tuesday nothing is read."""
    monday, tuesday = date(2026, 11, 23), date(2026, 11, 24)
    for day, outcome in ((monday, "COLLECTED"), (tuesday, "FAILED")):
        small_lake.scan(
            day,
            repositories=[{"observed": outcome == "COLLECTED"}],
            scan_targets=[{"account_id": "1" * 12, "region": "eu-west-1", "outcome": outcome}],
        )
        small_lake.evaluate(day)
    database = publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=()).database
    assert answer("compliance_by_week", database) == [(monday, tuesday, None, None, 0.0, 0)]


def test_tags_that_moved_and_repositories_in_which_nothing_did(small_lake: SmallLake, tmp_path: Path) -> None:
    """`web` moves one tag twice and a release; `quiet` moves nothing, nor does `closed`, which is immutable already;
    `late` was read once, and `denied` never."""
    repositories: list[dict[str, Any]] = [
        {"repository_name": "web", "tags": {"owner": "web"}},
        {"repository_name": "quiet"},
        {"repository_name": "closed", "image_tag_mutability": "IMMUTABLE"},
        {"repository_name": "late"},
        {"repository_name": "denied"},
    ]
    # The digests of latest and 1.0.0.
    nights = (("a", "a"), ("b", "a"), ("c", "b"))
    for day, (latest, release) in enumerate(nights, 1):
        small_lake.scan(date(2026, 11, day), repositories=repositories)
        reads: list[dict[str, Any]] = [
            {"repository_name": "web", "tags": {"latest": latest, "1.0.0": release}},
            {"repository_name": "quiet", "tags": {"latest": "a"}},
            {"repository_name": "closed", "tags": {"1.0.0": "a"}},
            {"repository_name": "denied", "outcome": "ACCESS_DENIED"},
            *([{"repository_name": "late", "tags": {"latest": "a"}}] if day == 3 else []),
        ]
        small_lake.read_tags(date(2026, 11, day), reads)
    small_lake.evaluate(date(2026, 11, 3))
    database = publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=("owner",)).database
    night = date(2026, 11, 3)
    assert answer("tags_moved_by_owner", database) == [("web", "tag", None, 3, 2, 1, 0, 1, 0, 0, night)]
    assert [row[3:7] for row in answer("safe_to_close", database)] == [("quiet", "shop", 2, 1)]
    [moved] = answer("release_tags_overwritten", database)
    assert (moved[0], moved[2], *moved[5:10]) == ("web", night, "web", "1.0.0", "moved", "a", "b")
    assert moved[11] is None, "without a trail"
    assert moved[10] == "2026-11-02 04:00:00 to 2026-11-03 04:00:00"
