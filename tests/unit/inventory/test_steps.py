"""The nightly steps as the DAG calls them: settings from the environment in, small values out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ecr_audit.aws.outcomes import Outcome
from ecr_audit.errors import FinalError
from ecr_audit.inventory import steps
from ecr_audit.inventory.plan_files import PlanError, read_plan
from ecr_audit.settings import SettingsError
from support.lakes import committed

from .conftest import FakeOrganization

NO_LIMITS: dict[str, list[str]] = {"accounts": [], "ous": [], "regions": []}
RUN_AFTER = datetime(2026, 3, 1, 2, tzinfo=UTC)
MEMBER = "200000000000"


@pytest.fixture
def night(organization: FakeOrganization, monkeypatch: pytest.MonkeyPatch) -> FakeOrganization:
    """The hub and a member in two regions; the settings name the lake of the fixture."""
    monkeypatch.setenv("ECR_AUDIT_LAKE", organization.lake.root)
    monkeypatch.setattr(steps, "today", lambda: date(2026, 3, 1))
    organization.add(MEMBER)
    return organization


def run(night: FakeOrganization, params: Mapping[str, Any] = NO_LIMITS) -> str:
    plan_id = steps.discover(night.hub, params, RUN_AFTER, "manual__1")
    for batch in steps.plan(night.hub, plan_id, params):
        steps.scan(night.hub, plan_id, batch)
    return plan_id


def test_a_night_from_step_to_step(night: FakeOrganization) -> None:
    plan_id = run(night)
    assert steps.commit(plan_id) == "2026-03-01"
    steps.check_coverage(plan_id)
    commit = committed(night.lake, "inventory", date(2026, 3, 1))
    assert commit.details["run_id"] == "manual__1"
    assert set(night.outcomes_of(date(2026, 3, 1)).values()) == {"COLLECTED"}


def test_a_night_begins_with_the_places_that_it_goes_by(
    night: FakeOrganization, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A relative one as the absolute one that it means for this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", "reports/ecr")
    with caplog.at_level("INFO", logger="ecr_audit"):
        steps.discover(night.hub, NO_LIMITS, RUN_AFTER, "run")
    assert f"Lake: {night.lake.root}; publications: {tmp_path}/reports/ecr" in caplog.messages[0]


@pytest.mark.parametrize(
    ("run_after", "day"),
    [
        (RUN_AFTER, date(2026, 3, 1)),
        (datetime(2026, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=-5))), date(2026, 3, 2)),
        (datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))), date(2026, 2, 28)),
    ],
)
def test_the_snapshot_is_of_the_runs_day_in_utc(night: FakeOrganization, run_after: datetime, day: date) -> None:
    plan_id = steps.discover(night.hub, NO_LIMITS, run_after, "run")
    assert read_plan(night.lake, plan_id).snapshot_date == day


def test_a_run_of_a_day_that_is_over_is_refused(night: FakeOrganization, monkeypatch: pytest.MonkeyPatch) -> None:
    """A back-fill, or an old run that is cleared, would date the present state back."""
    monkeypatch.setattr(steps, "today", lambda: date(2026, 3, 2))
    steps.discover(night.hub, NO_LIMITS, RUN_AFTER, "run")
    monkeypatch.setattr(steps, "today", lambda: date(2026, 3, 3))
    with pytest.raises(PlanError, match=r"The run is for 2026-03-01, but AWS returns only the present state"):
        steps.discover(night.hub, NO_LIMITS, RUN_AFTER, "run")


def test_a_setting_overrides_the_date(night: FakeOrganization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_SNAPSHOT_DATE", "2026-01-31")
    plan_id = steps.discover(night.hub, NO_LIMITS, RUN_AFTER, "run")
    assert read_plan(night.lake, plan_id).snapshot_date == date(2026, 1, 31)


def test_the_form_limits_the_run(night: FakeOrganization) -> None:
    run(night)
    night.scanned.clear()
    plan_id = run(night, {**NO_LIMITS, "accounts": [MEMBER], "regions": ["us-east-1"]})
    assert night.scanned == [(MEMBER, "us-east-1")]
    assert read_plan(night.lake, plan_id).limited is True


def test_a_limited_run_before_the_night_goes_on_with_the_day_before(
    night: FakeOrganization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All else would be read by no run of the new day until its night."""
    limited, first, second = {**NO_LIMITS, "accounts": [MEMBER]}, "2026-03-01", "2026-03-02"

    def day_of(params: Mapping[str, Any], run_after: datetime) -> str:
        return str(read_plan(night.lake, steps.discover(night.hub, params, run_after, "run")).snapshot_date)

    # There is none yet to go on with.
    assert day_of(limited, RUN_AFTER) == first
    steps.commit(run(night))
    after_midnight = RUN_AFTER + timedelta(hours=23)
    monkeypatch.setattr(steps, "today", lambda: date(2026, 3, 2))
    assert day_of(limited, after_midnight) == first
    assert day_of(NO_LIMITS, after_midnight) == second
    night.run(date(2026, 3, 2))
    assert day_of(limited, after_midnight) == second
    # Nor with one of two days before: what was there then is over.
    monkeypatch.setattr(steps, "today", lambda: date(2026, 3, 4))
    assert day_of(limited, RUN_AFTER + timedelta(days=3)) == "2026-03-04"


def test_a_form_that_names_missing_accounts_ends_the_run(night: FakeOrganization) -> None:
    with pytest.raises(PlanError, match="the run's OUs: 'Root/None' holds no account"):
        run(night, {**NO_LIMITS, "ous": ["Root/None"]})


def test_wrong_settings_end_every_step(night: FakeOrganization, monkeypatch: pytest.MonkeyPatch) -> None:
    plan_id = run(night)
    monkeypatch.setenv("ECR_AUDIT_CONCURRENCY", "0")
    for step in (
        lambda: steps.discover(night.hub, NO_LIMITS, RUN_AFTER, "run"),
        lambda: steps.plan(night.hub, plan_id, NO_LIMITS),
        lambda: steps.scan(night.hub, plan_id, 0),
        lambda: steps.commit(plan_id),
        lambda: steps.check_coverage(plan_id),
    ):
        with pytest.raises(SettingsError, match="ECR_AUDIT_CONCURRENCY: '0'"):
            step()


@pytest.mark.parametrize(("minimum", "passes"), [("0.75", True), ("0.76", False), ("0", True), ("1", False)])
def test_coverage_under_the_minimum_is_reported_after_the_commit(
    night: FakeOrganization, monkeypatch: pytest.MonkeyPatch, minimum: str, passes: bool
) -> None:
    """Three of four targets are collected."""
    monkeypatch.setenv("ECR_AUDIT_MIN_COVERAGE", minimum)
    night.outcomes = {(MEMBER, "us-east-1"): Outcome.ACCESS_DENIED}
    plan_id = run(night)
    steps.commit(plan_id)
    if passes:
        steps.check_coverage(plan_id)
        return
    with pytest.raises(steps.CoverageError) as caught:
        steps.check_coverage(plan_id)
    assert isinstance(caught.value, FinalError)
    for reported in ("3 of 4 targets", "2026-03-01", "75.0 %", "1 ACCESS_DENIED", "ECR_AUDIT_MIN_COVERAGE"):
        assert reported in str(caught.value)
    assert night.lake.snapshot_dates("inventory") == [date(2026, 3, 1)]


@pytest.mark.parametrize(("suspended", "outcome"), [(True, Outcome.ACCOUNT_INACTIVE), (False, Outcome.REGION_DISABLED)])
def test_a_run_without_any_readable_target_is_committed(
    night: FakeOrganization,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    suspended: bool,
    outcome: Outcome,
) -> None:
    """A run limited to a suspended unit, or to regions that are disabled: its targets have their outcomes."""
    night.add("500000000000", path="Root/Dev", state="SUSPENDED" if suspended else "ACTIVE")
    night.outcomes = {("500000000000", region.name): outcome for region in night.regions}
    plan_id = run(night, {**NO_LIMITS, "ous": ["Root/Dev"]})
    steps.commit(plan_id)
    steps.check_coverage(plan_id)
    assert set(night.outcomes_of(date(2026, 3, 1)).values()) == {outcome}
    assert "has no targets to read" in caplog.text


def test_a_night_of_inactive_accounts_only_is_committed(
    night: FakeOrganization, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.add("500000000000", state="SUSPENDED")
    monkeypatch.setenv("ECR_AUDIT_ACCOUNTS", "500000000000")
    plan_id = run(night)
    steps.commit(plan_id)
    steps.check_coverage(plan_id)
    assert set(night.outcomes_of(date(2026, 3, 1)).values()) == {"ACCOUNT_INACTIVE"}


def test_coverage_of_a_plan_that_was_not_committed_is_reported(night: FakeOrganization) -> None:
    with pytest.raises(steps.CoverageError, match="has committed no snapshot"):
        steps.check_coverage(run(night))
