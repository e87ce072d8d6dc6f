"""The command behind `make doctor` and `make doctor-demo`, run as people run it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from demo.emulated_aws.identities import HUB_ACCESS_KEY_ID, HUB_SECRET_ACCESS_KEY
from support.paths import PYTHONPATH, ROOT
from support.processes import PATIENCE

from .conftest import AwsWithAClock

Doctor = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    """Runs the command in this process's environment, less the variables that are set to None."""

    def run(where: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
        environment: dict[str, str | None] = {
            **os.environ,
            "PYTHONPATH": PYTHONPATH,
            **changes,
        }
        given = {name: value for name, value in environment.items() if value is not None}
        command = [sys.executable, str(ROOT / "bin" / "doctor.py"), where]
        return subprocess.run(command, env=given, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)

    return run


def test_on_the_demo_it_checks_the_organization_of_the_second_night(doctor: Doctor, tmp_path: Path) -> None:
    """Whatever credentials and settings the environment holds for a real organization."""
    real = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_PROFILE": "production", "ECR_AUDIT_AWS_CONN_ID": "aws"}
    done = doctor("demo", ECR_AUDIT_DATA=str(tmp_path / "data"), **real)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line]
    assert [line[0] for line in lines if line[0] in ("ok", "warn", "FAIL", "skipped")].count("ok") == 15
    # The demo collects all facets, and the role of one of its accounts is older than one of them.
    assert "ecr:GetLifecyclePolicy fails in 1 of" in done.stdout and "ReadLifecycle=true" in done.stdout
    assert "210000000025 acquired-courier-legacy: AccessDenied" in done.stdout
    assert "210000000019 payments-dev, ap-southeast-1: AccessDeniedException" in done.stdout
    assert "27 accounts, 26 of them active" in done.stdout and "a night would read 88.1 %" in done.stdout
    [ignored] = [line for line in done.stdout.splitlines() if line.startswith("Ignored in the demo: ")]
    assert {*real} <= {*ignored.removeprefix("Ignored in the demo: ").split(", ")}
    assert "ECR_AUDIT_DATA" not in ignored
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("program", "arguments", "path", "missing", "target"),
    [
        ("doctor", ["aws"], None, "ecr_audit", "make doctor"),
        ("audit", ["aws"], None, "ecr_audit", "make audit-aws"),
        ("as_of", ["2026-10-31"], None, "ecr_audit", "make as-of"),
        ("docs", [], None, "ecr_audit", "make docs"),
        ("doctor", ["demo"], str(ROOT / "plugins"), "demo", "make doctor-demo"),
        ("audit", ["demo"], str(ROOT / "plugins"), "demo", "make audit"),
    ],
)
def test_outside_make_a_missing_module_is_reported_with_the_command_to_use(
    program: str, arguments: list[str], path: str | None, missing: str, target: str, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"ECR_AUDIT_DATA": str(tmp_path)} | ({"PYTHONPATH": path} if path else {})
    command = [sys.executable, str(ROOT / "bin" / f"{program}.py"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"PYTHONPATH: the module '{missing}' is not found.")
    assert target in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_healthy_organization(aws: AwsWithAClock, doctor: Doctor) -> None:
    done = doctor("aws")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing found that would make a nightly run fail." in done.stdout
    assert "warn" not in done.stdout


def test_a_fault_is_reported_with_advice_and_fails(aws: AwsWithAClock, doctor: Doctor) -> None:
    """And hostile names stay text: neither the markup of the console nor a terminal's escape sequences."""
    changed = replace(aws.world.accounts["100000000001"], name="[red]\x1b[2J[/nope]")
    aws.world = replace(aws.world, accounts={**aws.world.accounts, changed.id: changed})
    done = doctor("aws", ECR_AUDIT_EXTERNAL_ID="open-up")
    assert done.returncode == 1
    assert "refused in all 3 accounts" in done.stdout
    assert "-> AWS gives no reason." in done.stdout
    assert "1 to fix" in done.stdout
    assert "open-up" not in done.stdout + done.stderr
    assert "[red] [2J[/nope]" in done.stdout
    assert "\x1b" not in done.stdout


def test_an_unknown_airflow_connection(aws: AwsWithAClock, doctor: Doctor, tmp_path: Path) -> None:
    home = str(tmp_path / "airflow")
    done = doctor("aws", ECR_AUDIT_AWS_CONN_ID="nowhere", AIRFLOW_HOME=home, AIRFLOW__CORE__LOAD_EXAMPLES="False")
    assert done.returncode == 1
    assert "nowhere" in done.stdout


def test_connections_of_airflows_database_are_found(
    aws: AwsWithAClock, doctor: Doctor, tmp_path: Path, airflow_tables: Path
) -> None:
    """Where people keep them: the hub's, PostgreSQL's, which nobody listens for, and Slack's, with no secret."""
    home = tmp_path / "airflow"
    home.mkdir()
    shutil.copy(airflow_tables, home)
    with closing(sqlite3.connect(home / "airflow.db")) as database, database:
        database.executemany(
            "INSERT INTO connection (conn_id, conn_type, host, port, login, password, is_encrypted, is_extra_encrypted)"
            " VALUES (?, ?, ?, ?, ?, ?, FALSE, FALSE)",
            [
                ("hub", "aws", None, None, HUB_ACCESS_KEY_ID, HUB_SECRET_ACCESS_KEY),
                ("bi", "postgres", "127.0.0.1", 1, "audit", "unused"),
                ("slack_alerts", "slackwebhook", None, None, None, None),
            ],
        )
    done = doctor(
        "aws",
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AWS_ACCESS_KEY_ID=None,
        AWS_SECRET_ACCESS_KEY=None,
        ECR_AUDIT_AWS_CONN_ID="hub",
        ECR_AUDIT_POSTGRES_CONN_ID="bi",
        ECR_AUDIT_ALERT_SLACK_CONN_ID="slack_alerts",
    )
    assert done.returncode == 1
    reported = " ".join(done.stdout.split())
    assert "ok Role in the accounts" in reported, done.stdout + done.stderr
    assert (
        "FAIL PostgreSQL" in reported
        and "127.0.0.1" in reported
        and "FAIL Alerts" in reported
        and "has no password" in reported
    )
    assert "isn't defined" not in reported and "2 to fix" in reported
