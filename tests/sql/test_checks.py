"""Each check of sql/checks finds what it is there for, and nothing in sound data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from ecr_audit.catalog.waivers import SCHEMA
from ecr_audit.lake.schemas import ROLLED_UP, TAG_MOVES
from ecr_audit.lake.tables import Input
from ecr_audit.settings import SQL_ROOT
from ecr_audit.warehouse.checks import CheckError, load_checks, run_checks
from ecr_audit.warehouse.session import Warehouse
from ecr_audit.warehouse.statements import WarehouseError, parse_statement, read_statement
from support.small_lake import SmallLake

DAY_BEFORE, DAY = date(2026, 10, 31), date(2026, 11, 1)

WAIVER = {
    "waiver_id": "W-1",
    "policy_id": "/ce/ca/aws/ecr/repository-image-tag-mutability",
    "region": "eu-west-1",
    "created": DAY_BEFORE,
    "expires": date(2027, 1, 1),
}

# A damage to a table of sound data, by which the check fails. `original` is the table as it was.
DAMAGE = [
    (
        "arn_names_its_target",
        "lake.repositories",
        "SELECT * REPLACE (replace(repository_arn, 'eu-west-1', 'eu-west-2') AS repository_arn) FROM original",
    ),
    (
        "arn_names_its_target",
        "lake.repositories",
        "SELECT * REPLACE (replace(repository_arn, '/app', '/app2') AS repository_arn) FROM original",
    ),
    (
        "changes_lead_to_today",
        "marts.changes",
        "FROM original WHERE change <> 'fixed'",
    ),
    (
        "changes_lead_to_today",
        "lake.accounts",
        "SELECT * REPLACE (if(ou_id IS NULL, 'ou-test-elsewhere', ou_id) AS ou_id) FROM original",
    ),
    (
        "collected_count_equals_rows",
        "lake.scan_targets",
        "SELECT * REPLACE (repository_count + 1 AS repository_count) FROM original",
    ),
    (
        "every_facet_read",
        "lake.repositories",
        "SELECT * REPLACE ([{facet: 'tags', error_code: 'AccessDeniedException'}] AS facets_failed) FROM original",
    ),
    (
        "every_facet_read",
        "lake.registries",
        "SELECT * REPLACE ([{facet: 'registries', error_code: 'Throttling'}] AS facets_failed) FROM original",
    ),
    # As lakes of versions before 7 have it.
    (
        "every_facet_read",
        "lake.scan_targets",
        "SELECT * REPLACE ('Tags.AccessDeniedException' AS error_code) FROM original",
    ),
    (
        "current_tags_are_those_last_read",
        "lake.image_tags",
        "FROM original UNION ALL (FROM original WHERE is_current LIMIT 1)",
    ),
    (
        "current_tags_are_those_last_read",
        "lake.image_tags",
        "SELECT * REPLACE (FALSE AS is_current) FROM original",
    ),
    (
        "intervals_of_tags_are_in_order",
        "lake.image_tags",
        "SELECT * REPLACE (first_seen - INTERVAL 1 HOUR AS last_seen) FROM original",
    ),
    (
        "moves_are_between_compared_reads",
        "lake.tag_moves",
        "SELECT * REPLACE (old_digest AS new_digest) FROM original",
    ),
    (
        "moves_are_between_compared_reads",
        "lake.image_tag_reads",
        "SELECT * REPLACE (FALSE AS compared) FROM original",
    ),
    (
        "every_target_collected",
        "lake.scan_targets",
        "SELECT * REPLACE (if(region = 'us-east-1', 'FAILED', outcome) AS outcome) FROM original",
    ),
    (
        "every_waiver_matches",
        "marts.waivers",
        "SELECT * REPLACE ('unmatched' AS status) FROM original",
    ),
    (
        "history_is_in_order",
        "lake.policy_output",
        "SELECT * REPLACE (DATE '2026-11-02' AS incompliant_start_date) FROM original",
    ),
    (
        "mutability_is_known",
        "lake.repositories",
        "SELECT * REPLACE ('SOMETIMES' AS image_tag_mutability) FROM original",
    ),
    (
        "observed_agrees_with_outcome",
        "lake.repositories",
        "SELECT * REPLACE (NOT observed AS observed) FROM original",
    ),
    (
        "one_outcome_per_target",
        "lake.scan_targets",
        "FROM original UNION ALL SELECT * REPLACE ('us-west-2' AS region) FROM original WHERE account_id LIKE '1%'",
    ),
    (
        "one_row_per_account",
        "lake.accounts",
        "FROM original UNION ALL (FROM original LIMIT 1)",
    ),
    (
        "one_row_per_repository",
        "lake.repositories",
        "FROM original UNION ALL (SELECT * REPLACE ('IMMUTABLE' AS image_tag_mutability) FROM original LIMIT 1)",
    ),
    (
        "one_verdict_per_object_and_policy",
        "lake.policy_output",
        "FROM original UNION ALL (FROM original LIMIT 1)",
    ),
    (
        "scopes_add_up",
        "marts.scope_compliance",
        "SELECT * REPLACE (if(scope_type = 'untagged', incompliant + 1, incompliant) AS incompliant) FROM original",
    ),
    (
        "scopes_add_up",
        "marts.section_compliance",
        "FROM original WHERE scope_id <> '222222222222'",
    ),
    (
        "sections_agree_with_policies",
        "marts.policy_run",
        "SELECT * REPLACE (compliant + 1 AS compliant) FROM original",
    ),
    (
        "status_is_known",
        "lake.policy_output",
        "SELECT * REPLACE ('FINE' AS status) FROM original",
    ),
]


@pytest.fixture
def sound(once: Callable[..., None], small_lake: SmallLake) -> Iterator[Warehouse]:
    """A evaluated snapshot of two accounts, of which the second is directly at the root, in no unit.

    The first one's repository is INCOMPLIANT and waived; the second one's was fixed since the day before.
    """

    def audit() -> None:
        small_lake.waivers = pa.Table.from_pylist([WAIVER], schema=SCHEMA)
        for day, mutability in ((DAY_BEFORE, "MUTABLE"), (DAY, "IMMUTABLE")):
            small_lake.scan(
                day,
                accounts=[{}, {"account_id": "222222222222", "ou_path": None}],
                repositories=[{}, {"account_id": "222222222222", "image_tag_mutability": mutability}],
                scan_targets=[{"account_id": "111111111111", "region": "us-east-1"}],
                registries=[{}],
            )
            # A tag that moves, one that is removed, and one in a repository that is not read.
            tags = {"latest": str(day), **({"old": "a"} if day == DAY_BEFORE else {})}
            small_lake.read_tags(day, [{"tags": tags}])
        small_lake.evaluate(DAY_BEFORE)
        _, warnings = small_lake.evaluate(DAY)
        assert warnings == []

    once(audit)
    lake = small_lake.lake
    commit, image_tags = lake.read_commit("compliance", DAY), lake.read_commit("image_tags", DAY)
    assert commit
    assert image_tags
    with (
        small_lake.opened(DAY, evaluated=commit) as warehouse,
        lake.local_table(image_tags, TAG_MOVES) as moves,
    ):
        warehouse.register_input(Input(TAG_MOVES.name, TAG_MOVES, [moves]))
        for counts in ("object_counts", "verdict_counts"):
            warehouse.create_view(f"staging.{counts}", read_statement(f"staging/{counts}"))
        for table in ROLLED_UP:
            warehouse.create_table(f"marts.{table.name}", parse_statement("test.sql", f"FROM lake.{table.name}"))
        yield warehouse


def test_every_check_is_tested() -> None:
    assert {check for check, _, _ in DAMAGE} == {path.stem for path in (SQL_ROOT / "checks").glob("*.sql")}


def test_checks_of_the_inventory_name_targets(sound: Warehouse) -> None:
    """Rows that they refuse are left out before it is committed, target by target."""
    for check in load_checks():
        columns = sound.query(check.statement, snapshot_date=DAY).schema.names
        if check.stage == "inventory":
            assert {"account_id", "region"} <= set(columns), check.name
            assert check.severity == "fail"
            assert not check.statement.parameters


def test_checks_that_were_passed_are_not_run(sound: Warehouse) -> None:
    sound.connection.execute("CREATE TABLE original AS FROM lake.scan_targets")
    sound.connection.execute("DROP VIEW lake.scan_targets")
    sound.connection.execute("CREATE VIEW lake.scan_targets AS FROM original UNION ALL FROM original")
    with pytest.raises(CheckError, match="one_outcome_per_target"):
        run_checks(sound)
    run_checks(sound, passed=["one_outcome_per_target"])


def test_sound_data_pass(sound: Warehouse) -> None:
    assert run_checks(sound) == run_checks(sound, stage="image_tags") == []


@pytest.mark.parametrize(("check", "table", "damaged"), DAMAGE, ids=[f"{check}-{table}" for check, table, _ in DAMAGE])
def test_check_finds_damage(sound: Warehouse, check: str, table: str, damaged: str) -> None:
    kind = "TABLE" if table.startswith("marts.") else "VIEW"
    sound.connection.execute(f"CREATE TABLE original AS FROM {table}")
    sound.connection.execute(f"DROP {kind} {table}")
    sound.connection.execute(f"CREATE {kind} {table} AS {damaged}")
    [stage] = [each.stage for each in load_checks() if each.name == check]
    try:
        found = run_checks(sound, stage=stage)
    except CheckError as error:
        found = list(error.violations)
    assert f"sql/checks/{check}.sql" in [finding.check for finding in found]


def test_a_check_without_a_severity_is_an_error(sound: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "mute.sql").write_text("-- severity: loud\nSELECT 1")
    with pytest.raises(WarehouseError, match=r"mute.sql: has no severity"):
        run_checks(sound, tmp_path)
