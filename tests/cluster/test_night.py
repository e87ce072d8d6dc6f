"""Nights on a cluster: the demo organization's, and one of 1,000 accounts in which everything fails that may fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecr_audit.demo.faults import Delay, Fault, Faults
from ecr_audit.demo.large import large_world
from ecr_audit.demo.server import EmulatedAws
from support.truth import assert_published_is_the_truth

pytestmark = [pytest.mark.airflow, pytest.mark.cluster, pytest.mark.timeout(600)]

BUCKET = "audit"
WORKERS = {"worker-1", "worker-2"}


def newest_publication(s3: Any, prefix: str, folder: Path) -> Path:
    """The DuckDB file that `latest.json` of a place in the bucket names, downloaded."""
    latest = json.load(s3.get_object(Bucket=BUCKET, Key=f"{prefix}/latest.json")["Body"])
    database = folder / "compliance.duckdb"
    s3.download_file(BUCKET, f"{prefix}/versions/{latest['version']}/compliance.duckdb", str(database))
    return database


@pytest.fixture
def large_aws() -> Iterator[EmulatedAws]:
    """An organization of 1,000 accounts, slow enough for a scan to be met in the middle."""
    world = large_world(1_000, 6, unassumable_share=0.02, denied_share=0.01)
    with EmulatedAws(world, Faults([Fault(Delay(1.0), service="ecr")])) as emulated:
        yield emulated


def test_the_night_of_the_demo(cluster: Any, s3: Any, aws: EmulatedAws, tmp_path: Path) -> None:
    cluster.finish_night(cluster.scheduled_night())
    assert_published_is_the_truth(newest_publication(s3, "demo/publish", tmp_path), aws.world)


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
    cluster.processes.stop(*WORKERS)
    for worker in WORKERS:
        cluster.start_part(worker, **settings)
    run_id = cluster.trigger("ecr_inventory")
    cluster.wait_for(
        "batches on both workers",
        lambda: cluster.workers_at_work(run_id) == WORKERS and large_aws.counters.in_flight > 0,
    )
    cluster.processes.kill("worker-1")
    redis.stop()
    redis.start()
    cluster.processes.kill("scheduler")
    large_aws.faults = Faults()
    cluster.start_part("scheduler")
    cluster.start_part("worker-1", **settings)

    cluster.finish_night(run_id)
    assert_published_is_the_truth(newest_publication(s3, "large/publish", tmp_path), large_aws.world)
    batches = cluster.batches(run_id)
    assert [task["state"] for task in batches] == ["success"] * 10
    # What the dead worker had under way was run again.
    assert max(task["try_number"] for task in batches) == 2
