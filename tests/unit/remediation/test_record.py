"""The record of plans in the lake, and waivers that came after one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ecr_audit.catalog.waivers import WaiverError
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.retention import thin
from ecr_audit.lake.schemas import REMEDIATION_ACTIONS, REMEDIATION_APPROVALS
from ecr_audit.remediation.approval import Answer, Rules
from ecr_audit.remediation.plan import freeze
from ecr_audit.remediation.record import record
from ecr_audit.remediation.waived import waived_repositories
from ecr_audit.settings import Settings
from support.lakes import committed
from support.policies import MUTABILITY
from support.small_lake import SmallLake

from .test_plan import ROWS

NIGHT = date(2026, 11, 1)
PLANNED_AT = datetime(2026, 11, 1, 8, tzinfo=UTC)


def test_a_plan_that_nobody_answered_is_recorded_once_and_stays(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    plan = freeze(lake, ROWS, planned_at=PLANNED_AT, canary_accounts=1, batch_accounts=1)
    for _ in range(2):
        assert record(lake, plan, Answer(), Rules(triggered_by="bob@example.com"), "run") == []
    assert thin(lake, date(2036, 1, 1), 1, dry_run=False) == []
    commit = committed(lake, "remediation", NIGHT)
    [row] = lake.read_table(commit, REMEDIATION_APPROVALS).to_pylist()
    assert (row["plan_id"], row["repositories"], row["answer"]) == (plan.plan_id, len(ROWS), None)
    assert row["refusal"].startswith("Nobody answered")
    assert (row["triggered_by"], row["accepted"]) == ("bob", False)
    assert lake.read_table(commit, REMEDIATION_ACTIONS).num_rows == 0


WAIVERS = """
waivers:
  - id: w-1
    policy: {policy}
    scope: {{repository: "arn:*:repository/team/*"}}
    reason: It is a cache.
    owner: team
    ticket: T-1
    approved_by: boss
    created: 2026-10-01
    expires: {expires}
"""


def test_a_waiver_that_came_after_the_plan_counts(small_lake: SmallLake, tmp_path: Path) -> None:
    small_lake.scan(NIGHT, repositories=[{"repository_name": "team/app"}, {"repository_name": "other/app"}])
    small_lake.evaluate(NIGHT)
    waivers = tmp_path / "waivers.yaml"
    settings = Settings(waivers=str(waivers))
    for expires, names in (("2026-11-03", {"team/app"}), ("2026-11-02", set())):
        waivers.write_text(WAIVERS.format(policy=MUTABILITY, expires=expires))
        found = waived_repositories(small_lake.lake, settings, MUTABILITY, date(2026, 11, 2))
        assert {arn.partition("repository/")[2] for arn in found} == names
    assert waived_repositories(small_lake.lake, Settings(), MUTABILITY, date(2026, 11, 2)) == set()
    waivers.unlink()
    with pytest.raises(WaiverError):
        waived_repositories(small_lake.lake, settings, MUTABILITY, date(2026, 11, 2))
