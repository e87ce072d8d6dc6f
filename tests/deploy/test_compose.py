"""docker-compose.yaml: what it refuses, how it is hardened, what it passes on; and `make secrets`."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecr_audit.demo import identities
from ecr_audit.demo.organization import EXTERNAL_ID
from ecr_audit.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(TEXT)["services"]
AIRFLOW = {"init", "api-server", "scheduler", "dag-processor", "triggerer", "worker", "worker-demo"}
WORKERS = {"worker", "worker-demo"}
SECRETS = (
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "AIRFLOW_FERNET_KEY",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_SECRET_KEY",
    "AIRFLOW_ADMIN_PASSWORD",
)
REQUIRED = ("COMPOSE_PROFILES", *SECRETS)


def compose() -> list[str]:
    """The command of Compose here: the plugin of today, or the program of before."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0:
        return [docker, "compose"]
    if program := shutil.which("docker-compose"):
        return [program]
    pytest.skip("Compose is not installed (apt-get install docker-compose)")


def config(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`docker compose config` in a folder with nothing of the outer environment but PATH."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    command = [*compose(), *arguments, "config"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the file and an .env that `make secrets` made."""
    for name in ("docker-compose.yaml", ".env.example", "bin/new_secrets.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run([sys.executable, "bin/new_secrets.py"], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def settings_of(folder: Path) -> dict[str, str]:
    lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_secrets_are_fresh_private_and_never_overwritten(folder: Path) -> None:
    env = folder / ".env"
    made = settings_of(folder)
    assert made.keys() == {*REQUIRED}
    assert all(len(made[name]) >= 43 for name in SECRETS)
    assert len(set(made.values())) == len(made)
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    again = subprocess.run([sys.executable, "bin/new_secrets.py"], cwd=folder, capture_output=True, text=True)
    assert again.returncode == 1
    assert f"{env} is there" in again.stdout
    assert settings_of(folder) == made


@pytest.mark.parametrize("name", REQUIRED)
def test_each_secret_is_required_and_has_no_default(name: str) -> None:
    uses = re.findall(rf"\$\{{{name}([^}}]*)\}}", TEXT)
    assert [use for use in uses if use.startswith(f":?{name} is unset.")], "nothing starts without it"
    assert not [use for use in uses if use and not use.startswith(":?")], "it has a default"


@pytest.mark.parametrize("profile", ["aws", "demo"])
def test_compose_takes_the_file(folder: Path, profile: str) -> None:
    done = config(folder, "--profile", profile)
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert ("aws" in services, "worker-demo" in services, "worker" in services) in (
        (profile == "demo", profile == "demo", profile == "aws"),
        (True, True, True),  # Compose 1 shows all profiles
    )


@pytest.mark.parametrize("name", REQUIRED)
def test_compose_refuses_a_missing_secret_by_its_name(folder: Path, name: str) -> None:
    env = folder / ".env"
    env.write_text(re.sub(rf"^{name}=.*$", f"{name}=", env.read_text("utf-8"), flags=re.MULTILINE), encoding="utf-8")
    done = config(folder)
    assert done.returncode != 0
    # Compose 1 also shows all that it was reading, so the name is in the message itself.
    assert f"{name} is unset." in done.stderr


def test_only_the_ui_is_published_and_on_this_machine() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "api-server": ["${UI_ADDRESS:-127.0.0.1}:${UI_PORT:-8080}:8080"]
    }


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_hardened_bounded_and_watched(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert "privileged" not in service
    # The image of the audit has a user of its own; the others' start as root unless told.
    assert service["image"] == "ecr-audit" or service["user"] not in ("root", "0")
    assert service["restart"] == ("no" if name == "init" else "unless-stopped")
    assert "healthcheck" in service or name == "init"


def test_workers_get_no_key_of_the_control_plane() -> None:
    control = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET"}
    assert {name for name in AIRFLOW if control <= SERVICES[name]["environment"].keys()} == AIRFLOW - WORKERS
    assert {name for name in WORKERS if control & SERVICES[name]["environment"].keys()} == set()


def test_every_setting_of_the_audit_can_be_given() -> None:
    """The worker gets each; where the data are is the file's to say, and the date is for a single run."""
    known = {f"ECR_AUDIT_{name.upper()}" for name in Settings.model_fields} - {"ECR_AUDIT_SNAPSHOT_DATE"}
    environment = SERVICES["worker"]["environment"]
    assert {name for name in environment if name.startswith("ECR_AUDIT_")} == known


def test_the_dag_processor_can_send_alerts() -> None:
    """It runs the callbacks: with the settings and credentials of a worker, on data that it can only read."""
    processor, worker = SERVICES["dag-processor"], SERVICES["worker"]
    needed = {name for name in worker["environment"] if name.startswith(("AWS_", "ECR_AUDIT_"))}
    assert needed <= processor["environment"].keys()
    assert "data:/opt/airflow/data:ro" in processor["volumes"]


def test_the_demo_knows_nothing_of_the_environment() -> None:
    """Its worker can reach the emulated AWS only, whatever credentials .env holds."""
    environment = SERVICES["worker-demo"]["environment"]
    own = {name: value for name, value in environment.items() if name.startswith(("AWS_", "ECR_AUDIT_"))}
    assert None not in own.values()
    assert not [value for value in own.values() if "$" in value]
    assert own["AWS_ACCESS_KEY_ID"] == identities.HUB_ACCESS_KEY_ID
    assert own["AWS_SECRET_ACCESS_KEY"] == identities.HUB_SECRET_ACCESS_KEY
    assert own["ECR_AUDIT_EXTERNAL_ID"] == EXTERNAL_ID
    assert own["AWS_ENDPOINT_URL"] == "http://aws:4566"


def test_the_image_is_of_the_airflow_that_is_locked() -> None:
    image, lock = ((ROOT / name).read_text(encoding="utf-8") for name in ("Dockerfile", "requirements.txt"))
    [tag] = re.findall(r"^FROM apache/airflow:(\S+)$", image, flags=re.MULTILINE)
    [version] = re.findall(r"^apache-airflow==(\S+)", lock, flags=re.MULTILINE)
    assert tag == f"{version}-python3.11"


def test_every_part_but_the_demos_is_watched_where_the_environment_says() -> None:
    """And waits for no watcher that is away, see docs/observability.md."""
    watched = {"api-server", "scheduler", "dag-processor", "triggerer", "worker"}
    for name in AIRFLOW:
        environment = SERVICES[name]["environment"]
        assert ("AIRFLOW__METRICS__OTEL_ON" in environment) == (name in watched)
        assert ("AIRFLOW__OPENLINEAGE__TRANSPORT" in environment) == (name in watched)
    assert SERVICES["worker"]["environment"]["OTEL_EXPORTER_OTLP_TIMEOUT"] == "${OTEL_EXPORTER_OTLP_TIMEOUT:-2}"
