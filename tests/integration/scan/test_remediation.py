"""Plans applied over HTTP: the log of writes of an emulated AWS, against the plan that was approved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demo.emulated_aws.faults import Effect, Fault, Faults, Refuse, Reset, Throttle
from demo.emulated_aws.world import Account, Region, Repository, World, stored
from ecr_audit.aws.ecr.mutability import Setting
from ecr_audit.aws.session import connect_hub
from ecr_audit.compliance import steps as compliance
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import PLANNED_CHANGES, REMEDIATION_ACTIONS, REMEDIATION_APPROVALS
from ecr_audit.publish import steps as publish
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.store import newest
from ecr_audit.remediation import proposal, steps
from ecr_audit.remediation.apply import apply_batch
from ecr_audit.remediation.approval import APPROVE, REJECT, Answer, Rules
from ecr_audit.remediation.journal import Journal
from ecr_audit.remediation.plan import RemediationError, RemediationPlan, freeze, read_plan
from ecr_audit.remediation.proposal import planned_rows
from ecr_audit.remediation.record import record
from ecr_audit.remediation.verify import verify
from ecr_audit.settings import load_settings
from support.lakes import committed

from .conftest import DAY, HUB, Audit, MakeAudit

FIRST, SECOND, THIRD = "100000000001", "100000000002", "100000000003"
REGION, ROLE = "eu-west-1", "ecr-audit-remediation"
PLANNED_AT = datetime(2026, 11, 1, 8, tzinfo=UTC)
CREATED_AT = 1_700_000_000.0
# Each with its setting, and the one to give it.
REPOSITORIES: dict[str, tuple[tuple[str, tuple[str, ...]], tuple[str, tuple[str, ...]]]] = {
    "app/api": (("MUTABLE", ()), ("IMMUTABLE", ())),
    "app/web": (("MUTABLE", ()), ("IMMUTABLE_WITH_EXCLUSION", ("latest", "cache*"))),
    "lib/base": (("MUTABLE_WITH_EXCLUSION", ("v*", "1.*")), ("IMMUTABLE", ())),
}
ALL = [(account, name) for account in (FIRST, SECOND, THIRD) for name in REPOSITORIES]


def world(**changed: Mapping[str, Any]) -> World:
    accounts = {each: Account(each, f"a-{each[-1]}", "r-demo") for each in (HUB, FIRST, SECOND, THIRD)}
    for account_id, changes in changed.items():
        accounts[account_id.removeprefix("a")] = replace(accounts[account_id.removeprefix("a")], **changes)
    repositories = {
        (account, REGION): [
            Repository(name, CREATED_AT, mutability, filters)
            for name, ((mutability, filters), _) in REPOSITORIES.items()
        ]
        for account in (FIRST, SECOND, THIRD)
    }
    return World(
        accounts=accounts,
        regions=[Region(REGION)],
        hub_account_id=HUB,
        management_account_id=HUB,
        repository_source=stored(repositories),
        remediation_role_name=ROLE,
    )


def arn(account: str, name: str) -> str:
    return f"arn:aws:ecr:{REGION}:{account}:repository/{name}"


def planned(account: str, name: str) -> dict[str, Any]:
    (current, current_filters), (proposed, proposed_filters) = REPOSITORIES[name]
    return {
        "account_id": account,
        "region": REGION,
        "repository_name": name,
        "repository_arn": arn(account, name),
        "created_at": datetime.fromtimestamp(CREATED_AT, UTC),
        "policy_id": "mutability",
        "rule": "nothing_moved",
        "current_setting": current,
        "current_filters": list(current_filters),
        "proposed_setting": proposed,
        "proposed_filters": list(proposed_filters),
    }


@dataclass
class Remediation:
    """A plan for all repositories, and the steps of its run."""

    audit: Audit
    plan: RemediationPlan

    @property
    def lake(self) -> Lake:
        return self.audit.lake

    @property
    def journal(self) -> Journal:
        return Journal(self.lake, self.plan.plan_id)

    def apply(self, waived: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        for batch in self.plan.batches:
            apply_batch(self.journal, connect_hub(), self.plan, batch, self.audit.settings, "run", waived)

    def verify(self) -> None:
        verify(self.journal, connect_hub(), self.plan, self.audit.settings, "run")

    def record(self, answer: Answer | None = None) -> dict[tuple[str, str], dict[str, Any]]:
        record(self.lake, self.plan, answer or approved(self.plan), Rules(triggered_by="bob"), "run")
        rows = rows_of(self.lake, REMEDIATION_ACTIONS)
        return {(row["account_id"], row["repository_name"]): row for row in rows if row["plan_id"] == self.plan.plan_id}

    def finish(self) -> dict[tuple[str, str], str]:
        self.verify()
        return {key: row["outcome"] for key, row in self.record().items()}

    @property
    def writes(self) -> list[tuple[str, str, Setting]]:
        """The writes, in order; each by the remediation role."""
        writes = self.audit.aws.world.writes
        assert {each.role for each in writes} <= {ROLE}
        return [
            (each.account_id, each.repository_name, Setting(each.image_tag_mutability, each.exclusion_filters))
            for each in writes
        ]

    def assert_written(self, *expected: tuple[str, str]) -> None:
        """Each of these exactly once, with the approved setting, and nothing else."""
        proposed = {(c.row["account_id"], c.row["repository_name"]): c.proposed for c in self.plan.changes}
        assert sorted(self.writes, key=str) == sorted(((*key, proposed[key]) for key in expected), key=str)


def approved(plan: RemediationPlan, **changed: Any) -> Answer:
    answered = Answer(APPROVE, plan.plan_id, "7", "alice", datetime(2026, 11, 1, 9, tzinfo=UTC))
    return replace(answered, **changed)


def rows_of(lake: Lake, table: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.read_table(committed(lake, "remediation", PLANNED_AT.date()), table).to_pylist()
    return rows


# Tests of all that the steps keep in the lake.
ON_BOTH = pytest.mark.parametrize("place", ["a folder", "S3"], indirect=True)
ON_S3 = pytest.mark.parametrize("place", ["S3"], indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the lake is: in a folder, unless a test asks for S3."""
    if getattr(request, "param", "") == "S3":
        return f"s3://{request.getfixturevalue('bucket')}/ecr/lake"
    return str(tmp_path / "lake")


@pytest.fixture
def remediation_of(audit_of: MakeAudit, place: str) -> Callable[..., Remediation]:
    """Starts an AWS with faults and freezes a plan for all of its repositories."""

    def start(*faults: Fault, of: World | None = None) -> Remediation:
        audit = audit_of(of or world(), *faults, remediation_role_name=ROLE)
        audit.lake = Lake(place)
        audit.settings = audit.settings.model_copy(update={"target_seconds": 0.1})
        rows = [planned(*each) for each in ALL]
        plan = freeze(audit.lake, rows, planned_at=PLANNED_AT, canary_accounts=1, batch_accounts=1)
        return Remediation(audit, plan)

    return start


@ON_BOTH
def test_a_plan_is_applied_verified_recorded_and_taken_back(remediation_of: Callable[..., Remediation]) -> None:
    remediation = remediation_of()
    assert remediation.plan.batches == [0, 1, 2]
    remediation.apply()
    remediation.assert_written(*ALL)
    assert {account for account, *_ in remediation.writes[:3]} == {FIRST}  # the canary
    remediation.verify()
    rows = remediation.record()
    assert {row["outcome"] for row in rows.values()} == {"DONE"}
    for (_, name), row in rows.items():
        before, proposed = REPOSITORIES[name]
        found = [(row[f"{when}_setting"], tuple(row[f"{when}_filters"])) for when in ("before", "proposed", "after")]
        assert found == [before, proposed, proposed]
        assert row["approver"] == "alice"
        assert row["verified_at"] >= row["acted_at"]
    [approval] = rows_of(remediation.lake, REMEDIATION_APPROVALS)
    assert (approval["accepted"], approval["answer"], approval["triggered_by"]) == (True, "Approve", "bob")

    undo_rows = proposal.rollback_rows(remediation.lake, remediation.plan.plan_id, proposal.Limits())
    undo_plan = freeze(remediation.lake, undo_rows, planned_at=PLANNED_AT, canary_accounts=0, batch_accounts=9)
    undo = Remediation(remediation.audit, undo_plan)
    remediation.audit.aws.world.writes.clear()
    undo.apply()
    undo.assert_written(*ALL)
    assert set(undo.finish().values()) == {"DONE"}
    for account, name in ALL:
        [now] = [each for each in undo.audit.aws.world.repositories(account, REGION) if each.name == name]
        assert (now.image_tag_mutability, now.exclusion_filters) == REPOSITORIES[name][0]
    # Both plans of the day are there.
    assert {row["rollback_of"] for row in rows_of(undo.lake, REMEDIATION_APPROVALS)} == {None, remediation.plan.plan_id}
    assert len(rows_of(undo.lake, REMEDIATION_ACTIONS)) == 2 * len(ALL)


def test_each_repository_is_looked_at_again_before_it_is_written(remediation_of: Callable[..., Remediation]) -> None:
    remediation = remediation_of()
    aws = remediation.audit.aws.world
    kept = [each for each in aws.repositories(FIRST, REGION) if each.name != "app/web"]
    source = stored({(FIRST, REGION): kept, (THIRD, REGION): [replace(r, created_at=1.0) for r in kept]})
    aws.repository_source = lambda *key: source(*key) if key[0] in (FIRST, THIRD) else world().repositories(*key)
    aws.change_mutability(SECOND, REGION, "app/api", "IMMUTABLE", ())
    aws.change_mutability(SECOND, REGION, "lib/base", "MUTABLE_WITH_EXCLUSION", ["v*"])
    remediation.apply(waived={arn(FIRST, "app/api")})
    remediation.assert_written((FIRST, "lib/base"), (SECOND, "app/web"))
    assert remediation.finish() == {
        (FIRST, "app/api"): "SKIPPED_WAIVED",
        (FIRST, "app/web"): "GONE",
        (FIRST, "lib/base"): "DONE",
        (SECOND, "app/api"): "ALREADY",
        (SECOND, "app/web"): "DONE",
        (SECOND, "lib/base"): "SKIPPED_CHANGED",
        (THIRD, "app/api"): "SKIPPED_CHANGED",  # another repository of that name
        (THIRD, "app/web"): "GONE",
        (THIRD, "lib/base"): "SKIPPED_CHANGED",
    }


DENIED_ACTION = {"denied_actions": frozenset({"ecr:PutImageTagMutability"})}


@pytest.mark.parametrize(
    ("changed", "faults", "outcome"),
    [
        ({f"a{SECOND}": {"remediable": False}}, (), "DENIED"),
        ({f"a{SECOND}": DENIED_ACTION}, (), "DENIED"),
        ({}, (Fault(Throttle(), operation="PutImageTagMutability", account=SECOND),), "THROTTLED"),
        ({}, (Fault(Throttle(), operation="DescribeRepositories", account=SECOND),), "THROTTLED"),
        (
            {},
            (Fault(Refuse("ServerException", "no", 500), operation="PutImageTagMutability", account=SECOND),),
            "FAILED",
        ),
    ],
    ids=["role missing", "denied in one account", "throttled writes", "throttled reads", "server errors"],
)
def test_a_denial_in_one_account_costs_the_others_nothing(
    remediation_of: Callable[..., Remediation], changed: dict[str, Any], faults: tuple[Fault, ...], outcome: str
) -> None:
    remediation = remediation_of(*faults, of=world(**changed))
    remediation.apply()
    others = [key for key in ALL if key[0] != SECOND]
    remediation.assert_written(*others)
    assert remediation.finish() == {key: outcome if key[0] == SECOND else "DONE" for key in ALL}
    rows = remediation.record()
    assert all(rows[key]["error_code"] and rows[key]["error_message"] for key in ALL if key[0] == SECOND)
    # A retry, once the cause is fixed, tries these again and no others.
    remediation.audit.aws.faults = Faults()
    fixed = remediation.audit.aws.world.accounts[SECOND]
    remediation.audit.aws.world.accounts = {
        **remediation.audit.aws.world.accounts,
        SECOND: replace(fixed, remediable=True, denied_actions=frozenset()),
    }
    remediation.apply()
    remediation.assert_written(*ALL)
    assert set(remediation.finish().values()) == {"DONE"}


def test_a_throttle_that_passes_costs_nothing_and_a_repository_may_go_last_of_all(
    remediation_of: Callable[..., Remediation],
) -> None:
    gone = Refuse("RepositoryNotFoundException", "It is gone")
    remediation = remediation_of(
        Fault(Throttle(), operation="PutImageTagMutability", account=FIRST, times=2),
        Fault(gone, operation="PutImageTagMutability", account=SECOND, times=1),
    )
    remediation.audit.settings = remediation.audit.settings.model_copy(update={"target_seconds": 60})
    remediation.apply()
    remediation.assert_written(*(key for key in ALL if key != (SECOND, "app/api")))
    assert remediation.finish() == {key: "GONE" if key == (SECOND, "app/api") else "DONE" for key in ALL}


class KilledError(Exception):
    """The worker is gone, and nothing after it is done."""


class KillingJournal(Journal):
    """Ends the worker at a moment between two writes: before the journal has the entry, or right after."""

    def __init__(self, lake: Lake, plan_id: str, at: int, *, after: bool) -> None:
        super().__init__(lake, plan_id)
        self._left, self._after = at, after

    def write(self, number: int, entry: Any) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise KilledError
        super().write(number, entry)
        if self._left == 0:
            raise KilledError


# Each repository has two entries, the intent and the outcome; it is written between them.
@pytest.mark.parametrize(("at", "after"), [(1, False), (1, True), (2, False), (2, True), (4, False)])
@pytest.mark.parametrize("is_retried", [True, False])
def test_after_a_killed_worker_nothing_is_written_twice_or_forgotten(
    remediation_of: Callable[..., Remediation], at: int, after: bool, is_retried: bool
) -> None:
    remediation = remediation_of()
    journal = KillingJournal(remediation.lake, remediation.plan.plan_id, at, after=after)
    with pytest.raises(KilledError):
        apply_batch(journal, connect_hub(), remediation.plan, 0, remediation.audit.settings, "run", set())
    began = [key[:2] for key in remediation.writes]
    if is_retried:
        remediation.apply()
        remediation.assert_written(*ALL)
        assert set(remediation.finish().values()) == {"DONE"}
        return
    # Nobody goes on: what was written is known all the same, and can be taken back.
    outcomes = remediation.finish()
    remediation.assert_written(*began)
    assert [key for key, outcome in outcomes.items() if outcome == "DONE"] == began
    assert {outcomes[key] for key in ALL if key not in began} <= {"NOT_REACHED", "FAILED"}


@ON_S3
def test_on_s3_a_retry_goes_on_and_a_plan_that_was_changed_is_refused(
    remediation_of: Callable[..., Remediation], tmp_path: Path
) -> None:
    remediation = remediation_of()
    journal = KillingJournal(remediation.lake, remediation.plan.plan_id, 2, after=False)
    with pytest.raises(KilledError):
        apply_batch(journal, connect_hub(), remediation.plan, 0, remediation.audit.settings, "run", set())
    assert len(remediation.writes) == 1
    remediation.apply()
    remediation.assert_written(*ALL)
    assert set(remediation.finish().values()) == {"DONE"}

    changed = pa.Table.from_pylist(
        [{**row, "proposed_setting": "MUTABLE"} for row in remediation.plan.rows], schema=PLANNED_CHANGES.schema
    )
    pq.write_table(changed, tmp_path / "changed.parquet")
    remediation.lake.storage.move_in(
        tmp_path / "changed.parquet", f"remediation/{remediation.plan.plan_id}/plan.parquet"
    )
    with pytest.raises(RemediationError, match=r"s3://audit-lake/.*its rows were changed since it was frozen"):
        read_plan(remediation.lake, remediation.plan.plan_id)


class Once(Faults):
    """Breaks the connection off after the write of one account has been made, once."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__([Fault(Reset(), operation="PutImageTagMutability", account=FIRST)])
        self._then = then

    def strike(self, service: str, operation: str, account: str, region: str) -> Iterator[Effect]:
        for effect in super().strike(service, operation, account, region):
            self._then()
            yield effect


def test_a_write_whose_answer_was_lost_is_done(remediation_of: Callable[..., Remediation]) -> None:
    remediation = remediation_of()
    aws = remediation.audit.aws.world

    def write() -> None:
        aws.change_mutability(FIRST, REGION, "app/api", "IMMUTABLE", ())

    remediation.audit.aws.faults = Once(write)
    remediation.apply()
    outcomes = remediation.finish()
    assert outcomes[FIRST, "app/api"] == "DONE"
    assert outcomes[FIRST, "app/web"] == "FAILED"


def test_a_setting_that_does_not_stay_is_an_outcome(remediation_of: Callable[..., Remediation]) -> None:
    remediation = remediation_of()
    remediation.apply()
    aws = remediation.audit.aws
    aws.world.change_mutability(FIRST, REGION, "app/api", "MUTABLE", ())
    aws.faults = Faults([Fault(Throttle(), operation="DescribeRepositories", account=SECOND)])
    outcomes, rows = remediation.finish(), remediation.record()
    assert [key for key, outcome in outcomes.items() if outcome != "DONE"] == [(FIRST, "app/api")]
    assert outcomes[FIRST, "app/api"] == "DIFFERS"
    assert rows[FIRST, "app/api"]["after_setting"] == "MUTABLE"
    # Written, and not read again: it says so.
    assert {rows[key]["verified_at"] for key in ALL if key[0] == SECOND} == {None}
    assert {rows[key]["error_code"] for key in ALL if key[0] == SECOND} == {"ThrottlingException"}


def approval_of(plan: Mapping[str, str], **changed: Any) -> dict[str, Any]:
    """The return value of Airflow's task, once a person has approved a plan."""
    return {
        "chosen_options": ["Approve"],
        "params_input": {"plan_id": plan["plan_id"]},
        "responded_at": datetime.now(UTC) + timedelta(seconds=1),
        "responded_by_user": {"id": "7", "name": "alice"},
        **changed,
    }


@pytest.fixture
def night(
    audit_of: MakeAudit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str, database_alone: None
) -> Audit:
    """A published night in which the owners name the tags that move, and the settings to apply its plan."""
    found = world()
    named = {
        (account, REGION): [
            replace(each, tags={"ecr-audit:moving-tags": "latest"}) for each in found.repositories(account, REGION)
        ]
        for account in (FIRST, SECOND, THIRD)
    }
    audit = audit_of(replace(found, repository_source=stored(named)), collect_rotation_nights=1, regions=(REGION,))
    audit.lake = Lake(place)
    for name, value in {
        "DATA": str(tmp_path),
        "LAKE": place,
        "REMEDIATION_ROLE_NAME": ROLE,
        "BATCH_ACCOUNTS": "1",
        "FOUR_EYES": "true",
    }.items():
        monkeypatch.setenv(f"ECR_AUDIT_{name}", value)
    audit.run()
    publish.publish(compliance.roll_up(compliance.evaluate(DAY.isoformat(), [])))
    return audit


WAIVED_MEANWHILE = """
waivers:
  - id: W-1
    policy: {policy}
    scope: {{repository: "{repository}"}}
    reason: It is a cache.
    owner: team
    ticket: T-1
    approved_by: boss
    created: {created}
    expires: {expires}
"""


def waive(monkeypatch: pytest.MonkeyPatch, file: Path, plan: RemediationPlan, repository: str) -> None:
    """Accept the finding on a repository of a plan, since the day of the plan."""
    created = plan.planned_at.date()
    expires = created + timedelta(days=30)
    file.write_text(
        WAIVED_MEANWHILE.format(policy=plan.policy_id, repository=repository, created=created, expires=expires)
    )
    monkeypatch.setenv("ECR_AUDIT_WAIVERS", str(file))


FORM: dict[str, Any] = {
    **{"policy": None, "accounts": [], "ous": [], "repositories": [], "at_most": None, "rollback_of": None}
}


@ON_BOTH
def test_the_steps_of_a_run_write_the_approved_changes_and_nothing_else(
    night: Audit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = steps.make_plan(FORM, "https://airflow.example/ecr-audit")
    assert plan["plan_id"] in plan["body"]
    assert "https://airflow.example/ecr-audit/remediation" in plan["body"]
    hub, answer = connect_hub(), approval_of(plan)
    for triggered_by, given, reason in (
        ("bob", None, "Nobody answered"),
        ("bob", approval_of(plan, chosen_options=["Reject"]), "not Approve"),
        ("bob", approval_of({"plan_id": "0" * 64}), "is for plan"),
        ("alice", answer, "Another one has to"),
    ):
        with pytest.raises(RemediationError, match=reason):
            steps.apply_canary(hub, steps.Run("run", plan["plan_id"], triggered_by, given))
    run = steps.Run("run", plan["plan_id"], "bob", answer)
    with pytest.raises(RemediationError, match="the canary is not through"):
        steps.apply(hub, run, 1)
    assert night.aws.world.writes == []
    frozen, waived = read_plan(night.lake, plan["plan_id"]), (SECOND, "app/web")
    waive(monkeypatch, tmp_path / "waivers.yaml", frozen, arn(*waived))
    for batch in steps.apply_canary(hub, run):
        steps.apply(hub, run, batch)
    steps.verify(hub, run)
    # The third repository passes the policy as it is.
    changed = [key for key in ALL if key[1] != "lib/base" and key != waived]
    outcomes = {"DONE": len(changed), "SKIPPED_WAIVED": 1}
    assert steps.record(run) == {"accounts": [FIRST, SECOND, THIRD], "outcomes": outcomes}
    Remediation(night, frozen).assert_written(*changed)
    # Exactly the settings that the published plan proposed were written, and its findings close with the next night.
    assert {each.image_tag_mutability for each in night.aws.world.writes} == {"IMMUTABLE_WITH_EXCLUSION"}
    night.run(frozen.planned_at.date())
    publish.publish(compliance.roll_up(compliance.evaluate(None, [])))
    with open_published(newest(load_settings()).database) as published:
        assert planned_rows(published, frozen.policy_id, proposal.Limits()) == []
        recorded = published.execute("SELECT outcome, count(*) FROM remediation_actions GROUP BY ALL").fetchall()
    assert dict(recorded) == outcomes
    with pytest.raises(RemediationError, match="There is nothing to change"):
        steps.make_plan(FORM, "")


def test_a_canary_that_fails_stops_the_run(night: Audit) -> None:
    plan = steps.make_plan(FORM, "")
    hub, run = connect_hub(), steps.Run("run", plan["plan_id"], "bob", approval_of(plan))
    night.aws.faults = Faults([Fault(Refuse("AccessDeniedException", "no"), operation="PutImageTagMutability")])
    with pytest.raises(RemediationError, match=r"no other account is changed.*100\.0 % failed"):
        steps.apply_canary(hub, run)
    night.aws.faults = Faults()
    with pytest.raises(RemediationError, match="no other account is changed"):
        steps.apply(hub, run, 1)
    steps.verify(hub, run)
    assert steps.record(run) == {"accounts": [], "outcomes": {"DENIED": 2, "NOT_REACHED": 4}}
    assert night.aws.world.writes == []


def test_a_plan_that_was_not_approved_has_no_outcomes(remediation_of: Callable[..., Remediation]) -> None:
    remediation = remediation_of()
    assert remediation.record(approved(remediation.plan, chosen=REJECT)) == {}
    [approval] = rows_of(remediation.lake, REMEDIATION_APPROVALS)
    assert (approval["accepted"], approval["refusal"]) == (False, "The answer is Reject, not Approve.")
    assert remediation.writes == []


def test_nothing_is_changed_without_a_role(remediation_of: Callable[..., Remediation]) -> None:
    remediation = remediation_of()
    remediation.audit.settings = remediation.audit.settings.model_copy(update={"remediation_role_name": None})
    with pytest.raises(RemediationError, match="ECR_AUDIT_REMEDIATION_ROLE_NAME is not set"):
        remediation.apply()
    assert remediation.writes == []
