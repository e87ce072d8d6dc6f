"""Nights on a cluster: the demo organization's, and one of another in which everything fails that may fail."""

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
import httpx
import pytest

from demo.emulated_aws.faults import Delay, Fault, Faults
from demo.emulated_aws.server import EmulatedAws
from demo.large import large_world
from support.processes import PATIENCE
from support.truth import assert_published_is_the_truth

from .conftest import Cluster, Redis

pytestmark = [pytest.mark.airflow, pytest.mark.cluster]

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
    """An organization of 60 accounts, slow enough for a scan to be met in the middle."""
    world = large_world(60, 6, unassumable_share=0.05, denied_share=0.02)
    with EmulatedAws(world, Faults([Fault(Delay(10), service="ecr")])) as emulated:
        yield emulated


def test_a_batch_that_failed_is_healed_by_the_commands_of_the_document(
    cluster: Cluster, s3: Any, aws: EmulatedAws, tmp_path: Path
) -> None:
    """docs/operations.md, on the scheduled run, in which one batch is lost on the way."""
    run_id = cluster.scheduled_night()
    [night] = re.findall(r"scheduled__(.{16}):00\+00:00", run_id)
    # Until what hangs is of all three, since a batch that was not yet at it would be done before it is ended.
    cluster.wait_for("batches under way", lambda: aws.counters.in_flight > 100)
    lost = next(task["pid"] for task in cluster.batches(run_id) if task["map_index"] == 1)
    cluster.fail_batch(run_id, 1)
    cluster.wait_for("its end", lambda: all(lost not in cluster.processes.pids(part) for part in WORKERS))
    aws.faults = Faults()
    # Red: a third of the accounts is under the minimum of coverage. What was read is published.
    assert cluster.finish("ecr_inventory", run_id) == "failed"
    cluster.wait_for("the compliance run", lambda: _evaluated(cluster, 1))
    with duckdb.connect(str(newest_publication(s3, "demo/publish", tmp_path)), read_only=True) as published:
        [(targets,)] = published.sql("SELECT count(*) FROM scan_targets WHERE error_code = 'BatchLost'").fetchall()
    assert targets > 40

    aws.counters.targets.clear()
    follow_document(cluster, night)
    assert cluster.finish("ecr_inventory", run_id) == "success"
    cluster.wait_for("the compliance run", lambda: _evaluated(cluster, 2))
    assert_published_is_the_truth(newest_publication(s3, "demo/publish", tmp_path), aws.world)
    # Only the accounts of that batch were read again.
    assert 0 < len({account_id for account_id, _ in aws.counters.targets}) <= 9


# Requests, and their answers to users of FAB's own roles and to an Auditor.
ACCESS = {
    "ecr-audit/": {"Viewer": 403, "User": 403, "Auditor": 200},
    "ecr-audit/findings.csv": {"Viewer": 403, "User": 403, "Auditor": 200},
    "api/v2/plugins": {"Viewer": 403, "User": 403, "Auditor": 200},
    "api/v2/dags": {"Viewer": 200, "User": 200, "Auditor": 200},
    "api/v2/dags/ecr_inventory/dagRuns": {"Viewer": 200, "User": 200, "Auditor": 200},
    "api/v2/dags/ecr_inventory/dagRuns/~/taskInstances": {"Viewer": 200, "User": 200, "Auditor": 200},
    "api/v2/connections": {"Viewer": 403, "User": 403, "Auditor": 403},
    "api/v2/variables": {"Viewer": 403, "User": 403, "Auditor": 403},
    "api/v2/pools": {"Viewer": 200, "User": 200, "Auditor": 403},
    "auth/fab/v1/users": {"Viewer": 403, "User": 403, "Auditor": 403},
}
CHANGES: tuple[tuple[str, str, dict[str, bool]], ...] = (
    ("PATCH", "api/v2/dags/ecr_inventory", {"is_paused": True}),
    ("POST", "api/v2/connections", {}),
)


def test_an_auditor_sees_the_pages_and_changes_nothing(cluster: Cluster) -> None:
    answers: dict[str, dict[str, int]] = {path: {} for path in ACCESS}
    with httpx.Client(base_url=f"{cluster.url}/", timeout=PATIENCE, trust_env=False) as client:
        for role in ("Viewer", "User", "Auditor"):
            cluster.make_user(role.lower(), role)
            login = {"username": role.lower(), "password": role.lower()}
            token = client.post("auth/token", json=login).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            for path in ACCESS:
                answers[path][role] = client.get(path).status_code
        assert answers == ACCESS
        assert [client.request(method, path, json=body).status_code for method, path, body in CHANGES] == [403, 403]
        run = client.post("api/v2/dags/ecr_inventory/dagRuns", json={"logical_date": None})
        assert run.status_code == 403


def test_behind_a_proxy_with_tls_no_cookie_and_no_address_is_of_http(cluster: Cluster) -> None:
    """As docs/proxy.md has it, with the headers that its proxy sends."""
    headers = {"Host": "tools.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    with httpx.Client(base_url=f"{cluster.url}/", headers=headers, timeout=PATIENCE, trust_env=False) as client:
        form = client.get("auth/login/")
        [csrf_token] = re.findall(r'name="csrf_token"[^>]* value="([^"]+)"', form.text)
        [(name, value)] = [(cookie.name, cookie.value) for cookie in form.cookies.jar]
        assert name == "session"
        login = {"csrf_token": csrf_token, "username": "admin", "password": "of-this-test-only"}
        referer = {"Referer": "https://tools.example.com/airflow/auth/login/", "Cookie": f"session={value}"}
        done = client.post("auth/login/", data=login, headers=referer)
        assert (done.status_code, done.headers["location"]) == (302, "/airflow/auth/")
        # The last one counts; httpx keeps none of them, for its own requests are by http.
        session = done.headers.get_list("set-cookie")[-1].partition(";")[0]
        home = client.get("auth/", headers={"Cookie": session})
        assert (home.status_code, home.headers["location"]) == (302, "https://tools.example.com/airflow")
        cookies = [each for answer in (form, done, home) for each in answer.headers.get_list("set-cookie")]
        assert {cookie.partition("=")[0] for cookie in cookies} == {"session", "_token"}
        for cookie in cookies:
            words = {word.strip() for word in cookie.split(";")[1:]}
            assert {"Secure", "HttpOnly", "Path=/airflow/"} <= words, cookie
            assert words & {"SameSite=Lax", "SameSite=lax"}, cookie
        leads = {
            path: client.get(path).headers.get("location", "") for path in ("ecr-audit", "ecr-audit/findings/", "")
        }
        assert [path for path, address in leads.items() if address.startswith("http://")] == []


def test_a_part_whose_work_cannot_be_done_is_not_healthy(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The execution API below a path: what was so when workers had another address of it than it answers at."""
    parts = {"execution-api", "worker-1"}
    assert {part for part in parts if cluster.is_healthy(part)} == parts
    elsewhere = f"{cluster.url}/execution/"
    whole = cluster.environment
    monkeypatch.setattr(
        cluster, "environment", lambda part: whole(part) | {"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": elsewhere}
    )
    assert {part for part in parts if cluster.is_healthy(part)} == set()


def _evaluated(cluster: Cluster, runs: int) -> bool:
    return [*cluster.runs("ecr_compliance").values()] == ["success"] * runs


def follow_document(cluster: Cluster, night: str) -> None:
    """Run the commands of docs/operations.md for a batch that failed, where the scheduler runs."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^## A batch that failed\n.*?^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    script, dates = re.subn(r"(?m)^NIGHT=.*$", f"NIGHT={night}", block)
    assert dates == 1
    environment = cluster.environment("init")
    path = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    done = subprocess.run(["bash", "-euc", script], env=environment | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_night_in_which_a_worker_redis_and_the_scheduler_fail(
    cluster: Cluster, redis: Redis, s3: Any, large_aws: EmulatedAws, tmp_path: Path
) -> None:
    """In 6 batches over two workers with two slots each: two are still queued."""
    settings = {
        "AWS_ENDPOINT_URL": large_aws.endpoint_url,
        "ECR_AUDIT_LAKE": f"s3://{BUCKET}/large/lake",
        "ECR_AUDIT_PUBLISH": f"s3://{BUCKET}/large/publish",
        "ECR_AUDIT_BATCH_ACCOUNTS": "10",
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
    assert [task["state"] for task in batches] == ["success"] * 6
    # The tasks of the dead worker were run again.
    assert max(task["try_number"] for task in batches) == 2
