"""The frozen plan: its id, its batches, and what becomes of one that somebody changed in the lake."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import PLANNED_CHANGES
from ecr_audit.lake.storage import LakeError
from ecr_audit.remediation.plan import RemediationError, RemediationPlan, freeze, plan_id_of, read_plan

PLANNED_AT = datetime(2026, 11, 1, 8, tzinfo=UTC)


def row(account: int, name: str, **changed: Any) -> dict[str, Any]:
    account_id = f"{account:012}"
    return {
        "account_id": account_id,
        "region": "eu-west-1",
        "repository_name": name,
        "repository_arn": f"arn:aws:ecr:eu-west-1:{account_id}:repository/{name}",
        "created_at": datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=UTC),
        "policy_id": "mutability",
        "current_setting": "MUTABLE",
        "current_filters": [],
        "proposed_setting": "IMMUTABLE_WITH_EXCLUSION",
        "proposed_filters": ["latest", "cache*"],
        **changed,
    }


ROWS = [row(1, "a"), row(1, "b"), row(2, "a"), row(3, "a"), row(3, "b"), row(3, "c")]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def frozen(lake: Lake, rows: list[dict[str, Any]] = ROWS, **changed: Any) -> RemediationPlan:
    options: dict[str, Any] = {"planned_at": PLANNED_AT, "canary_accounts": 1, "batch_accounts": 1}
    return freeze(lake, rows, **options | changed)


def test_the_id_follows_from_the_rows_whatever_their_order(lake: Lake) -> None:
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    plan = frozen(lake)
    assert frozen(lake, shuffled) == read_plan(lake, plan.plan_id) == plan
    backwards = [dict(reversed(each.items())) for each in reversed(plan.rows)]
    assert plan_id_of(backwards) == plan.plan_id
    # A later plan of the same rows is another plan: an earlier approval does not hold for it.
    assert frozen(lake, planned_at=PLANNED_AT + timedelta(microseconds=1)).plan_id != plan.plan_id


@pytest.mark.parametrize(
    "changed",
    [
        {"proposed_filters": ["cache*", "latest"]},
        {"proposed_setting": "MUTABLE"},
        {"current_filters": None},
        {"repository_arn": "arn:aws:ecr:eu-west-1:000000000001:repository/z"},
        {"created_at": datetime(2026, 1, 1, 12, 30, tzinfo=UTC)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_plan_that_was_changed_in_the_lake_is_refused(lake: Lake, changed: dict[str, Any]) -> None:
    plan = frozen(lake)
    [path] = Path(lake.root, "remediation", plan.plan_id).glob("*.parquet")
    rows = [dict(plan.rows[0]) | changed, *plan.rows[1:]]
    for tampered in (rows, plan.rows[1:], [*plan.rows, plan.rows[0]]):
        pq.write_table(pa.Table.from_pylist(list(tampered), schema=PLANNED_CHANGES.schema), path)
        with pytest.raises(RemediationError, match="its rows were changed since it was frozen"):
            read_plan(lake, plan.plan_id)


def test_the_canary_are_the_accounts_with_the_fewest_changes(lake: Lake) -> None:
    def batches(**options: Any) -> dict[str, int]:
        return {each["account_id"].lstrip("0"): each["batch"] for each in frozen(lake, **options).rows}

    assert batches() == {"2": 0, "1": 1, "3": 2}
    assert batches(canary_accounts=2) == {"2": 0, "1": 0, "3": 1}
    assert batches(canary_accounts=9) == {"2": 0, "1": 0, "3": 0}
    assert batches(canary_accounts=0, batch_accounts=9) == {"2": 1, "1": 1, "3": 1}


def test_a_plan_that_is_not_there_or_not_readable_is_reported(lake: Lake) -> None:
    with pytest.raises(RemediationError, match="There is nothing to change"):
        frozen(lake, [])
    for plan_id, reason in (("../x", "is not the id of a plan"), ("0" * 64, "has no plan")):
        with pytest.raises(RemediationError, match=reason):
            read_plan(lake, plan_id)
    plan = frozen(lake)
    [path] = Path(lake.root, "remediation", plan.plan_id).glob("*.parquet")
    path.write_bytes(b"x")
    with pytest.raises(LakeError, match="cannot be read as Parquet"):
        read_plan(lake, plan.plan_id)
