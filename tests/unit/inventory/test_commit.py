"""The commit of a night: one outcome for every planned target, and no known repository missing."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ecr_audit.aws.outcomes import Outcome
from ecr_audit.inventory.commit import NothingCollectedError, commit_snapshot
from ecr_audit.inventory.coverage import Coverage, coverage
from ecr_audit.inventory.scan import scan_batch
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.schemas import ACCOUNTS, REGISTRIES, REPOSITORIES, SCAN_TARGETS
from ecr_audit.lake.storage import LakeError
from ecr_audit.lake.tables import LakeTable
from ecr_audit.settings import Settings
from support.lakes import cut_into_files

from .conftest import FakeOrganization, MakeScope

DAYS = [date(2026, 3, day) for day in range(1, 8)]
FIRST, SECOND, THIRD = DAYS[:3]
HUB, A, B, C = "100000000000", "200000000000", "300000000000", "400000000000"
EU, US = "eu-west-1", "us-east-1"
DARK = [each for each in Outcome if each not in (Outcome.COLLECTED, Outcome.ACCOUNT_INACTIVE)]


@pytest.fixture
def night(organization: FakeOrganization) -> FakeOrganization:
    """Three members beside the hub, one batch each."""
    organization.add(A, B, C)
    organization.repositories = {(A, EU): ["a1", "a2"], (A, US): ["a3"], (B, EU): ["b1"], (C, US): ["c1"]}
    return organization


def run(night: FakeOrganization, day: date, **options: Any) -> Commit:
    return night.run(day, batch_accounts=1, **options)


def test_every_planned_target_has_one_row_and_every_repository_is_there(night: FakeOrganization) -> None:
    commit = run(night, FIRST)
    assert night.outcomes_of(FIRST) == {(each, region): "COLLECTED" for each in (HUB, A, B, C) for region in (EU, US)}
    assert night.observed(FIRST) == {
        (A, EU, "a1"): True,
        (A, EU, "a2"): True,
        (A, US, "a3"): True,
        (B, EU, "b1"): True,
        (C, US, "c1"): True,
    }
    assert commit.rows == {"accounts": 4, "scan_targets": 8, "repositories": 5, "registries": 4}
    counts = {(row["account_id"], row["region"]): row["repository_count"] for row in night.rows(FIRST, SCAN_TARGETS)}
    assert (counts[A, EU], counts[A, US], counts[HUB, EU]) == (2, 1, 0)


def test_a_commit_remembers_the_run_it_is_of(night: FakeOrganization) -> None:
    details = dict(run(night, FIRST).details)
    assert details.pop("plan_id")
    assert details.pop("regions_read_at")
    assert "one_outcome_per_target" in details.pop("inventory_checks")
    tables = {name.partition("/")[0] for name in details.pop("sha256")}
    assert tables == {"accounts", "scan_targets", "repositories", "registries"}
    assert details == {
        "run_id": "run",
        "organization_id": "o-1",
        "hub_account_id": HUB,
        "limited": False,
        "lost_batches": [],
        "regions": {EU: False, US: False},
        "regions_error": None,
        "units_error": None,
        "missing_accounts": [],
        "missing_regions": [],
        "left_out_accounts": [],
        "left_out_regions": [],
        "facets": ["tags", "scanning", "registries"],
        "rotation_nights": 7,
        "image_tags": "off",
    }


def test_an_inactive_account_has_its_outcome_without_a_call(night: FakeOrganization) -> None:
    night.add("250000000000", state="SUSPENDED")
    night.add("050000000000", state="CLOSED")
    night.add("950000000000", state="PENDING_CLOSURE")
    run(night, FIRST)
    inactive = {account_id for account_id, _ in set(night.outcomes_of(FIRST)) - set(night.scanned)}
    assert inactive == {"050000000000", "250000000000", "950000000000"}
    rows = [row for row in night.rows(FIRST, SCAN_TARGETS) if row["account_id"] in inactive]
    assert len(rows) == 6
    for row in rows:
        assert (row["outcome"], row["api_calls"], row["repository_count"]) == ("ACCOUNT_INACTIVE", 0, None)


def test_files_are_sorted_whatever_order_scans_end_in(night: FakeOrganization) -> None:
    night.add("050000000000", state="CLOSED")
    night.regions.reverse()
    run(night, FIRST)
    night.outcomes[A, EU] = Outcome.FAILED
    run(night, SECOND)
    for day in (FIRST, SECOND):
        for table in (ACCOUNTS, SCAN_TARGETS, REPOSITORIES):
            keys = [tuple(row[column] for column in table.sort_by) for row in night.rows(day, table)]
            assert keys == sorted(keys)


def test_the_targets_of_a_lost_batch_failed_with_the_reason(night: FakeOrganization) -> None:
    commit = run(night, FIRST, lost=[1, 3])
    assert commit.details["lost_batches"] == [1, 3]
    lost = {key for key, outcome in night.outcomes_of(FIRST).items() if outcome == "FAILED"}
    assert lost == {(A, EU), (A, US), (C, EU), (C, US)}
    for row in night.rows(FIRST, SCAN_TARGETS):
        if row["outcome"] == "FAILED":
            assert row["error_code"] == "BatchLost"
            assert {row[name] for name in ("api_calls", "retries", "throttles", "repository_count")} == {None}
            assert f"Batch {1 if row['account_id'] == A else 3} ended without writing" in row["error_message"]
    assert night.observed(FIRST) == {(B, EU, "b1"): True}


@pytest.mark.parametrize("outcome", DARK)
def test_repositories_of_a_dark_target_are_carried_over_as_not_observed(
    night: FakeOrganization, outcome: Outcome
) -> None:
    run(night, FIRST)
    night.outcomes[A, EU] = outcome
    night.repositories[A, EU] = []
    run(night, SECOND)
    assert night.observed(SECOND) == {
        (A, EU, "a1"): False,
        (A, EU, "a2"): False,
        (A, US, "a3"): True,
        (B, EU, "b1"): True,
        (C, US, "c1"): True,
    }
    before, after = night.collected_at(FIRST), night.collected_at(SECOND)
    assert after[A, EU, "a1"] == before[A, EU, "a1"]
    assert after[A, US, "a3"] > before[A, US, "a3"]


def test_repositories_of_a_lost_batch_or_a_suspended_account_are_carried_over(night: FakeOrganization) -> None:
    run(night, FIRST)
    night.accounts[2] = type(night.accounts[2])(**{**vars(night.accounts[2]), "state": "SUSPENDED"})
    run(night, SECOND, lost=[1])  # one of three that are left: the hub, A, C
    assert night.outcomes_of(SECOND)[A, EU] == "FAILED"
    assert night.outcomes_of(SECOND)[B, EU] == "ACCOUNT_INACTIVE"
    assert {key for key, observed in night.observed(SECOND).items() if observed} == {(C, US, "c1")}
    assert len(night.observed(SECOND)) == 5


def test_a_dark_target_stays_known_night_after_night_until_it_is_seen_again(night: FakeOrganization) -> None:
    run(night, FIRST)
    night.outcomes[A, EU] = Outcome.ACCESS_DENIED
    for day in DAYS[1:5]:
        run(night, day)
        assert night.observed(day)[A, EU, "a1"] is False
        assert night.collected_at(day)[A, EU, "a1"] == night.collected_at(FIRST)[A, EU, "a1"]
    del night.outcomes[A, EU]
    night.repositories[A, EU] = ["a1"]
    run(night, DAYS[5])
    assert night.observed(DAYS[5])[A, EU, "a1"] is True
    assert (A, EU, "a2") not in night.observed(DAYS[5])


def test_a_repository_that_is_gone_from_a_collected_target_is_gone(night: FakeOrganization) -> None:
    run(night, FIRST)
    night.repositories[A, EU] = ["a2"]
    run(night, SECOND)
    assert (A, EU, "a1") not in night.observed(SECOND)


def test_the_repositories_of_an_account_that_left_stay_known(night: FakeOrganization) -> None:
    run(night, FIRST)
    night.accounts = [each for each in night.accounts if each.account_id != B]
    run(night, SECOND)
    assert B not in night.account_ids(SECOND)
    assert all(account_id != B for account_id, _ in night.outcomes_of(SECOND))
    assert night.observed(SECOND)[B, EU, "b1"] is False


def test_the_newest_earlier_snapshot_counts_not_a_later_one(night: FakeOrganization) -> None:
    run(night, FIRST)
    night.repositories[A, EU] = ["a1", "later"]
    run(night, THIRD)
    night.outcomes[A, EU] = Outcome.FAILED
    run(night, SECOND)
    assert (A, EU, "later") not in night.observed(SECOND)
    assert night.observed(SECOND)[A, EU, "a2"] is False


def test_a_second_run_of_a_day_replaces_the_first_and_carries_over_its_repositories(night: FakeOrganization) -> None:
    night.repositories[B, EU] = ["b1", "fresh"]
    run(night, FIRST)
    night.outcomes[B, EU] = Outcome.THROTTLED
    night.repositories[A, EU] = ["a1"]
    run(night, FIRST)
    assert night.outcomes_of(FIRST)[B, EU] == "THROTTLED"
    assert night.observed(FIRST)[B, EU, "fresh"] is False
    assert (A, EU, "a2") not in night.observed(FIRST)


def test_committing_a_plan_again_changes_nothing(night: FakeOrganization) -> None:
    run(night, FIRST)
    night.outcomes[A, EU] = Outcome.FAILED
    commit = run(night, SECOND)
    before = [night.rows(SECOND, table) for table in (ACCOUNTS, SCAN_TARGETS, REPOSITORIES, REGISTRIES)]
    commit_snapshot(night.lake, commit.details["plan_id"])
    assert [night.rows(SECOND, table) for table in (ACCOUNTS, SCAN_TARGETS, REPOSITORIES, REGISTRIES)] == before


def test_a_limited_run_changes_only_its_targets(night: FakeOrganization, scope: MakeScope) -> None:
    run(night, FIRST)
    before = {table.name: night.rows(FIRST, table) for table in (SCAN_TARGETS, REPOSITORIES)}
    night.repositories = {(A, EU): ["a2", "new"], (B, EU): ["unseen"]}
    night.outcomes[A, US] = Outcome.ACCESS_DENIED
    commit = run(night, FIRST, scope=scope(accounts=[A]))
    assert commit.details["limited"] is True
    assert night.account_ids(FIRST) == [HUB, A, B, C]
    assert night.observed(FIRST) == {
        (A, EU, "a2"): True,
        (A, EU, "new"): True,
        (A, US, "a3"): False,
        (B, EU, "b1"): True,
        (C, US, "c1"): True,
    }
    assert night.outcomes_of(FIRST)[A, US] == "ACCESS_DENIED"
    for name, table in (("scan_targets", SCAN_TARGETS), ("repositories", REPOSITORIES)):
        unplanned = [row for row in before[name] if row["account_id"] != A]
        assert [row for row in night.rows(FIRST, table) if row["account_id"] != A] == unplanned


def test_an_upgrade_between_two_steps_of_a_night_keeps_earlier_files(night: FakeOrganization, scope: MakeScope) -> None:
    """The parts of its batches, and its snapshot, lack the columns that came since."""
    plan_id = run(night, FIRST).details["plan_id"]

    def lack(path: str | Path, table: LakeTable) -> None:
        metadata = pq.read_schema(path).metadata
        rows = pq.read_table(path, partitioning=None).drop_columns(list(table.added))
        pq.write_table(rows.replace_schema_metadata(metadata), path)

    root = Path(night.lake.root)
    for table in (SCAN_TARGETS, REPOSITORIES):
        for part in root.glob(f"_parts/{plan_id}/{table.name}-*.parquet"):
            lack(part, table)
    commit = commit_snapshot(night.lake, plan_id)
    assert {row["throttles"] for row in night.rows(FIRST, SCAN_TARGETS)} == {None}

    for table in (ACCOUNTS, SCAN_TARGETS, REPOSITORIES):
        [path] = night.lake.locations(commit, table)
        lack(path, table)
    file = root / f"_commits/inventory/{FIRST}.json"
    before = min(SCAN_TARGETS.added.values()) - 1
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "schema_version": before}), "utf-8")
    run(night, FIRST, scope=scope(accounts=[A]))
    throttles = {row["account_id"]: row["throttles"] for row in night.rows(FIRST, SCAN_TARGETS)}
    assert throttles == {HUB: None, A: 0, B: None, C: None}
    # Tags were read with their repositories then, and nothing else is known.
    assert {name: read_on for name, (_, read_on) in night.tags_of(FIRST).items()} == dict.fromkeys(
        ["a1", "a2", "a3", "b1", "c1"], FIRST
    )


def test_a_run_limited_to_a_region_leaves_the_accounts_other_regions_as_they_are(
    night: FakeOrganization, scope: MakeScope
) -> None:
    run(night, FIRST)
    night.repositories = {}
    run(night, FIRST, scope=scope(regions=[US]))
    assert night.observed(FIRST) == {(A, EU, "a1"): True, (A, EU, "a2"): True, (B, EU, "b1"): True}


def test_two_limited_runs_of_a_day_add_up(night: FakeOrganization, scope: MakeScope) -> None:
    run(night, FIRST)
    night.outcomes = {(A, EU): Outcome.FAILED, (B, EU): Outcome.FAILED}
    run(night, SECOND)
    night.outcomes = {}
    run(night, SECOND, scope=scope(accounts=[A]))
    run(night, SECOND, scope=scope(accounts=[B]))
    assert set(night.outcomes_of(SECOND).values()) == {"COLLECTED"}
    assert set(night.observed(SECOND).values()) == {True}


def test_a_limited_run_on_a_day_without_a_snapshot_carries_the_rest_over_as_not_observed(
    night: FakeOrganization, scope: MakeScope
) -> None:
    run(night, FIRST)
    run(night, SECOND, scope=scope(accounts=[A], regions=[EU]))
    assert night.outcomes_of(SECOND) == {(A, EU): "COLLECTED"}
    assert {key for key, observed in night.observed(SECOND).items() if observed} == {(A, EU, "a1"), (A, EU, "a2")}
    assert len(night.observed(SECOND)) == 5


def everything_denied(night: FakeOrganization) -> None:
    night.outcomes = {(each, region): Outcome.ASSUME_ROLE_DENIED for each in (A, B, C) for region in (EU, US)}


@pytest.mark.parametrize("limited_to", [[], [A], [A, HUB]])
def test_when_no_member_could_be_read_nothing_is_committed(
    night: FakeOrganization, scope: MakeScope, limited_to: list[str]
) -> None:
    """The hub, which is read with its own credentials, proves nothing."""
    run(night, FIRST)
    committed = night.lake.read_commit("inventory", FIRST)
    everything_denied(night)
    for day in (FIRST, SECOND):
        with pytest.raises(NothingCollectedError, match="No target of a member account was collected") as caught:
            run(night, day, scope=scope(accounts=limited_to))
        assert f"{2 if limited_to else 6} ASSUME_ROLE_DENIED" in str(caught.value)
        assert "ECR_AUDIT_ROLE_NAME" in str(caught.value)
    assert night.lake.snapshot_dates("inventory") == [FIRST]
    assert night.lake.read_commit("inventory", FIRST) == committed


def test_a_night_that_could_read_nothing_although_accounts_are_active_is_an_error(
    night: FakeOrganization, scope: MakeScope
) -> None:
    """ECR_AUDIT_REGIONS names only regions that nobody has enabled: the run fails, and yesterday's state stays."""
    run(night, FIRST)
    night.outcomes = {(each, region): Outcome.REGION_DISABLED for each in (HUB, A, B, C) for region in (EU, US)}
    with pytest.raises(NothingCollectedError, match=r"None of 4 active accounts has enabled .* ECR_AUDIT_REGIONS"):
        run(night, SECOND)
    assert night.lake.snapshot_dates("inventory") == [FIRST]
    # A run that was limited to such regions has found out what it was to.
    run(night, FIRST, scope=scope(regions=[US]))
    assert night.outcomes_of(FIRST)[A, US] == "REGION_DISABLED"
    assert night.outcomes_of(FIRST)[A, EU] == "COLLECTED"


def test_missing_and_left_out_accounts_and_regions_are_kept_with_the_commit(night: FakeOrganization) -> None:
    commit = run(night, FIRST, accounts=(A, "999999999999"), regions=(EU, "eu-west-9"))
    assert commit.details["missing_accounts"] == ["999999999999"]
    assert commit.details["missing_regions"] == ["eu-west-9"]
    assert commit.details["left_out_accounts"] == [HUB, B, C]
    assert commit.details["left_out_regions"] == [US]
    assert set(night.outcomes_of(FIRST)) == {(A, EU)}
    assert run(night, FIRST).details["missing_accounts"] == []


def test_when_nothing_could_be_read_the_advice_follows_the_errors(night: FakeOrganization) -> None:
    night.outcomes = {(each, region): Outcome.FAILED for each in (A, B, C) for region in (EU, US)}
    night.errors = {(A, EU): ("RegionDisabledException", "STS is not activated in this region for account:2")}
    with pytest.raises(NothingCollectedError) as caught:
        run(night, FIRST)
    reported = str(caught.value)
    assert "6 FAILED" in reported
    assert "Set AWS_REGION to a region whose STS is active" in reported
    assert "ECR_AUDIT_ROLE_NAME" not in reported


def test_one_member_is_enough(night: FakeOrganization) -> None:
    everything_denied(night)
    del night.outcomes[C, EU]
    run(night, FIRST)
    assert night.lake.snapshot_dates("inventory") == [FIRST]


def test_an_organization_of_the_hub_alone_is_committed(night: FakeOrganization) -> None:
    night.accounts = night.accounts[:1]
    run(night, FIRST)
    assert set(night.outcomes_of(FIRST)) == {(HUB, EU), (HUB, US)}


def test_a_run_over_inactive_accounts_only_is_committed(night: FakeOrganization, scope: MakeScope) -> None:
    night.add("500000000000", state="SUSPENDED")
    run(night, FIRST, scope=scope(accounts=["500000000000"]))
    assert set(night.outcomes_of(FIRST).values()) == {"ACCOUNT_INACTIVE"}


def test_all_batches_lost_is_nothing_collected(night: FakeOrganization) -> None:
    with pytest.raises(NothingCollectedError, match="6 FAILED"):
        run(night, FIRST, lost=range(4))


def test_earlier_plans_are_removed_and_the_present_one_kept(night: FakeOrganization) -> None:
    """And what versions before 6 left, which kept all that under another name."""
    stale, _ = night.plan(FIRST)
    for left in ("20261101T020000000000-abcdef/plan.json", "compliance/2026-11-01/evaluation.json"):
        path = Path(night.lake.root, "_staging", left)
        path.parent.mkdir(parents=True)
        path.touch()
    commit = run(night, FIRST)
    assert night.lake.storage.folders("_parts") == [commit.details["plan_id"]]
    assert not Path(night.lake.root, "_staging").exists()
    assert stale.plan_id != commit.details["plan_id"]


def test_a_later_plan_and_files_of_other_writers_are_left_alone(night: FakeOrganization) -> None:
    mine, batches = night.plan(FIRST)
    for batch in batches:
        scan_batch(night.lake, night.hub, mine.plan_id, batch, Settings())
    later, _ = night.plan(FIRST)
    with (
        night.lake.storage.scratch(f"{later.plan_id}-batch-0") as scanning,
        night.lake.storage.scratch("compliance-2026-03-01") as other,
    ):
        commit_snapshot(night.lake, mine.plan_id)
        assert night.lake.storage.folders("_parts") == [mine.plan_id, later.plan_id]
        assert scanning.exists()
        assert other.exists()


def test_an_earlier_snapshot_of_several_files_is_carried_over(night: FakeOrganization) -> None:
    run(night, FIRST)
    before = night.rows(FIRST, REPOSITORIES)
    cut_into_files(night.lake, "inventory", FIRST, REPOSITORIES)
    night.outcomes = {(A, region): Outcome.ASSUME_ROLE_DENIED for region in (EU, US)}
    run(night, SECOND)
    after = night.rows(SECOND, REPOSITORIES)
    assert [row["repository_arn"] for row in after] == [row["repository_arn"] for row in before]
    assert {row["observed"] for row in after if row["account_id"] == A} == {False}


def test_a_damaged_earlier_snapshot_is_named_and_nothing_is_committed(night: FakeOrganization) -> None:
    commit = run(night, FIRST)
    [path] = night.lake.locations(commit, REPOSITORIES)
    with open(path, "r+b") as file:  # noqa: PTH123
        file.truncate(50)
    with pytest.raises(LakeError, match=path):
        run(night, SECOND)
    assert night.lake.snapshot_dates("inventory") == [FIRST]


def test_coverage_leaves_out_disabled_regions_and_inactive_accounts(night: FakeOrganization) -> None:
    night.add("500000000000", state="SUSPENDED")
    night.outcomes = {
        (A, EU): Outcome.REGION_DISABLED,
        (A, US): Outcome.ACCESS_DENIED,
        (B, EU): Outcome.FAILED,
        (B, US): Outcome.FAILED,
    }
    found = coverage(night.lake, run(night, FIRST))
    # Ten targets, of which two are in the suspended account and one in a disabled region.
    assert found == Coverage(collected=4, countable=7, not_collected={"ACCESS_DENIED": 1, "FAILED": 2})
    assert found.share == pytest.approx(4 / 7)
    assert Coverage(0, 0, {}).share == 1.0
