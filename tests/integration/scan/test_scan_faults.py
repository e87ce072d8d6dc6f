"""The fault matrix: whatever goes wrong, every target has its true outcome and every repository is there.

Each test starts from a world, breaks something, and compares the snapshot with the truth. What is not named in the
test must be as in an undisturbed scan.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from demo.emulated_aws.faults import (
    Delay,
    Effect,
    EmptyPage,
    Expire,
    Fault,
    Hang,
    RateLimit,
    Refuse,
    Reset,
    ServerError,
    Throttle,
    TruncatedBody,
)
from demo.emulated_aws.world import Repository, World, stored
from demo.large import large_world
from ecr_audit.aws.access import use_access
from ecr_audit.aws.regions import ALWAYS_ENABLED
from ecr_audit.inventory.plan import ScanScope

from .conftest import MakeAudit, MakeWorld, Target

HUB, OPT_IN = "100000000000", "me-south-1"
THIRD, FOURTH = "100000000003", "100000000004"
# The calls that a scan consists of, in that order.
OPERATIONS = ("AssumeRole", "DescribeRepositories", "GetResources")


def changed(world: World, account_id: str, **changes: Any) -> World:
    """The world with something changed about one account."""
    return replace(world, accounts={**world.accounts, account_id: replace(world.accounts[account_id], **changes)})


def targets_of(world: World, account_id: str) -> list[Target]:
    return [target for target in world.targets() if target[0] == account_id]


# Denials: lasting, and set in the world itself.


def test_a_twentieth_of_the_accounts_cannot_be_entered(audit_of: MakeAudit) -> None:
    audit = audit_of(large_world(60, 3, occupied_share=0.4, repositories_per_target=3, unassumable_share=0.05))
    audit.run()
    audit.assert_true()
    assert 0 < sum(row["outcome"] == "ASSUME_ROLE_DENIED" for row in audit.scan_targets().values()) < 30


def test_a_region_is_denied_to_some_accounts(audit_of: MakeAudit) -> None:
    audit = audit_of(large_world(40, 3, occupied_share=0.4, repositories_per_target=3, denied_share=0.2))
    audit.run()
    audit.assert_true()
    assert 0 < sum(row["outcome"] == "ACCESS_DENIED" for row in audit.scan_targets().values()) < 60


def test_an_opt_in_region_is_disabled_in_most_accounts(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    audit = audit_of(organization_of(20))
    audit.run()
    audit.assert_true()
    outcomes = [row["outcome"] for (_, region), row in audit.scan_targets().items() if region == OPT_IN]
    assert (outcomes.count("COLLECTED"), outcomes.count("REGION_DISABLED")) == (6, 15)


@pytest.mark.parametrize("effect", [Refuse("UnauthorizedOperation", "no", 403), TruncatedBody(), ServerError(500)])
def test_members_that_deny_their_regions_have_each_tried(
    audit_of: MakeAudit, organization_of: MakeWorld, effect: Refuse | TruncatedBody | ServerError
) -> None:
    world = organization_of(9)
    audit = audit_of(world, *(Fault(effect, service="ec2", account=each) for each in world.accounts if each != HUB))
    audit.run()
    audit.assert_true()


def test_regions_are_found_even_when_nobody_may_be_asked(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    """The hub goes by botocore's list, and each region is tried in each account.

    The world has but a few of them. A region that it does not have knows nobody's credentials: when ECR and STS agree
    on that in a region that an account can disable, the account has; of one that nobody can disable, it is a fault, and
    stays within coverage. (Only STS knows the hub in all of them: it has to sign for some region.)
    """
    world = organization_of(3)
    audit = audit_of(world, Fault(Refuse("UnauthorizedOperation", "no", 403), service="ec2"))
    audit.run()
    rows = audit.scan_targets()
    assert {target: rows[target]["outcome"] for target in world.targets()} == {
        target: world.outcome(*target) for target in world.targets()
    }
    beyond = {target: row["outcome"] for target, row in rows.items() if target not in set(world.targets())}
    assert {outcome for (_, region), outcome in beyond.items() if region in ALWAYS_ENABLED} == {"FAILED"}
    opt_in = {target: outcome for target, outcome in beyond.items() if target[1] not in ALWAYS_ENABLED}
    assert {outcome for (account, _), outcome in opt_in.items() if account != HUB} == {"REGION_DISABLED"}
    assert {outcome for (account, _), outcome in opt_in.items() if account == HUB} == {"FAILED"}


def test_the_regions_in_which_the_hubs_own_token_is_valid_are_unknown(
    audit_of: MakeAudit, organization_of: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the global STS endpoint is answered as one of an account that has not enabled the region."""
    audit = audit_of(organization_of(1), Fault(Refuse("UnauthorizedOperation", "no", 403), service="ec2", account=HUB))
    plan_id, (batch,) = audit.plan(scope=ScanScope(accounts=[HUB], regions=[OPT_IN]))
    key_id, session = audit.aws.identities.issue(HUB, "ecr-audit-hub", "hub", 3600)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", session.secret_access_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", session.session_token)
    use_access(None)  # as in the process of another task
    assert audit.scan(plan_id, batch).outcomes == {"FAILED": 1}


UNKNOWN = Refuse("UnrecognizedClientException", "The security token included in the request is invalid.")


@pytest.mark.parametrize("is_asked", [True, False])
def test_an_enabled_region_that_knows_no_credentials_stays_in_coverage(
    audit_of: MakeAudit, organization_of: MakeWorld, is_asked: bool
) -> None:
    """Whether the account says that the region is enabled, or nobody could ask: the error may mean something else."""
    faults = [Fault(UNKNOWN, service="ecr", account=THIRD, region=OPT_IN)]
    if not is_asked:
        faults += [Fault(Refuse("UnauthorizedOperation", "no", 403), service="ec2", account=THIRD)]
    audit = audit_of(organization_of(), *faults)
    audit.run()
    audit.assert_true(outcomes={(THIRD, OPT_IN): "FAILED"})
    assert audit.scan_targets()[THIRD, OPT_IN]["error_code"] == "UnrecognizedClientException"


def test_an_scp_that_closes_the_hubs_region_hides_no_other(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    """DescribeRegions is denied there too; the account's opt-in region is found all the same."""
    audit = audit_of(changed(organization_of(), THIRD, denied_regions=frozenset({"us-east-1"})))
    audit.run()
    audit.assert_true()


# Passing faults: the snapshot must be as if nothing had been.


def test_nearly_a_third_of_all_calls_are_throttled(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    audit = audit_of(organization_of(20), *(Fault(Throttle(), operation=each, probability=0.3) for each in OPERATIONS))
    audit.run()
    audit.assert_true()
    rows = audit.scan_targets().values()
    assert sum(row["throttles"] for row in rows) == sum(row["retries"] for row in rows) > 10


@pytest.mark.parametrize(
    "effect", [ServerError(500), ServerError(503), Reset(), TruncatedBody()], ids=lambda each: repr(each)
)
def test_many_calls_fail_in_passing(
    audit_of: MakeAudit, organization_of: MakeWorld, effect: ServerError | Reset | TruncatedBody
) -> None:
    """Every third, but no more than four of an account in a region: the fifth attempt would be the last."""
    faults = (Fault(effect, operation=each, probability=0.3, times=4) for each in OPERATIONS)
    audit = audit_of(organization_of(20), *faults)
    audit.run()
    audit.assert_true()
    assert sum(row["retries"] for row in audit.scan_targets().values()) > 0


@pytest.mark.parametrize(
    "effect", [Throttle(), ServerError(503), Reset(), TruncatedBody()], ids=lambda each: type(each).__name__
)
def test_the_first_calls_of_each_target_go_wrong(
    audit_of: MakeAudit, organization_of: MakeWorld, effect: Effect
) -> None:
    """A burst of each service: three in a row, for every account and region."""
    world = organization_of(6)
    members = [each for each in world.accounts if each != HUB]
    faults = [
        Fault(effect, service, account=each, times=3) for service in ("ec2", "ecr", "tagging") for each in members
    ]
    # AssumeRole is called by the hub, as are all of its own calls: there the burst is of three in all.
    faults.append(Fault(effect, operation="AssumeRole", times=3))
    audit = audit_of(world, *faults)
    audit.run()
    audit.assert_true()
    rows = audit.scan_targets()
    retries, throttles = (sum(row[cost] for row in rows.values()) for cost in ("retries", "throttles"))
    # ECR's and those of the tags, in each target of a member that was read.
    assert retries >= 2 * 3 * sum(row["repository_count"] is not None for (each, _), row in rows.items() if each != HUB)
    assert throttles == (retries if isinstance(effect, Throttle) else 0)
    assert {row["error_code"] for row in rows.values()} == {None}


def test_a_real_rate_limit_per_account_and_region_is_kept_to(audit_of: MakeAudit) -> None:
    audit = audit_of(
        large_world(10, 2, occupied_share=1, repositories_per_target=3),
        Fault(RateLimit(rate=50, burst=1), service="ecr"),
        Fault(RateLimit(rate=200, burst=2), operation="AssumeRole"),
    )
    audit.run()
    audit.assert_true()


def test_slow_answers_are_waited_for(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    audit = audit_of(organization_of(4), Fault(Delay(0.3), service="ecr"), concurrency=32)
    audit.run()
    audit.assert_true()
    assert audit.aws.counters.max_in_flight > 8


def test_credentials_that_expire_early_are_renewed(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    """AssumeRole announced an hour; yet the first call of each service, account and region finds them expired."""
    world = organization_of(6)
    audit = audit_of(world, *(Fault(Expire(after=0), service=each, times=1) for each in ("ec2", "ecr", "tagging")))
    audit.run()
    audit.assert_true()
    assert audit.aws.counters.operations["sts:AssumeRole"] >= 6 + 6
    struck = [row for (account_id, _), row in audit.scan_targets().items() if account_id != HUB and row["api_calls"]]
    assert all(row["retries"] >= 1 for row in struck if row["outcome"] == "COLLECTED")


def test_empty_pages_hide_no_repository(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    audit = audit_of(
        organization_of(6),
        Fault(EmptyPage(), operation="DescribeRepositories", times=1),
        Fault(EmptyPage(), operation="GetResources", times=1),
    )
    audit.run()
    audit.assert_true()


def test_a_target_of_a_hundred_thousand_repositories_is_read_to_the_last(
    audit_of: MakeAudit, organization_of: MakeWorld
) -> None:
    tags = [{"owner": f"team-{number % 9}"} if number % 12 == 0 else None for number in range(100_001)]
    many = [Repository(f"service-{number:05}", tags=each) for number, each in enumerate(tags)]
    world = replace(organization_of(4), repository_source=stored({(FOURTH, "us-east-1"): many}))
    audit = audit_of(world, collect="tags")
    audit.run()
    audit.assert_true()
    # 1,000 repositories a page, and 100 of those that have tags.
    assert audit.aws.counters.targets[FOURTH, "us-east-1"] == 101 + 84


# Lasting faults of one target or account: an outcome of its own, and no other is touched.


def test_a_throttle_that_never_ends_costs_its_own_targets_only(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    world = organization_of(8)
    audit = audit_of(world, Fault(Throttle(), service="ecr", account=FOURTH), target_seconds=3)
    audit.run()
    struck = [target for target in targets_of(world, FOURTH) if world.outcome(*target) == "COLLECTED"]
    audit.assert_true(outcomes=dict.fromkeys(struck, "THROTTLED"))
    for target in struck:
        row = audit.scan_targets()[target]
        assert (row["error_code"], row["error_message"]) == ("ThrottlingException", "Rate exceeded")
        assert row["api_calls"] >= row["throttles"] == row["retries"] + 1 > 2


def test_assume_role_that_is_throttled_for_ever_costs_all_members_but_not_the_hub(
    audit_of: MakeAudit, organization_of: MakeWorld
) -> None:
    world = organization_of(3)
    audit = audit_of(world, Fault(Throttle(), operation="AssumeRole"), target_seconds=1)
    plan_id, (batch,) = audit.plan()
    outcomes = audit.scan(plan_id, batch).outcomes
    assert outcomes["THROTTLED"] == 9
    assert outcomes["COLLECTED"] + outcomes["REGION_DISABLED"] == 3


def test_tags_that_are_throttled_for_ever_lose_no_repository(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    audit = audit_of(organization_of(4), Fault(Throttle(), service="tagging"), collect="tags")
    # Until then they are tried: what is listed is safe.
    audit.settings = audit.settings.model_copy(update={"batch_seconds": 2})
    audit.run()
    audit.assert_true(tags=False)
    failures = [each for row in audit.scan_targets().values() for each in row["facets_failed"] or ()]
    assert {each["facet"] for each in failures} == {"tags"}
    assert {each["error_code"] for each in failures} <= {"ThrottledException", "BatchTimeUp"}
    assert len(failures) == sum(bool(row["repository_count"]) for row in audit.scan_targets().values())


@pytest.mark.parametrize(
    ("effect", "code", "message"),
    [
        (ServerError(500), "ServerException", "An internal error occurred."),
        (Reset(), "ClientOSError", "Connection reset by peer"),
        (TruncatedBody(), "ResponseParserError", "describe_repositories"),
        (Refuse("KmsException", "no key"), "KmsException", "no key"),
        (Refuse("UnrecognizedClientException", "invalid token"), "UnrecognizedClientException", "invalid token"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_target_that_stays_broken_failed_with_its_reason(
    audit_of: MakeAudit, organization_of: MakeWorld, effect: Effect, code: str, message: str
) -> None:
    struck = (FOURTH, "eu-west-1")
    audit = audit_of(organization_of(6), Fault(effect, service="ecr", account=FOURTH, region="eu-west-1"))
    audit.run()
    audit.assert_true(outcomes={struck: "FAILED"})
    row = audit.scan_targets()[struck]
    assert row["error_code"] == code
    assert message in row["error_message"]


def test_a_target_that_hangs_failed_and_holds_up_no_other(
    audit_of: MakeAudit, organization_of: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecr_audit.aws.endpoints.READ_SECONDS", 1)
    struck = (FOURTH, "eu-west-1")
    audit = audit_of(organization_of(6), Fault(Hang(), service="ecr", account=FOURTH, region="eu-west-1"))
    audit.run()
    audit.assert_true(outcomes={struck: "FAILED"})
    row = audit.scan_targets()[struck]
    assert row["error_code"] == "SocketTimeoutError"
    assert row["retries"] == 4


def test_a_list_that_breaks_off_midway_is_thrown_away(audit_of: MakeAudit, organization_of: MakeWorld) -> None:
    """Page by page until the third, which is refused: 2,000 repositories read, none of them kept."""
    struck = (FOURTH, "us-east-1")
    many = [Repository(f"service-{number:05}") for number in range(2_500)]
    world = organization_of(4)
    source = world.repository_source
    world = replace(world, repository_source=lambda *target: many if target == struck else source(*target))
    # Strikes from the third call on: each of the first two takes one of two free passes.
    audit = audit_of(world, Fault(RateLimit(rate=1e-9, burst=2), service="ecr", account=FOURTH), target_seconds=1)
    audit.run()
    audit.assert_true(outcomes={struck: "THROTTLED"})


# The batch's own limit of time.


def test_a_batch_writes_its_finished_targets_when_its_time_is_up(
    audit_of: MakeAudit, organization_of: MakeWorld
) -> None:
    """A server that never answers for one account: all others are there, and the function returns."""
    world = organization_of(6)
    audit = audit_of(world, Fault(Hang(), service="ecr", account=FOURTH))
    audit.settings = audit.settings.model_copy(update={"batch_seconds": 10})
    audit.run()
    struck = [target for target in targets_of(world, FOURTH) if world.outcome(*target) == "COLLECTED"]
    audit.assert_true(outcomes=dict.fromkeys(struck, "FAILED"))
    for target in struck:
        row = audit.scan_targets()[target]
        assert row["error_code"] == "BatchTimeUp"
        assert "ECR_AUDIT_BATCH_SECONDS, 10 s" in row["error_message"]
        # The target that hung was called an unknown number of times.
        assert {row[name] for name in ("api_calls", "retries", "throttles", "started_at", "duration_ms")} == {None}


def test_when_nobody_can_be_entered_in_time_every_target_failed(
    audit_of: MakeAudit, organization_of: MakeWorld
) -> None:
    audit = audit_of(organization_of(3), Fault(Hang(), operation="AssumeRole"), concurrency=2)
    audit.settings = audit.settings.model_copy(update={"batch_seconds": 0.5})
    plan_id, (batch,) = audit.plan()
    # Two threads, both of which hang: even the hub, whose entering takes no call, may have to wait.
    assert audit.scan(plan_id, batch).outcomes["FAILED"] >= 9
