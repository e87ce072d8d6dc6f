"""The night under a real scheduler on one machine: it runs, and it survives what happens to the scheduler."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from demo.emulated_aws.faults import Faults
from demo.emulated_aws.server import EmulatedAws
from ecr_audit.publish.freshness import nights_missed
from support.airflow import Airflow
from support.receivers import WEBHOOK, Http
from support.truth import assert_published_is_the_truth

pytestmark = [pytest.mark.airflow, pytest.mark.scheduler]

BATCHES = 3


def assert_audited(data: Path, aws: EmulatedAws) -> None:
    """The truth is published, from a lake that has the committed files of the newest night and no others.

    Before 2 o'clock the scheduled night is yesterday's, and a run that is triggered is today's.
    """
    assert_published_is_the_truth(data / "publish/compliance.duckdb", aws.world)
    newest = max((data / "lake/_commits/inventory").glob("*.json")).stem
    for stage in ("inventory", "compliance"):
        files = json.loads((data / f"lake/_commits/{stage}/{newest}.json").read_text())["files"]
        for table, names in files.items():
            found = (data / "lake" / table / f"snapshot_date={newest}").iterdir()
            assert {str(path.relative_to(data / "lake")) for path in found} == set(names)


def test_a_night_beside_another_run_of_which_one_is_killed_with_the_scheduler(
    airflow: Airflow, aws: EmulatedAws, data: Path
) -> None:
    """The scheduler is killed while batches are scanned, and they, its children, with it."""
    night = airflow.scheduled_night()
    runs = [night, airflow.trigger("ecr_inventory")]

    def at_work() -> list[str]:
        return [run for run in runs for task in airflow.batches(run) if task["state"] == "running"]

    airflow.wait_for("a batch under way", lambda: at_work() != [] and aws.counters.in_flight > 0)
    disturbed = set(at_work())
    airflow.processes.kill("scheduler")
    aws.faults = Faults()
    airflow.start_part("scheduler")
    for run_id in runs:
        assert airflow.finish("ecr_inventory", run_id) == "success"
    # The interrupted task was run again.
    assert {max(task["try_number"] for task in airflow.batches(run)) for run in disturbed} == {2}

    def all_evaluated() -> bool:
        queued = airflow.get("dags/ecr_compliance/assets/queuedEvents")["total_entries"]
        return queued == 0 and {"success"} == set(airflow.runs("ecr_compliance").values())

    airflow.wait_for("the compliance runs", all_evaluated)
    assert_audited(data, aws)
    batches = airflow.batches(night)
    assert sorted(task["rendered_map_index"] for task in batches) == [f"batch {n}" for n in range(BATCHES)]
    events = airflow.get("assets/events")["asset_events"]
    committed = {path.stem for path in (data / "lake/_commits/inventory").glob("*.json")}
    assert {event["extra"]["snapshot_date"] for event in events} == committed
    assert {event["source_run_id"] for event in events} == set(runs)


@pytest.fixture
def nights_ago(data: Path) -> Iterator[str]:
    """The publication, as it would be now, had there been no night since."""
    latest = data / "publish/latest.json"
    before = json.loads(latest.read_text())
    old = str(date.fromisoformat(before["snapshot_date"]) - timedelta(days=3))
    latest.write_text(json.dumps(before | {"snapshot_date": old}))
    yield old
    latest.write_text(json.dumps(before))


def test_a_missed_night_is_reported(airflow: Airflow, slack: Http, data: Path, nights_ago: str) -> None:
    """By the DAG processor, which runs the callbacks of DAGs. Nothing has been sent so far: no run failed.

    A command triggers the run that knows Airflow's home alone; its tasks have the settings of the scheduler.
    """
    [(first, state)] = airflow.runs("ecr_freshness").items()
    assert first.startswith("scheduled__") and state == "success"
    assert slack.bodies == []
    assert airflow.finish("ecr_freshness", airflow.trigger_by_command("ecr_freshness")) == "failed"
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
