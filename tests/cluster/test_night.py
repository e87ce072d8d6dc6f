"""Nights on a cluster: the demo organization's, and one of 1,000 accounts in which everything fails that may fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_audit.demo.faults import Delay, Fault, Faults
from ecr_audit.demo.large import large_world
from ecr_audit.demo.server import EmulatedAws

pytestmark = [pytest.mark.airflow, pytest.mark.cluster, pytest.mark.timeout(600)]

BUCKET = "audit"
WORKERS = ("worker-1", "worker-2")


def assert_published_is_the_truth(s3: Any, organization: str, aws: EmulatedAws, folder: Path) -> None:
    """Every target with its outcome and every repository once, in what was published to the bucket last."""
    latest = json.load(s3.get_object(Bucket=BUCKET, Key=f"{organization}/publish/latest.json")["Body"])
    database = folder / "compliance.duckdb"
    s3.download_file(BUCKET, f"{organization}/publish/versions/{latest['version']}/compliance.duckdb", str(database))
    with duckdb.connect(str(database), read_only=True) as published:
        outcomes = {
            (account_id, region): (outcome, count)
            for account_id, region, outcome, count in published.sql(
                "FROM scan_targets SELECT account_id, region, outcome, repository_count"
            ).fetchall()
        }
        names = published.sql("FROM repositories SELECT account_id, region, repository_name").fetchall()
    expected_outcomes, expected_names = {}, []
    for target in aws.world.targets():
        outcome = aws.world.outcome(*target)
        found = [each.name for each in aws.world.repositories(*target)] if outcome == "COLLECTED" else None
        expected_outcomes[target] = (outcome, None if found is None else len(found))
        expected_names += [(*target, name) for name in found or ()]
    assert outcomes == expected_outcomes
    assert sorted(names) == sorted(expected_names)


def batches(cluster: Any, run_id: str) -> list[dict[str, Any]]:
    return [task for task in cluster.tasks("ecr_inventory", run_id) if task["task_id"] == "scan_accounts"]


@pytest.fixture
def large_aws() -> Iterator[EmulatedAws]:
    """An organization of 1,000 accounts, slow enough for a scan to be met in the middle."""
    world = large_world(1_000, 6, unassumable_share=0.02, denied_share=0.01)
    with EmulatedAws(world, Faults([Fault(Delay(1.0), service="ecr")])) as emulated:
        yield emulated


def test_the_night_of_the_demo(cluster: Any, s3: Any, aws: EmulatedAws, tmp_path: Path) -> None:
    """The last night's run is due as soon as the scheduler starts; nobody triggers it."""
    cluster.wait_for("the nightly run", lambda: len(cluster.runs("ecr_inventory")) > 0)
    [run_id] = cluster.runs("ecr_inventory")
    cluster.follow(run_id)
    assert_published_is_the_truth(s3, "demo", aws, tmp_path)


def test_a_night_in_which_a_worker_redis_and_the_scheduler_fail(
    cluster: Any, redis: Any, s3: Any, large_aws: EmulatedAws, tmp_path: Path
) -> None:
    """1,000 accounts x 6 regions, in 10 batches over two workers with two slots each."""
    settings = {
        "AWS_ENDPOINT_URL": large_aws.endpoint_url,
        "ECR_AUDIT_LAKE": f"s3://{BUCKET}/large/lake",
        "ECR_AUDIT_PUBLISH": f"s3://{BUCKET}/large/publish",
        "ECR_AUDIT_BATCH_ACCOUNTS": "100",
    }
    cluster.stop_parts(*WORKERS)
    for worker in WORKERS:
        cluster.start_part(worker, **settings)
    run_id = cluster.trigger("ecr_inventory")

    def at_work() -> set[str | None]:
        """The workers that a batch runs on."""
        return {cluster.worker_of(task) for task in batches(cluster, run_id) if task["state"] == "running"}

    cluster.wait_for("batches on both workers", lambda: at_work() == set(WORKERS) and large_aws.counters.in_flight > 0)
    cluster.kill_part("worker-1")
    redis.stop()
    redis.start()
    cluster.kill_part("scheduler")
    large_aws.faults = Faults()
    cluster.start_part("scheduler")
    cluster.start_part("worker-1", **settings)

    cluster.follow(run_id)
    assert_published_is_the_truth(s3, "large", large_aws, tmp_path)
    ended = batches(cluster, run_id)
    assert [task["state"] for task in ended] == ["success"] * 10
    # What the dead worker had under way was run again.
    assert max(task["try_number"] for task in ended) == 2
