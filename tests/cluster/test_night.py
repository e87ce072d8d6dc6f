"""Nights on a cluster: the demo organization's, and one of 1,000 accounts in which everything fails that may fail."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_audit.demo.faults import Delay, Fault, Faults, Hang
from ecr_audit.demo.large import large_world
from ecr_audit.demo.server import EmulatedAws
from support.truth import assert_published_is_the_truth

pytestmark = [pytest.mark.airflow, pytest.mark.cluster, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
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


def test_a_batch_that_failed_is_healed_by_the_commands_of_the_document(
    cluster: Any, s3: Any, aws: EmulatedAws, tmp_path: Path
) -> None:
    """docs/operations.md, on the scheduled run: all of it is read again, and one batch is lost on the way."""
    [run_id] = cluster.runs("ecr_inventory")
    [night] = re.findall(r"scheduled__(.{16}):00\+00:00", run_id)
    judged = len(cluster.runs("ecr_compliance"))
    aws.faults = Faults([Fault(Hang(), service="ecr")])
    cluster.run("tasks", "clear", "ecr_inventory", "--start-date", night, "--end-date", night, "--yes")
    # Until what hangs is of all three, since a batch that was not yet at it would be done before it is ended.
    cluster.wait_for("batches under way", lambda: aws.counters.in_flight > 100)
    lost = next(task["pid"] for task in cluster.batches(run_id) if task["map_index"] == 1)
    cluster.fail_batch(run_id, 1)
    cluster.wait_for("its end", lambda: all(lost not in cluster.processes.pids(part) for part in WORKERS))
    aws.faults = Faults()
    # Red: a third of the accounts is under the minimum of coverage. What was read is published.
    assert cluster.finish("ecr_inventory", run_id) == "failed"
    cluster.wait_for("the compliance run", lambda: _judged(cluster, judged + 1))
    with duckdb.connect(str(newest_publication(s3, "demo/publish", tmp_path)), read_only=True) as published:
        [(targets,)] = published.sql("SELECT count(*) FROM scan_targets WHERE error_code = 'BatchLost'").fetchall()
    assert targets > 40

    aws.counters.targets.clear()
    follow_document(cluster, night)
    assert cluster.finish("ecr_inventory", run_id) == "success"
    cluster.wait_for("the compliance run", lambda: _judged(cluster, judged + 2))
    assert_published_is_the_truth(newest_publication(s3, "demo/publish", tmp_path), aws.world)
    # Only the accounts of that batch were read again.
    assert 0 < len({account_id for account_id, _ in aws.counters.targets}) <= 9


def _judged(cluster: Any, runs: int) -> bool:
    return [*cluster.runs("ecr_compliance").values()] == ["success"] * runs


def follow_document(cluster: Any, night: str) -> None:
    """Run what docs/operations.md says of a batch that failed, where the scheduler runs."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^## A batch that failed\n.*?^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    script, dates = re.subn(r"(?m)^NIGHT=.*$", f"NIGHT={night}", block)
    assert dates == 1
    environment = cluster.environment("init")
    path = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    done = subprocess.run(["bash", "-euc", script], env=environment | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


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
