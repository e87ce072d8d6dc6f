"""Whole nights against the emulated AWS: the snapshot agrees with the world."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from aiohttp.web import BaseRequest

from demo.emulated_aws.faults import Fault, Faults, Refuse, Throttle
from demo.emulated_aws.protocols import Call, Service
from demo.emulated_aws.server import EmulatedAws
from demo.emulated_aws.world import Repository, stored
from demo.organization import EXTERNAL_ID, demo_world
from ecr_audit.aws.ecr.facets import FACETS
from ecr_audit.inventory import scan as scanning
from ecr_audit.inventory.commit import NothingCollectedError, commit_snapshot
from ecr_audit.inventory.coverage import Coverage, coverage
from ecr_audit.inventory.plan import ScanScope
from ecr_audit.lake.schemas import ACCOUNTS, REPOSITORIES, SCAN_TARGETS

from .conftest import Audit, MakeAudit, MakeWorld

DAY, NEXT_DAY = date(2026, 3, 1), date(2026, 3, 2)
HUB, FIRST_MEMBER = "100000000000", "100000000001"
PROGRESS = re.compile(
    r"batch \d+: (\d+) of (\d+) targets, (\d+) repositories, (\d+) throttled calls, \d+ targets/s, (\d+) s left"
)
# Columns in which two runs that saw the same differ.
TIMES = (
    *("started_at", "duration_ms", "collected_at", "details_read_at", "request_id"),
    *(declaration.read_at for declaration in FACETS),
)


def rows_without_times(audit: Audit, day: date = DAY) -> dict[str, list[dict[str, Any]]]:
    return {
        table.name: [{column: row[column] for column in row if column not in TIMES} for row in audit.rows(table, day)]
        for table in (ACCOUNTS, SCAN_TARGETS, REPOSITORIES)
    }


def parquet_files(audit: Audit, day: date = DAY) -> dict[str, list[str]]:
    return {
        table.name: audit.lake.storage.files(f"{table.name}/snapshot_date={day}")
        for table in (ACCOUNTS, SCAN_TARGETS, REPOSITORIES)
    }


@pytest.fixture
def trail(monkeypatch: pytest.MonkeyPatch) -> dict[str, Call]:
    """The calls that the emulated AWS was asked for, by request id, as CloudTrail has them."""
    calls = {}
    answer = EmulatedAws.answer

    async def note(aws: EmulatedAws, call: Call, service: Service, request: BaseRequest, request_id: str) -> bytes:
        calls[request_id] = call
        return await answer(aws, call, service, request, request_id)

    monkeypatch.setattr(EmulatedAws, "answer", note)
    return calls


def assert_ids_of_calls_true(audit: Audit, trail: dict[str, Call]) -> None:
    """Each target has the id of the call that decided how it ended, made in its account and region."""
    rows = audit.scan_targets().values()
    for row in rows:
        if row["outcome"] in ("COLLECTED", "ACCESS_DENIED"):
            call = trail[row["request_id"]]
            made = (call.operation, call.account_id, call.region)
            assert made == ("DescribeRepositories", row["account_id"], row["region"])
        elif row["outcome"] == "ASSUME_ROLE_DENIED":
            call = trail[row["request_id"]]
            assert (call.operation, call.parameters["RoleArn"].split(":")[4]) == ("AssumeRole", row["account_id"])
        else:
            assert (row["outcome"], row["request_id"]) in {("ACCOUNT_INACTIVE", None), ("REGION_DISABLED", None)}
    assert {"COLLECTED", "ACCESS_DENIED", "ASSUME_ROLE_DENIED"} < {row["outcome"] for row in rows}


def test_both_nights_of_the_demo_are_seen_as_they_are(audit_of: MakeAudit, trail: dict[str, Call]) -> None:
    audit = audit_of(demo_world(1, today=NEXT_DAY), external_id=EXTERNAL_ID, batch_accounts=10)
    audit.run(DAY)
    audit.assert_true(DAY)
    audit.assert_accounts_true(DAY)
    assert_ids_of_calls_true(audit, trail)
    seen_before = {row["repository_arn"]: row for row in audit.rows(REPOSITORIES, DAY)}

    audit.aws.world = demo_world(2, today=NEXT_DAY)
    commit = audit.run(NEXT_DAY)
    audit.assert_true(NEXT_DAY)
    audit.assert_accounts_true(NEXT_DAY)
    # Accounts that went dark overnight are kept as last seen.
    unobserved = [row for row in audit.rows(REPOSITORIES, NEXT_DAY) if not row["observed"]]
    dark = {target for target, row in audit.scan_targets(NEXT_DAY).items() if row["outcome"] != "COLLECTED"}
    assert unobserved == [
        {**row, "observed": False} for row in seen_before.values() if (row["account_id"], row["region"]) in dark
    ]
    assert len(unobserved) == 31
    found = coverage(audit.lake, commit)
    outcomes = [audit.aws.world.outcome(*target) for target in audit.aws.world.targets()]
    assert found == Coverage(
        outcomes.count("COLLECTED"),
        len(outcomes) - outcomes.count("ACCOUNT_INACTIVE") - outcomes.count("REGION_DISABLED"),
        {name: outcomes.count(name) for name in ("ASSUME_ROLE_DENIED", "ACCESS_DENIED")},
    )


def test_a_second_run_of_a_day_gives_the_same_and_leaves_no_second_copy(
    audit_of: MakeAudit, organization_of: MakeWorld
) -> None:
    audit = audit_of(organization_of(), batch_accounts=5)
    audit.run()
    before, files = rows_without_times(audit), parquet_files(audit)
    audit.run()
    assert rows_without_times(audit) == before
    after = parquet_files(audit)
    assert {name: len(names) for name, names in after.items()} == dict.fromkeys(after, 1)
    assert all(after[name] != files[name] for name in after)


def test_how_the_accounts_are_cut_into_batches_changes_nothing(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    world = organization_of(5)
    # On each night everything is read, so that both take the same calls.
    audit = audit_of(world, batch_accounts=1, collect_rotation_nights=1)
    audit.run(DAY)
    audit_of(world, batch_accounts=25, collect_rotation_nights=1).run(NEXT_DAY)
    assert rows_without_times(audit, DAY) == rows_without_times(audit, NEXT_DAY)


def test_the_costs_of_targets_add_up_to_the_calls_that_were_made(
    audit_of: MakeAudit, organization_of: MakeWorld
) -> None:
    audit = audit_of(organization_of(), collect="all", collect_rotation_nights=1)
    audit.run()
    made = audit.aws.counters.operations
    member_calls = (
        made["sts:AssumeRole"]
        + made["ec2:DescribeRegions"]
        - 1  # the hub's own, at planning
        + sum(count for name, count in made.items() if name.startswith(("ecr:", "tagging:", "kms:")))
    )
    rows = audit.scan_targets().values()
    assert sum(row["api_calls"] for row in rows) == member_calls
    assert made["sts:AssumeRole"] == 12
    assert {row["retries"] for row in rows} == {0}
    # Tags only where there are repositories; a region that is not enabled is not called at all.
    world = audit.aws.world
    collected = [target for target in world.targets() if world.outcome(*target) == "COLLECTED"]
    assert made["ecr:DescribeRepositories"] == len(collected)
    assert made["tagging:GetResources"] == sum(bool(world.repositories(*target)) for target in collected)


def test_a_batch_logs_its_progress(
    audit_of: MakeAudit, organization_of: MakeWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scanning, "PROGRESS_SECONDS", 0)
    caplog.set_level(logging.INFO, scanning.__name__)
    audit = audit_of(organization_of(24), Fault(Throttle(), operation="DescribeRepositories", probability=0.3))
    plan_id, (batch,) = audit.plan()
    audit.scan(plan_id, batch)
    commit_snapshot(audit.lake, plan_id)
    reported = [found.groups() for line in caplog.messages if (found := PROGRESS.fullmatch(line))]
    done = [int(targets) for targets, *_ in reported]
    assert done == sorted(done) and len(set(done)) > 1
    rows = audit.scan_targets().values()
    whole = len(rows), sum(row["repository_count"] or 0 for row in rows), sum(row["throttles"] for row in rows)
    assert tuple(int(number) for number in (done[-1], *reported[-1][2:4])) == whole
    assert {int(planned) for _, planned, *_ in reported} == {len(rows)}
    assert reported[-1][4:] == ("0",) and whole[2] > 0


def test_connections_are_shared_by_all_accounts(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    audit = audit_of(organization_of(24), concurrency=4)
    plan_id, (batch,) = audit.plan()
    before = audit.aws.counters.connections
    assert audit.scan(plan_id, batch).targets == 25 * 3
    # Four threads; ECR and tagging in three regions, STS and EC2 in the hub's. And the one that asks who the hub is.
    assert audit.aws.counters.connections - before <= 4 * (2 * 3 + 2) + 1


def test_a_batch_that_is_scanned_again_reads_only_failed_targets(
    audit_of: MakeAudit, organization_of: MakeWorld
) -> None:
    audit = audit_of(organization_of(), batch_accounts=25)
    broken, dark = ("100000000003", "eu-west-1"), ("100000000005", "us-east-1")
    refuse = Refuse("KmsException", "no"), Refuse("AccessDeniedException", "no")
    audit.aws.faults = Faults(
        [
            Fault(effect, service="ecr", account=account_id, region=region)
            for effect, (account_id, region) in zip(refuse, (broken, dark), strict=True)
        ]
    )
    plan_id, (batch,) = audit.plan()
    first = audit.scan(plan_id, batch)
    assert (first.outcomes["FAILED"], first.outcomes["ACCESS_DENIED"]) == (1, 1)

    audit.aws.faults = Faults()
    audit.aws.counters.targets.clear()
    again = audit.scan(plan_id, batch)
    assert {target for target, calls in audit.aws.counters.targets.items() if calls} == {broken, dark}
    assert again.targets == first.targets
    assert set(again.outcomes) == {"COLLECTED", "REGION_DISABLED"}
    commit_snapshot(audit.lake, plan_id)
    audit.assert_true()


def test_a_batch_that_is_scanned_again_with_everything_settled_makes_no_call(
    audit_of: MakeAudit, organization_of: MakeWorld
) -> None:
    audit = audit_of(organization_of())
    plan_id, (batch,) = audit.plan()
    first = audit.scan(plan_id, batch)
    calls = audit.aws.counters.operations.total()
    assert audit.scan(plan_id, batch) == first
    # Only who the hub is.
    assert audit.aws.counters.operations.total() == calls + 1
    commit_snapshot(audit.lake, plan_id)
    audit.assert_true()


@pytest.mark.parametrize("wrong", [{"role_name": "ecr-audti"}, {"external_id": "wrong"}, {"external_id": None}])
def test_a_total_failure_commits_nothing_and_yesterday_stays(
    audit_of: MakeAudit, organization_of: MakeWorld, wrong: dict[str, str | None]
) -> None:
    world = organization_of(external_id="right")
    audit = audit_of(world, external_id="right")
    audit.run(DAY)
    before = rows_without_times(audit, DAY)
    mistaken = audit_of(world, **{"external_id": "right", **wrong})
    for day in (DAY, NEXT_DAY):
        with pytest.raises(NothingCollectedError, match=r"\(36 ASSUME_ROLE_DENIED\); nothing is committed"):
            mistaken.run(day)
    assert audit.lake.snapshot_dates("inventory") == [DAY]
    assert rows_without_times(audit, DAY) == before


def test_limits_narrow_the_calls(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    audit = audit_of(organization_of())
    audit.run(scope=ScanScope(ous=["ou-demo-00000002"], regions=["us-east-1"]))
    shop = {account.id for account in audit.aws.world.accounts.values() if account.parent_id == "ou-demo-00000002"}
    assert set(audit.scan_targets()) == {(account_id, "us-east-1") for account_id in shop}
    assert {region for _, region in audit.aws.counters.targets} == {"us-east-1"}
    # No opt-in region is wanted, so nobody is asked which ones are enabled.
    assert audit.aws.counters.operations["ec2:DescribeRegions"] == 1
    audit.assert_accounts_true()


def test_a_suspended_account_is_not_entered(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    world = organization_of(3)
    suspended = replace(world.accounts[FIRST_MEMBER], state="SUSPENDED")
    world = replace(world, accounts={**world.accounts, suspended.id: suspended})
    audit = audit_of(world)
    audit.run()
    audit.assert_true()
    assert audit.aws.counters.operations["sts:AssumeRole"] == 2


ODD_NAMES = [
    "say \"hi\" & 'bye'",
    "two\nlines\tand\r\nmore",
    "<script>alert(1)</script>",
    '=HYPERLINK("https://example.com")',
    "Lagerhaus München - ロジスティクス 🚚",
    "'; DROP TABLE accounts; --",
    " ",
    "",
]
ODD_REPOSITORIES = [
    Repository("unknown/value", image_tag_mutability="IMMUTABLE_AFTER_SCAN"),
    Repository("odd/spelling", image_tag_mutability=" immutable "),
    Repository("empty/value", image_tag_mutability=""),
    Repository("missing/field", image_tag_mutability=None),
    Repository("a" * 256, image_tag_mutability="IMMUTABLE_WITH_EXCLUSION", exclusion_filters=("*", "v*.*", "_x-1")),
    Repository("kms/key", encryption_type="KMS", kms_key="arn:aws:kms:us-east-1:100000000001:key/1"),
    Repository("old/one", created_at=1_442_880_000.123456),
    Repository("odd/tags", tags={"owner": "Zoë & <b>co</b>", "": "empty", "quote\"'": "=1+1", "n\nl": ""}),
]


def test_odd_data_come_through_unchanged(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    world = organization_of(len(ODD_NAMES))
    named = {
        account.id: replace(account, name=name)
        for account, name in zip(list(world.accounts.values())[1:], ODD_NAMES, strict=True)
    }
    world = replace(
        world,
        accounts={**world.accounts, **named},
        repository_source=stored({(FIRST_MEMBER, "us-east-1"): ODD_REPOSITORIES, (HUB, "eu-west-1"): ODD_REPOSITORIES}),
    )
    audit = audit_of(world)
    audit.run()
    audit.assert_true()
    audit.assert_accounts_true()


def test_tags_that_are_denied_lose_no_repository_and_are_reported(
    audit_of: MakeAudit, organization_of: MakeWorld
) -> None:
    denied = Fault(Refuse("AccessDeniedException", "tag:GetResources is not allowed"), service="tagging")
    audit = audit_of(organization_of(), denied)
    audit.run()
    audit.assert_true(tags=False)
    for target, row in audit.scan_targets().items():
        assert (row["error_code"], row["error_message"]) == (None, None), target
        lost = {"facet": "tags", "error_code": "AccessDeniedException", "objects": row["repository_count"]}
        reported = [{**lost, "error_message": "tag:GetResources is not allowed"}] if row["repository_count"] else []
        assert (row["facets_failed"] or []) == reported, target


def test_tags_that_are_not_wanted_are_not_asked_for(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    audit = audit_of(organization_of(), collect="none")
    audit.run()
    audit.assert_true(tags=False)
    assert audit.aws.counters.operations["tagging:GetResources"] == 0


def test_an_error_is_reported_in_aws_words(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    world = organization_of(2)
    closed = replace(world.accounts[FIRST_MEMBER], denied_regions=frozenset({"eu-west-1"}))
    dark = replace(world.accounts["100000000002"], assumable=False)
    audit = audit_of(replace(world, accounts={**world.accounts, closed.id: closed, dark.id: dark}))
    audit.run()
    rows = audit.scan_targets()
    assert rows[closed.id, "eu-west-1"]["error_code"] == "AccessDeniedException"
    assert "explicit deny in a service control policy" in rows[closed.id, "eu-west-1"]["error_message"]
    assert rows[dark.id, "eu-west-1"]["error_code"] == "AccessDenied"
    assert "not authorized to perform: sts:AssumeRole" in rows[dark.id, "eu-west-1"]["error_message"]
