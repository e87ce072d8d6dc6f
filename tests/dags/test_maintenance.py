"""The upkeep as Airflow runs it: what its form and its schedule each do."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from ecr_audit.lake.lake import Lake
from support.small_lake import SmallLake

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]

OLD = [date(2020, 1, 30), date(2020, 1, 31)]


@pytest.fixture
def lake(small_lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    for day in OLD:
        small_lake.night(day)
    monkeypatch.setenv("ECR_AUDIT_LAKE", small_lake.lake.root)
    found: Lake = small_lake.lake
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("params", "left"), [({}, OLD), ({"dry_run": False}, OLD[1:])])
def test_by_hand_it_removes_only_on_request(
    lake: Lake, airflow_database: None, params: dict[str, bool], left: list[date]
) -> None:
    from airflow.dag_processing.dagbag import DagBag

    path = Path(__file__).resolve().parents[2] / "dags" / "ecr_maintenance.py"
    run = DagBag(path).get_dag("ecr_maintenance").test(run_conf=params, logical_date=None)
    assert str(run.state) == "success"
    assert lake.snapshot_dates("inventory") == left
    assert lake.snapshot_dates("compliance") == OLD, "what was rolled up of a night stays"


def test_on_schedule_it_removes(lake: Lake, dags: DagBag, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dag.test` makes manual runs only: the task is called with the context of a scheduled one."""
    task = dags.get_dag("ecr_maintenance").get_task("thin_snapshots").python_callable
    context = {"dag_run": SimpleNamespace(run_type="scheduled"), "params": {"dry_run": True}}
    monkeypatch.setitem(task.__globals__, "get_current_context", lambda: context)
    assert task() == ["2020-01-30"]
    assert lake.snapshot_dates("inventory") == OLD[1:]
