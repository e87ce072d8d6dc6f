"""Evaluating: the contract of a policy, steps that are repeated or killed, the history when an old day is evaluated
again."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ecr_audit.catalog import Catalog
from ecr_audit.compliance import CheckError, ComplianceError, PolicyError, evaluate, later_dates, roll_up, verdicts
from ecr_audit.lake.commits import INVENTORY_CHECKS
from ecr_audit.lake.schemas import IMAGE_TAG_READS
from ecr_audit.lake.storage import LakeError, Storage
from support.lakes import committed
from support.policies import RELEASE_TAG_MOVED, image_tags_catalog
from support.small_lake import SmallLake

DAY_1, DAY_2, DAY_3 = date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 3)
POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
VERDICT = """
SELECT
    repository_arn AS object_id,
    1::INTEGER AS condition_index,
    'COMPLIANT' AS status,
    'fine' AS current_state_message,
    NULL::VARCHAR AS remediation_message,
    NULL::VARCHAR AS remediation_command
FROM staging.repositories
"""


def with_logic(catalog: Catalog, logic: str) -> Catalog:
    """The catalog with another logic.sql of the mutability policy."""
    policies = [
        policy.model_copy(update={"logic_sql": logic, "hash": "another"}) if policy.id == POLICY else policy
        for policy in catalog.policies
    ]
    return Catalog(policies, catalog.frameworks)


def evaluated(small_lake: SmallLake, day: date, **scanned: Any) -> None:
    small_lake.night(day, **scanned)


def history(small_lake: SmallLake, day: date) -> Any:
    [row] = [row for row in small_lake.rows("policy_output", day) if row["policy_id"] == POLICY]
    return row["status"], row["status_date"], row["incompliant_start_date"], row["incompliant_end_date"]


def test_a_policy_that_does_not_pass_on_owners(small_lake: SmallLake) -> None:
    small_lake.scan(DAY_1, repositories=[{"tags": {"owner": "web"}}])
    small_lake.catalog = with_logic(small_lake.catalog, VERDICT)
    small_lake.evaluate(DAY_1)
    assert {row["owner"] for row in small_lake.rows("policy_output", DAY_1)} == {"web"}


@pytest.mark.parametrize(("name", "owner"), [("shop", "shop"), ("", "111111111111"), (None, "111111111111")])
def test_an_account_owns_repositories_without_an_owner_tag(small_lake: SmallLake, name: str | None, owner: str) -> None:
    """By name; by id where AWS gave none."""
    evaluated(small_lake, DAY_1, accounts=[{"account_name": name}], repositories=[{}])
    for table in ("policy_output", "repositories"):
        assert {row["owner"] for row in small_lake.rows(table, DAY_1)} == {owner}


@pytest.mark.parametrize(
    ("logic", "reported"),
    [
        (VERDICT.replace("'COMPLIANT'", "'FINE'"), "repository/a: status FINE"),
        (VERDICT.replace("'COMPLIANT'", "'DISAPPEARED'"), "status DISAPPEARED"),
        (VERDICT.replace("'COMPLIANT'", "NULL::VARCHAR"), "status NULL"),
        (VERDICT.replace("1::INTEGER", "NULL::INTEGER"), "no condition_index"),
        (VERDICT.replace("1::INTEGER", "599"), "condition_index 599 is reserved"),
        (VERDICT.replace("'fine'", "NULL::VARCHAR"), "no current_state_message"),
        (VERDICT + "WHERE repository_name = 'a'", "repository/b: no verdict"),
        (VERDICT + "WHERE hash(repository_arn) < 0", "repository/a: no verdict"),
        (VERDICT + "LIMIT 1", "repository/b: no verdict"),
        (VERDICT + "CROSS JOIN (VALUES (1), (2))", "repository/a: 2 verdicts"),
        (VERDICT + f"UNION ALL {VERDICT}", "repository/a: 2 verdicts"),
        (VERDICT.replace("staging.repositories", "lake.previous_repositories"), "repository/a: no verdict"),
        (VERDICT.replace("repository_arn AS", "repository_arn || 'x' AS"), "repository/ax: no such object"),
        (VERDICT.replace("repository_arn AS", "NULL::VARCHAR AS"), "NULL: no object_id"),
        (
            VERDICT.replace("AS remediation_command", "AS command"),
            "lacks the column remediation_command VARCHAR; unknown column command. Valid: remediation_command; for a"
            " column without values: CAST(NULL AS VARCHAR)",
        ),
        (VERDICT.replace("1::INTEGER", "1.5"), "condition_index is DECIMAL(2,1); it must be INTEGER"),
        (VERDICT.replace("1::INTEGER", "NULL"), "no condition_index"),
        (VERDICT.replace("'fine'", "1"), "logic.sql: current_state_message is INTEGER; it must be VARCHAR"),
        (
            VERDICT.replace("NULL::VARCHAR AS remediation_command", "0 AS remediation_command"),
            "remediation_command is INTEGER; it must be VARCHAR; for a column without values: CAST(NULL AS VARCHAR)",
        ),
        (VERDICT.replace("staging.repositories", "staging.nothing"), "staging.nothing"),
        (VERDICT.replace("'fine'", "error('broken')::VARCHAR"), "broken"),
        (VERDICT.replace("repository_arn AS", "error('broken')::VARCHAR AS"), "broken"),
        ("DELETE FROM staging.repositories", "must contain one SELECT"),
    ],
)
def test_a_policy_that_breaks_its_contract_is_named_and_nothing_is_kept(
    small_lake: SmallLake, logic: str, reported: str
) -> None:
    small_lake.scan(DAY_1, repositories=[{"repository_name": "a"}, {"repository_name": "b"}])
    with pytest.raises(PolicyError) as caught:
        evaluate(small_lake.lake, with_logic(small_lake.catalog, logic), DAY_1, owner_tags=())
    place = f"{POLICY}: sql/policies/ecr/repository-image-tag-mutability/logic.sql: "
    assert str(caught.value).startswith(place)
    assert reported in str(caught.value)
    assert small_lake.lake.storage.files("_parts") == []


# Things that a SELECT may do beside reading tables. In place of {}, a path of the machine.
REACHES = {
    "FROM read_text('{}')": "calls read_text. A policy evaluates staging.repositories",
    "FROM query('FROM read_text(''{}'')')": "calls query",
    "FROM enable_logging(storage = 'file', storage_path = '{}')": "calls enable_logging",
    "FROM enable_profiling(save_location = '{}')": "calls enable_profiling",
    "FROM json_execute_serialized_sql('{{}}')": "calls json_execute_serialized_sql",
    "FROM duckdb_settings()": "calls duckdb_settings",
    "FROM '{}.csv'": "Permission Error: Cannot access file",
    "FROM 'http://127.0.0.1:1/x.parquet'": "Permission Error: Cannot access file",
}


@pytest.mark.parametrize("reach", REACHES)
def test_a_policy_reaches_no_file_and_no_network(small_lake: SmallLake, tmp_path: Path, reach: str) -> None:
    small_lake.scan(DAY_1, repositories=[{}])
    secret = tmp_path / "secret"
    secret.with_suffix(".csv").write_text("a\n1\n")
    secret.write_text("secret")
    logic = f"{VERDICT}WHERE (SELECT count(*) FROM ({reach.format(secret)})) >= 0"
    with pytest.raises(PolicyError) as caught:
        evaluate(small_lake.lake, with_logic(small_lake.catalog, logic), DAY_1, owner_tags=())
    assert f"{POLICY}" in str(caught.value)
    assert REACHES[reach] in str(caught.value)


def test_a_policy_may_call_functions_of_its_own_values(small_lake: SmallLake) -> None:
    small_lake.scan(DAY_1, repositories=[{}])
    logic = f"{VERDICT}WHERE (SELECT max(i) FROM range(3) AS t(i), unnest([1, 2]) AS u(j), json_each('[1]')) = 2"
    small_lake.catalog = with_logic(small_lake.catalog, logic)
    small_lake.evaluate(DAY_1)
    assert history(small_lake, DAY_1)[0] == "COMPLIANT"


@pytest.mark.parametrize(
    "logic",
    [
        VERDICT,
        VERDICT.replace("NULL::VARCHAR", "NULL"),
        VERDICT.replace("NULL::VARCHAR", "CASE WHEN observed THEN NULL END"),
        VERDICT.replace("FROM", ", NULL AS owner FROM"),
        "WITH found AS (SELECT * FROM staging.repositories) "
        + VERDICT.replace("staging.repositories", "found").replace("NULL::VARCHAR", "NULL"),
    ],
)
def test_a_policy_that_keeps_its_contract_is_taken(small_lake: SmallLake, logic: str) -> None:
    """A column that may be NULL in each row may be one without a type."""
    small_lake.scan(DAY_1, repositories=[{}])
    small_lake.catalog = with_logic(small_lake.catalog, logic)
    small_lake.evaluate(DAY_1)
    assert history(small_lake, DAY_1)[0] == "COMPLIANT"


def test_verdicts_are_in_order_of_policy_and_slice_and_slices_leave_no_trace(
    small_lake: SmallLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = [{"account_id": str(number) * 12} for number in (3, 1, 2)]
    repositories = [
        {"account_id": account["account_id"], "repository_name": name, "region": region}
        for account in accounts
        for name in ("b", "a")
        for region in ("us-east-1", "eu-west-1")
    ]
    evaluated(small_lake, DAY_1, accounts=accounts, repositories=repositories)
    whole = small_lake.rows("policy_output", DAY_1)
    monkeypatch.setattr(verdicts, "SLICE_REPOSITORIES", 1)
    small_lake.evaluate(DAY_1)
    sliced = small_lake.rows("policy_output", DAY_1)
    commit = committed(small_lake.lake, "compliance", DAY_1)
    assert len(commit.files["policy_output"]) == len(accounts) * len(small_lake.catalog.policies)
    keys = [(row["policy_id"], row["account_id"]) for row in sliced]
    assert keys == sorted(keys)
    assert len(keys) == 24
    assert sorted(sliced, key=str) == sorted(whole, key=str)


def test_an_empty_organization_is_evaluated(small_lake: SmallLake) -> None:
    evaluated(small_lake, DAY_1)
    assert small_lake.rows("policy_output", DAY_1) == []
    assert [row["compliant"] for row in small_lake.rows("policy_run", DAY_1)] == [0, 0]


def test_a_policy_that_is_taken_out_of_the_catalog_ends_no_night(small_lake: SmallLake) -> None:
    """Also while an account is moved and a repository is created again, of which the policy knows no more."""
    evaluated(small_lake, DAY_1, repositories=[{}, {"repository_name": "again"}])
    left = [policy for policy in small_lake.catalog.policies if policy.id == POLICY]
    small_lake.catalog = Catalog(left, small_lake.catalog.frameworks)
    again = {"repository_name": "again", "created_at": datetime(2026, 11, 1, 12, tzinfo=UTC)}
    evaluated(small_lake, DAY_2, accounts=[{"ou_path": "Root/Test"}], repositories=[{}, again])
    changes = small_lake.rows("changes", DAY_2)
    assert Counter(row["change"] for row in changes) == {"moved": 2, "disappeared": 1, "new": 1}
    assert {row["policy_id"] for row in [*changes, *small_lake.rows("ended_findings", DAY_2)]} == {POLICY}


def test_a_date_never_scanned_is_reported(small_lake: SmallLake) -> None:
    with pytest.raises(LakeError, match=r"no inventory of 2026-11-01. The newest are: none"):
        evaluate(small_lake.lake, small_lake.catalog, DAY_1, owner_tags=())


def test_rolling_up_needs_verdicts(small_lake: SmallLake) -> None:
    small_lake.scan(DAY_1)
    with pytest.raises(ComplianceError, match=r"2026-11-01: .*not been evaluated yet"):
        roll_up(small_lake.lake, small_lake.catalog, DAY_1)


def test_repeating_a_step_changes_nothing(small_lake: SmallLake) -> None:
    evaluated(small_lake, DAY_1, repositories=[{}])
    before = {table: small_lake.rows(table, DAY_1) for table in ("policy_output", "policy_run", "section_compliance")}
    roll_up(small_lake.lake, small_lake.catalog, DAY_1)
    small_lake.evaluate(DAY_1)
    assert {table: small_lake.rows(table, DAY_1) for table in before} == before
    assert len(small_lake.lake.storage.files("policy_output")) == len(small_lake.catalog.policies)
    assert small_lake.lake.storage.files("_parts") == []


@pytest.mark.parametrize("survives", [0, 1, 2])
def test_an_evaluation_killed_while_it_hands_over_does_not_count(
    small_lake: SmallLake, monkeypatch: pytest.MonkeyPatch, survives: int
) -> None:
    """It moves a file for each policy and a note in; killed before any of them, the verdicts of before still stand."""
    evaluated(small_lake, DAY_1, repositories=[{}])
    before = small_lake.rows("policy_output", DAY_1)
    moved: list[str] = []
    move_in = Storage.move_in

    def killed(storage: Storage, local: Path, relative: str) -> None:
        if len(moved) == survives:
            raise KeyboardInterrupt
        moved.append(relative)
        move_in(storage, local, relative)

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "move_in", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluate(small_lake.lake, small_lake.catalog, DAY_1, owner_tags=())
    roll_up(small_lake.lake, small_lake.catalog, DAY_1)
    assert small_lake.rows("policy_output", DAY_1) == before


def test_verdicts_on_another_inventory_are_refused(small_lake: SmallLake) -> None:
    small_lake.scan(DAY_1, repositories=[{}])
    evaluate(small_lake.lake, small_lake.catalog, DAY_1, owner_tags=())
    small_lake.scan(DAY_1)
    with pytest.raises(ComplianceError, match=r"inventory_commit changed since"):
        roll_up(small_lake.lake, small_lake.catalog, DAY_1)


def test_verdicts_of_another_policy_are_refused(small_lake: SmallLake) -> None:
    small_lake.scan(DAY_1, repositories=[{}])
    evaluate(small_lake.lake, small_lake.catalog, DAY_1, owner_tags=())
    with pytest.raises(ComplianceError, match=r"policies changed since"):
        roll_up(small_lake.lake, with_logic(small_lake.catalog, VERDICT), DAY_1)


def test_a_day_evaluated_late_becomes_part_of_the_history(small_lake: SmallLake) -> None:
    """Fixed on the 2nd only. Without the 2nd the stretch runs from the 1st; with it, the 3rd starts another."""
    evaluated(small_lake, DAY_1, repositories=[{}])
    evaluated(small_lake, DAY_3, repositories=[{}])
    assert history(small_lake, DAY_3) == ("INCOMPLIANT", DAY_1, DAY_1, None)

    evaluated(small_lake, DAY_2, repositories=[{"image_tag_mutability": "IMMUTABLE"}])
    assert later_dates(small_lake.lake, DAY_2) == [DAY_3]
    small_lake.evaluate(DAY_3)
    assert history(small_lake, DAY_2) == ("COMPLIANT", DAY_2, DAY_1, DAY_2)
    assert history(small_lake, DAY_3) == ("INCOMPLIANT", DAY_3, DAY_3, None)


def test_verdicts_whose_history_was_evaluated_again_are_refused(small_lake: SmallLake) -> None:
    evaluated(small_lake, DAY_1, repositories=[{}])
    small_lake.scan(DAY_2, repositories=[{}])
    evaluate(small_lake.lake, small_lake.catalog, DAY_2, owner_tags=())
    small_lake.evaluate(DAY_1)
    with pytest.raises(ComplianceError, match=r"previous_commit changed since"):
        roll_up(small_lake.lake, small_lake.catalog, DAY_2)


def test_a_failed_check_commits_nothing(small_lake: SmallLake) -> None:
    target = {"account_id": "111111111111", "region": "eu-west-1", "repository_count": 7}
    # As versions left it that ran no checks before they committed an inventory.
    small_lake.scan(DAY_1, repositories=[{}], scan_targets=[target], details={INVENTORY_CHECKS: []})
    with pytest.raises(CheckError, match=r"collected_count_equals_rows.sql: 1 row, such as\n.*'repository_count': 7"):
        small_lake.evaluate(DAY_1)
    assert small_lake.lake.read_commit("compliance", DAY_1) is None


def test_warnings_are_returned(small_lake: SmallLake) -> None:
    target = {"account_id": "111111111111", "region": "us-east-1", "outcome": "THROTTLED"}
    small_lake.scan(DAY_1, repositories=[{"image_tag_mutability": "SOMETIMES"}], scan_targets=[target])
    _, warnings = small_lake.evaluate(DAY_1)
    assert [warning.check for warning in warnings] == [
        "sql/checks/every_target_collected.sql",
        "sql/checks/mutability_is_known.sql",
    ]
    assert "THROTTLED" in str(warnings[0])


@pytest.mark.slow
def test_evaluating_again_uses_the_same_image_tags(small_lake: SmallLake) -> None:
    """Those of the newest night by then, though the date has newer ones since; a new inventory uses the newest."""
    small_lake.catalog = image_tags_catalog()
    rows: dict[str, Any] = {"repositories": [{"image_tag_mutability": "MUTABLE"}], "details": {"image_tags": "all"}}

    def status() -> tuple[date | None, str]:
        commit, _ = small_lake.evaluate(DAY_3)
        [row] = [row for row in small_lake.rows("policy_output", DAY_3) if row["policy_id"] == RELEASE_TAG_MOVED]
        return commit.image_tags_date, row["status"]

    # Image tags are read after the night is evaluated: nothing to compare with, quiet, and overwritten.
    for day, digest in zip((DAY_1, DAY_2, DAY_3), ("a", "a", "b"), strict=True):
        small_lake.night(day, **rows, image_tags=[{"tags": {"1.0.0": digest}}])
    assert status() == (DAY_2, "COMPLIANT")
    small_lake.scan(DAY_3, **rows)
    assert status() == (DAY_3, "INCOMPLIANT")
    assert status() == (DAY_3, "INCOMPLIANT")
    # Thinned, they cannot be used again: the newest ones before count.
    small_lake.lake.remove_table("image_tags", DAY_3, IMAGE_TAG_READS)
    assert status() == (DAY_2, "COMPLIANT")
