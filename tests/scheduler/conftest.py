"""A real Airflow: api-server, scheduler and DAG processor as processes of their own, LocalExecutor, over the demo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from demo.emulated_aws.faults import Fault, Faults, Hang
from demo.emulated_aws.server import EmulatedAws
from demo.emulated_aws.world import World, stored
from demo.organization import REMEDIATION_ROLE, demo_world
from support.airflow import Airflow, on_sqlite, password_of, settings_of_the_demo
from support.receivers import Http

from .remediation import Remediation
from .watchers import Watchers

# Users of Airflow. Only the last one is not among ECR_AUDIT_APPROVERS.
USERS = {"alice": "admin", "bob": "user", "eve": "user"}

# Numbers of repositories whose owners name the tags that move, so that the plan goes by that after a single night.
NAMED = {
    ("210000000016", "us-east-1"): 3,
    ("210000000017", "us-east-1"): 3,
    ("210000000018", "eu-central-1"): 1,
    ("210000000023", "us-west-2"): 1,
}


def _named_by_owners(world: World) -> World:
    """The number in NAMED of repositories that are not immutable; those that are MUTABLE_WITH_EXCLUSION come first."""
    named = {}
    for target, number in NAMED.items():
        found = world.repositories(*target)
        loose = [each for each in found if str(each.image_tag_mutability).startswith("MUTABLE")]
        loose.sort(key=lambda each: each.image_tag_mutability == "MUTABLE")
        moving = dict(zip((each.name for each in loose[:number]), ("", "latest", "latest main"), strict=False))
        named[target] = [
            replace(each, tags={**(each.tags or {}), "ecr-audit:moving-tags": moving[each.name]})
            if each.name in moving
            else each
            for each in found
        ]
    source = world.repository_source
    return replace(world, repository_source=lambda *target: stored(named)(*target) or source(*target))


@pytest.fixture(scope="package")
def aws() -> Iterator[EmulatedAws]:
    """The demo organization's first night, in which ECR does not answer until a test allows it."""
    with EmulatedAws(_named_by_owners(demo_world(1)), Faults([Fault(Hang(), service="ecr")])) as emulated:
        yield emulated


@pytest.fixture(scope="package")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is audited into."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="package")
def waivers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of waivers; none are in it."""
    path = tmp_path_factory.mktemp("accepted") / "waivers.yaml"
    path.write_text("waivers: []\n")
    return path


@pytest.fixture(scope="package")
def watchers() -> Iterator[Watchers]:
    """Where Airflow sends its metrics and its lineage."""
    started = Watchers()
    yield started
    started.close()


@pytest.fixture(scope="package")
def slack() -> Iterator[Http]:
    """Takes the alerts."""
    with Http() as receiver:
        yield receiver


@pytest.fixture(scope="package")
def airflow(
    aws: EmulatedAws,
    data: Path,
    waivers: Path,
    watchers: Watchers,
    slack: Http,
    airflow_tables: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Airflow]:
    """Airflow, set up to audit the emulated AWS, watched, and sending alerts."""
    home = tmp_path_factory.mktemp("airflow")
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({user: password_of(user) for user in USERS}))
    settings = settings_of_the_demo(aws.endpoint_url) | {
        "AIRFLOW__CORE__PARALLELISM": "3",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
        # Seconds between two looks for approvals whose time is up; 15 by default.
        "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
        "ECR_AUDIT_DATA": str(data),
        "ECR_AUDIT_WAIVERS": str(waivers),
        "AIRFLOW__METRICS__OTEL_ON": "True",
        "OTEL_EXPORTER_OTLP_ENDPOINT": watchers.url,
        # As in docs/observability.md, so that no task waits for a watcher that is not there.
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
            {"type": "http", "url": watchers.url, "timeout": 2, "retry": {"total": 1}}
        ),
        "ECR_AUDIT_ALERT_SLACK_CONN_ID": "alerts",
        "ECR_AUDIT_REMEDIATION_ROLE_NAME": REMEDIATION_ROLE,
        "ECR_AUDIT_APPROVERS": "alice,bob",
        "ECR_AUDIT_FOUR_EYES": "true",
    }
    airflow = on_sqlite(Airflow(home, settings), airflow_tables)
    try:
        airflow.start_part("api-server")
        # A task that cannot reach it would fail, and wait for its second try.
        airflow.wait_for("the API", lambda: airflow.log_in("alice"))
        # As people do in the UI, so that every part of Airflow has to ask for it; before the others start, since
        # they write to the same SQLite, which answers whoever comes second with an error.
        airflow.connect("alerts", **json.loads(slack.connection))
        airflow.start_part("scheduler")
        airflow.start_part("dag-processor")
        airflow.wait_for_the_dags()
        yield airflow
    finally:
        airflow.processes.kill_all()


@pytest.fixture
def remediation(airflow: Airflow, aws: EmulatedAws, data: Path) -> Remediation:
    """Runs of ecr_remediation, once a night is published."""
    aws.faults = Faults()
    airflow.wait_for("the end of a night", lambda: "success" in airflow.runs("ecr_compliance").values())
    return Remediation(airflow, aws, data)
