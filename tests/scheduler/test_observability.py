"""Signals of a night at an OpenTelemetry collector and an OpenLineage server, from real task processes."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from demo.emulated_aws.faults import Faults
from demo.emulated_aws.server import EmulatedAws
from ecr_audit.lake.schemas import IMAGE_TAG_READS, POLICY_OUTPUT, ROLLED_UP, STAGES, TAG_ACTORS, TAG_MOVES
from support.airflow import Airflow

from .watchers import Watchers

pytestmark = [pytest.mark.airflow, pytest.mark.scheduler]

MUTABILITY = "repository-image-tag-mutability"


@pytest.fixture
def night(airflow: Airflow, aws: EmulatedAws, watchers: Watchers) -> Watchers:
    """The watchers, once they have seen a night to its end."""
    aws.faults = Faults()
    # They run beside each other.
    for task in ("ecr_compliance.announce", "ecr_image_tags.commit_tags"):
        airflow.wait_for(f"the end of {task}", partial(lambda task: watchers.datasets(task)["inputs"] != set(), task))
    return watchers


def test_the_metrics_of_a_night(night: Watchers) -> None:
    assert night.gauges["airflow.ecr_audit.targets", "COLLECTED"] > 100
    assert night.gauges["airflow.ecr_audit.targets", "THROTTLED"] == 0
    assert 85 < night.gauges["airflow.ecr_audit.coverage_percent",] < 100
    assert night.gauges["airflow.ecr_audit.verdicts", MUTABILITY, "INCOMPLIANT"] > 100
    assert night.gauges["airflow.ecr_audit.published_at_seconds",] > 1.7e9
    assert night.timed >= {
        ("ecr_inventory", "scan_accounts"),
        ("ecr_inventory", "commit_snapshot"),
        ("ecr_compliance", "evaluate_policies"),
        ("ecr_compliance", "roll_up_frameworks"),
        ("ecr_compliance", "publish"),
    }


def test_the_lineage_of_a_night(night: Watchers, data: Path) -> None:
    def tables(*names: str) -> set[tuple[str, str]]:
        return {("file", f"{data}/lake/{name}") for name in names}

    inventory = tables(*(table.name for table in STAGES["inventory"]))
    verdicts, rolled_up = tables(POLICY_OUTPUT.name), tables(*(table.name for table in ROLLED_UP))
    database = {("file", f"{data}/publish/compliance.duckdb")}
    assert night.datasets("ecr_inventory.commit_snapshot") == {"inputs": set(), "outputs": inventory}
    reads, image_tags = tables(IMAGE_TAG_READS.name), tables(*(table.name for table in STAGES["image_tags"]))
    read = inventory | tables(IMAGE_TAG_READS.name, TAG_MOVES.name, TAG_ACTORS.name)
    assert night.datasets("ecr_image_tags.commit_tags") == {"inputs": inventory, "outputs": image_tags}
    assert night.datasets("ecr_compliance.evaluate_policies") == {"inputs": inventory | reads, "outputs": verdicts}
    assert night.datasets("ecr_compliance.roll_up_frameworks") == {"inputs": inventory | verdicts, "outputs": rolled_up}
    assert night.datasets("ecr_compliance.publish") == {"inputs": read | verdicts | rolled_up, "outputs": database}
    assert night.datasets("ecr_compliance.announce") == {"inputs": database, "outputs": set()}


def test_the_run_is_in_every_line_of_a_workers_log(night: Watchers, airflow: Airflow) -> None:
    """In the files that the UI shows, a JSON document a line; remote logging sends the same."""
    lines = [
        json.loads(line)
        for path in (airflow.home / "logs").rglob("*.log")
        if "dag_id=ecr_" in str(path)
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    ours = [line for line in lines if line.get("logger", "").startswith("ecr_audit")]
    assert ours
    for line in ours:
        assert line.keys() >= {"dag_id", "run_id", "task_id", "map_index", "try_number"}, line
