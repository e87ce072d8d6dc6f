"""The night under a real scheduler: it runs, and it survives what happens to schedulers and workers."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_audit.demo.faults import Delay, Fault, Faults
from ecr_audit.demo.server import EmulatedAws
from ecr_audit.freshness import nights_missed
from support.receivers import WEBHOOK, Http

pytestmark = [pytest.mark.airflow, pytest.mark.scheduler, pytest.mark.timeout(600)]

BATCHES = 3


@pytest.fixture
def audit(airflow: Any, data: Path) -> Any:
    """Follows a run of the inventory, and the compliance run that its snapshot starts, to their end."""

    def follow(run_id: str) -> None:
        assert airflow.finish("ecr_inventory", run_id) == "success", airflow.tasks("ecr_inventory", run_id)
        airflow.wait_for("the compliance run", lambda: started_by(run_id) != [])
        for started in started_by(run_id):
            assert airflow.finish("ecr_compliance", started) == "success", airflow.tasks("ecr_compliance", started)

    def started_by(run_id: str) -> list[str]:
        events = airflow.get("assets/events")["asset_events"]
        return [
            run["run_id"] for event in events if event["source_run_id"] == run_id for run in event["created_dagruns"]
        ]

    return follow


def in_the_middle_of_scanning(airflow: Any, aws: EmulatedAws, run_id: str) -> None:
    """Wait until a batch is being scanned."""

    def scanning() -> bool:
        running = [task for task in airflow.tasks("ecr_inventory", run_id) if task["state"] == "running"]
        return any(task["task_id"] == "scan_accounts" for task in running) and aws.counters.in_flight > 0

    airflow.wait_for("a batch under way", scanning)


def assert_published_is_the_truth(data: Path, aws: EmulatedAws) -> None:
    """Every target with its outcome, every repository once, one file for each table."""
    with duckdb.connect(str(data / "publish/compliance.duckdb"), read_only=True) as published:
        outcomes = {
            (row[0], row[1]): row[2:]
            for row in published.sql(
                "FROM scan_targets SELECT account_id, region, outcome, repository_count"
            ).fetchall()
        }
        names = published.sql("FROM repositories SELECT account_id, region, repository_name").fetchall()
        [(snapshot_date,)] = published.sql("FROM publication SELECT snapshot_date::VARCHAR").fetchall()
    expected_names = []
    for target in aws.world.targets():
        outcome, count = outcomes.pop(target)
        assert outcome == aws.world.outcome(*target), target
        if outcome == "COLLECTED":
            found = [each.name for each in aws.world.repositories(*target)]
            assert count == len(found), target
            expected_names += [(*target, name) for name in found]
    assert outcomes == {}
    assert sorted(names) == sorted(expected_names)
    for table in ("accounts", "scan_targets", "repositories", "policy_output", "policy_run", "section_compliance"):
        assert len(list((data / "lake" / table / f"snapshot_date={snapshot_date}").iterdir())) == 1


def slow(aws: EmulatedAws) -> None:
    """Every call of ECR takes a second, so that a scan can be met in the middle."""
    aws.faults = Faults([Fault(Delay(1.0), service="ecr")])


@pytest.fixture(autouse=True)
def no_faults_left(aws: EmulatedAws) -> Any:
    yield
    aws.faults = Faults()


def test_a_night(airflow: Any, aws: EmulatedAws, audit: Any, data: Path) -> None:
    """The last night's run is due as soon as the scheduler starts; nobody triggers it."""
    airflow.wait_for("the nightly run", lambda: len(airflow.runs("ecr_inventory")) > 0)
    [run_id] = airflow.runs("ecr_inventory")
    assert run_id.startswith("scheduled__")
    audit(run_id)
    assert_published_is_the_truth(data, aws)
    scans = [task for task in airflow.tasks("ecr_inventory", run_id) if task["task_id"] == "scan_accounts"]
    assert sorted(task["rendered_map_index"] for task in scans) == [f"batch {n}" for n in range(BATCHES)]
    [commit] = (data / "lake/_commits/inventory").glob("*.json")
    [event] = airflow.get("assets/events")["asset_events"]
    assert event["extra"]["snapshot_date"] == commit.stem


def test_a_killed_worker_loses_and_doubles_nothing(airflow: Any, aws: EmulatedAws, audit: Any, data: Path) -> None:
    slow(aws)
    run_id = airflow.trigger("ecr_inventory")
    in_the_middle_of_scanning(airflow, aws, run_id)
    [pid, *_] = [task["pid"] for task in airflow.tasks("ecr_inventory", run_id) if task["state"] == "running"]
    os.kill(pid, signal.SIGKILL)
    aws.faults = Faults()
    audit(run_id)
    tries = [
        task["try_number"] for task in airflow.tasks("ecr_inventory", run_id) if task["task_id"] == "scan_accounts"
    ]
    assert max(tries) == 2
    assert_published_is_the_truth(data, aws)


def test_a_restarted_scheduler_goes_on_where_it_was(airflow: Any, aws: EmulatedAws, audit: Any, data: Path) -> None:
    slow(aws)
    run_id = airflow.trigger("ecr_inventory")
    in_the_middle_of_scanning(airflow, aws, run_id)
    airflow.kill_part("scheduler")
    aws.faults = Faults()
    airflow.start_part("scheduler")
    audit(run_id)
    assert_published_is_the_truth(data, aws)


def test_two_runs_at_once_for_one_date(airflow: Any, aws: EmulatedAws, data: Path) -> None:
    first, second = airflow.trigger("ecr_inventory"), airflow.trigger("ecr_inventory")
    assert airflow.finish("ecr_inventory", first) == airflow.finish("ecr_inventory", second) == "success"

    def all_judged() -> bool:
        states = airflow.runs("ecr_compliance").values()
        queued = airflow.get("dags/ecr_compliance/assets/queuedEvents")["total_entries"]
        return queued == 0 and set(states) == {"success"}

    airflow.wait_for("the compliance runs", all_judged)
    assert_published_is_the_truth(data, aws)


@pytest.fixture
def nights_ago(data: Path) -> Any:
    """What is published, as it would be now, had there been no night since."""
    latest = data / "publish/latest.json"
    before = json.loads(latest.read_text())
    old = str(date.fromisoformat(before["snapshot_date"]) - timedelta(days=3))
    latest.write_text(json.dumps(before | {"snapshot_date": old}))
    yield old
    latest.write_text(json.dumps(before))


def test_a_missed_night_is_told(airflow: Any, slack: Http, data: Path, nights_ago: str) -> None:
    """By the DAG processor, which runs the callbacks of DAGs. Nothing has been told so far: no run failed."""
    [(first, state)] = airflow.runs("ecr_freshness").items()
    assert first.startswith("scheduled__") and state == "success"
    assert slack.bodies == []
    assert airflow.finish("ecr_freshness", airflow.trigger("ecr_freshness")) == "failed"
    airflow.wait_for("the alert", lambda: slack.bodies != [])
    [payload] = slack.slack
    missed = nights_missed(date.fromisoformat(nights_ago), datetime.now(UTC))
    assert payload["text"].startswith(
        "ECR audit: no snapshot of last night\n"
        f"The newest published snapshot is of {nights_ago}: {missed} nights were missed since.\n"
    )
    logs = [path for path in airflow.home.rglob("*.log") if path.is_file()]
    assert any(b"Sent over Slack connection alerts" in path.read_bytes() for path in logs)
    assert not [path for path in logs if WEBHOOK.encode() in path.read_bytes()]
