"""Rows that the checks refuse before an inventory is committed cost their target, and never the night."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ecr_audit.aws.outcomes import Outcome
from ecr_audit.inventory.commit import commit_snapshot
from ecr_audit.inventory.plan_files import Plan, read_plan_table
from ecr_audit.inventory.scan import scan_batch
from ecr_audit.inventory.verification import ERROR_CODE
from ecr_audit.lake.schemas import ACCOUNTS, REPOSITORIES, SCAN_TARGETS
from ecr_audit.lake.tables import LakeTable
from ecr_audit.settings import Settings
from ecr_audit.warehouse import checks
from ecr_audit.warehouse.checks import Check, CheckError, load_checks
from ecr_audit.warehouse.statements import parse_statement
from support.lakes import committed

from .conftest import FakeOrganization, MakeScope

Change = Callable[[pa.Table], pa.Table]

FIRST, SECOND, THIRD = (date(2026, 3, day) for day in (1, 2, 3))
HUB, A, B = "100000000000", "200000000000", "300000000000"
EU, US = "eu-west-1", "us-east-1"
SEEN = {(A, EU, "a1"): True, (A, EU, "a2"): True, (A, US, "a3"): True, (B, EU, "b1"): True}


@pytest.fixture
def night(organization: FakeOrganization) -> FakeOrganization:
    organization.add(A, B)
    organization.repositories = {(A, EU): ["a1", "a2"], (A, US): ["a3"], (B, EU): ["b1"]}
    return organization


def scanned(night: FakeOrganization, day: date) -> Plan:
    """A night up to its commit. Returns the plan."""
    plan, batches = night.plan(day)
    for batch in batches:
        scan_batch(night.lake, night.hub, plan.plan_id, batch, Settings())
    return plan


def change_part(night: FakeOrganization, plan: Plan, name: str, change: Change) -> None:
    """Rewrite the repositories or targets that the only batch left."""
    [path] = Path(night.lake.root, plan.folder).glob(f"{name}-*.parquet")
    metadata = pq.read_schema(path).metadata
    pq.write_table(change(pq.read_table(path)).replace_schema_metadata(metadata), path)


def change_committed(night: FakeOrganization, day: date, table: LakeTable, change: Change) -> None:
    """Rewrite a file of a committed snapshot, as an older version of the audit could have written it."""
    commit = committed(night.lake, "inventory", day)
    [location] = night.lake.locations(commit, table)
    rows = change(pq.read_table(location, partitioning=None))
    pq.write_table(rows, location)
    file = Path(night.lake.root, f"_commits/inventory/{day}.json")
    document = json.loads(file.read_text("utf-8"))
    document["rows"][table.name] = rows.num_rows
    document["details"].pop("inventory_checks", None)
    file.write_text(json.dumps(document), "utf-8")


def twice(rows: pa.Table) -> pa.Table:
    return pa.concat_tables([rows, rows])


def with_column(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, values)


def set_to(column: str, value: object, *, where: str) -> Change:
    """Change a column in the rows of a repository or an account."""

    def change(rows: pa.Table) -> pa.Table:
        name = "repository_name" if "repository_name" in rows.schema.names else "account_id"
        changed = pc.if_else(
            pc.equal(rows[name], where), pa.scalar(value, rows.schema.field(column).type), rows[column]
        )
        return with_column(rows, column, changed)

    return change


def target(night: FakeOrganization, day: date, *key: str) -> dict[str, Any]:
    [row] = [row for row in night.rows(day, SCAN_TARGETS) if (row["account_id"], row["region"]) == key]
    return row


def test_an_inventory_remembers_the_checks_that_it_passed(night: FakeOrganization) -> None:
    commit = night.run(FIRST)
    assert commit.inventory_checks == [
        "arn_names_its_target",
        "collected_count_equals_rows",
        "observed_agrees_with_outcome",
        "one_outcome_per_target",
        "one_row_per_account",
        "one_row_per_repository",
    ]
    assert all(check.severity == "fail" for check in load_checks() if check.stage == "inventory")


@pytest.mark.parametrize(
    ("check", "name", "change"),
    [
        ("arn_names_its_target", "repositories", set_to("repository_arn", "arn:aws:ecr:x:y:repository/a1", where="a1")),
        ("arn_names_its_target", "repositories", set_to("repository_arn", None, where="a1")),
        ("collected_count_equals_rows", "repositories", lambda rows: rows.slice(1)),
        ("collected_count_equals_rows", "repositories", lambda rows: twice(rows.slice(0, 1)).slice(0, 1)),
        ("observed_agrees_with_outcome", "repositories", set_to("observed", False, where="a1")),
    ],
)
def test_a_refused_check_is_the_outcome_of_its_target(
    night: FakeOrganization, check: str, name: str, change: Change
) -> None:
    """Twice the same night, so that the second has something to carry over."""
    night.run(FIRST)
    plan = scanned(night, SECOND)
    change_part(night, plan, name, change)
    commit_snapshot(night.lake, plan.plan_id)
    struck = [key for key, outcome in night.outcomes_of(SECOND).items() if outcome != "COLLECTED"]
    assert (A, EU) in struck
    for key in struck:
        row = target(night, SECOND, *key)
        assert (row["outcome"], row["error_code"], row["repository_count"]) == ("FAILED", ERROR_CODE, None)
        assert f"sql/checks/{check}.sql" in row["error_message"]
        assert row["api_calls"] == 1
    assert night.observed(SECOND) == {key: key[:2] not in struck for key in SEEN}
    # The night after is as if nothing had been.
    night.run(THIRD)
    assert night.observed(THIRD) == SEEN
    assert set(night.outcomes_of(THIRD).values()) == {"COLLECTED"}


def test_a_part_with_a_repository_twice_is_refused_for_its_target(night: FakeOrganization) -> None:
    """As an older version staged it, before an upgrade between two steps of a night."""
    plan = scanned(night, FIRST)
    change_part(night, plan, "repositories", twice)
    change_part(
        night,
        plan,
        "scan_targets",
        lambda rows: with_column(rows, "repository_count", pc.multiply(rows["repository_count"], 2)),
    )
    commit_snapshot(night.lake, plan.plan_id)
    failed = {key for key, outcome in night.outcomes_of(FIRST).items() if outcome == "FAILED"}
    assert failed == {(A, EU), (A, US), (B, EU)}
    assert night.observed(FIRST) == {}


def test_known_rows_that_contradict_themselves_are_not_carried_over(night: FakeOrganization) -> None:
    night.run(FIRST)
    change_committed(night, FIRST, REPOSITORIES, set_to("repository_arn", "arn:aws:ecr:x:y:repository/a1", where="a1"))
    night.outcomes[A, EU] = Outcome.ACCESS_DENIED
    night.run(SECOND)
    assert night.outcomes_of(SECOND)[A, EU] == "ACCESS_DENIED"
    assert night.observed(SECOND) == {(A, US, "a3"): True, (B, EU, "b1"): True}


def test_a_target_whose_known_rows_are_inconsistent_too_keeps_no_rows(night: FakeOrganization) -> None:
    bad = set_to("repository_arn", "arn:aws:ecr:x:y:repository/a1", where="a1")
    night.run(FIRST)
    change_committed(night, FIRST, REPOSITORIES, bad)
    plan = scanned(night, SECOND)
    change_part(night, plan, "repositories", bad)
    commit_snapshot(night.lake, plan.plan_id)
    assert target(night, SECOND, A, EU)["error_code"] == ERROR_CODE
    assert night.observed(SECOND) == {(A, US, "a3"): True, (B, EU, "b1"): True}


@pytest.mark.parametrize("differs", [False, True])
def test_a_base_with_doubled_keys_is_carried_over_with_one_row_a_key(
    night: FakeOrganization, scope: MakeScope, differs: bool
) -> None:
    night.tags = {"a3": {"owner": "x"}}
    night.run(FIRST)
    for table in (ACCOUNTS, SCAN_TARGETS, REPOSITORIES):
        change_committed(night, FIRST, table, twice)
    if differs:
        later = pa.array(
            [None] * 4 + [datetime(2026, 3, 1, tzinfo=UTC)] * 4, REPOSITORIES.schema.field("collected_at").type
        )
        change_committed(night, FIRST, REPOSITORIES, lambda rows: with_column(rows, "collected_at", later))
    night.outcomes = {(A, EU): Outcome.FAILED, (B, EU): Outcome.ACCESS_DENIED}
    night.tags_denied = {(A, US)}
    night.run(SECOND)
    tags = {row["repository_name"]: row["tags"] for row in night.rows(SECOND, REPOSITORIES)}
    assert tags["a3"] == [("owner", "x")]
    assert night.observed(SECOND) == {key: key[:2] == (A, US) for key in SEEN}
    assert len(night.outcomes_of(SECOND)) == 6
    assert night.account_ids(SECOND) == [HUB, A, B]
    if differs:
        assert all(row["collected_at"] for row in night.rows(SECOND, REPOSITORIES)), "the one that was seen last"
    # And a limited run of the same day, which keeps what it does not plan as the day has it.
    for table in (ACCOUNTS, SCAN_TARGETS, REPOSITORIES):
        change_committed(night, SECOND, table, twice)
    night.run(SECOND, scope=scope(accounts=[B]))
    assert night.observed(SECOND) == {key: key[:2] == (A, US) for key in SEEN}
    assert len(night.outcomes_of(SECOND)) == 6


def test_a_plan_on_a_base_with_doubled_targets_scans_each_once(night: FakeOrganization) -> None:
    night.run(FIRST)
    change_committed(night, FIRST, SCAN_TARGETS, twice)
    plan, _ = night.plan(SECOND)
    assert read_plan_table(night.lake, plan, "targets.parquet").num_rows == 6


def test_limited_runs_that_leave_a_gap_are_reported(night: FakeOrganization, scope: MakeScope) -> None:
    """One of an account and one of another in another region: what neither planned was not looked at."""
    night.add("400000000000", state="SUSPENDED")
    night.run(FIRST, scope=scope(accounts=[A], regions=[EU]))
    night.run(FIRST, scope=scope(accounts=[B, "400000000000"], regions=[US]))
    assert night.outcomes_of(FIRST) == {
        (A, EU): "COLLECTED",
        (A, US): "FAILED",
        (B, EU): "FAILED",
        (B, US): "COLLECTED",
        ("400000000000", EU): "ACCOUNT_INACTIVE",
        ("400000000000", US): "ACCOUNT_INACTIVE",
    }
    assert target(night, FIRST, A, US)["error_code"] == "NeverPlanned"


@pytest.mark.parametrize(
    "refused",
    [
        "SELECT account_id, NULL AS region FROM lake.accounts",
        # Whatever is left out: what the target is, not what it holds.
        "SELECT account_id, region FROM lake.scan_targets WHERE region = 'eu-west-1'",
    ],
)
def test_a_fault_of_no_single_target_is_refused_and_nothing_is_committed(
    night: FakeOrganization, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    night.run(FIRST)
    committed = night.lake.read_commit("inventory", FIRST)
    check = Check("a_check", "fail", "inventory", parse_statement("sql/checks/a_check.sql", refused))
    monkeypatch.setattr(checks, "load_checks", lambda: [check])
    for day in (FIRST, SECOND):
        with pytest.raises(CheckError, match=r"sql/checks/a_check.sql: 3 rows, such as"):
            night.run(day)
    assert night.lake.snapshot_dates("inventory") == [FIRST]
    assert night.lake.read_commit("inventory", FIRST) == committed
