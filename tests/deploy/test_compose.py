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
from urllib.parse import urlsplit

import botocore
import botocore.configprovider
import pytest
import yaml

from demo.environment import demo_settings
from ecr_audit.inventory.batches import MOST_BATCHES
from ecr_audit.settings import AlertSettings, Settings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(TEXT)["services"]
AIRFLOW = {
    "init",
    "api-server",
    "execution-api",
    "scheduler",
    "dag-processor",
    "triggerer",
    "worker",
    "worker-demo",
}
WORKERS = {"worker", "worker-demo"}
NETWORKS: dict[str, Any] = yaml.safe_load(TEXT)["networks"]
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
    assert made.keys() == {*REQUIRED, "UI_PORT", "UI_URL"}
    assert (folder / "files" / "pages").is_dir()
    assert all(len(made[name]) >= 43 for name in SECRETS)
    assert len(set(made.values())) == len(made)
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    again = subprocess.run([sys.executable, "bin/new_secrets.py"], cwd=folder, capture_output=True, text=True)
    assert again.returncode == 1
    assert f"{env} already exists" in again.stdout
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
    # The image of the audit has a user of its own; the others' start as root unless the file names one.
    assert service["image"] in ("ecr-audit", "ecr-audit-demo") or service["user"] not in ("root", "0")
    assert service["restart"] == ("no" if name == "init" else "unless-stopped")
    # Those of Airflow by the image's own check (test_health.py), which must not be taken away.
    assert "healthcheck" in service or name in AIRFLOW
    assert ("healthcheck" in service) == (name in ("init", "postgres", "redis", "aws"))


# Who may reach whom.
MEMBERS = {
    "control": {"postgres", "init", "api-server", "execution-api", "scheduler", "dag-processor", "triggerer"},
    "queue": {"redis", "scheduler", "worker", "worker-demo"},
    "execution": {"execution-api", "worker", "worker-demo"},
    "ui": {"api-server"},
    "outside": {"scheduler", "dag-processor", "triggerer", "worker"},
    "demo": {"aws", "worker-demo"},
}


def test_networks_are_apart() -> None:
    """No worker reaches the database or the web server, no database the internet, and no demo a real AWS."""
    found = {name: {each for each, service in SERVICES.items() if name in service["networks"]} for name in NETWORKS}
    assert found == MEMBERS
    inner = {name for name, network in NETWORKS.items() if network.get("internal")}
    assert inner == {"control", "queue", "execution", "demo"}
    # A published port needs a network that is not internal; packets of the web server's own go nowhere.
    [(option, value)] = NETWORKS["ui"]["driver_opts"].items()
    assert (option, value) == ("com.docker.network.bridge.enable_ip_masquerade", "${UI_OUTBOUND:-false}")


def test_a_service_reaches_the_services_that_it_depends_on() -> None:
    for name, service in SERVICES.items():
        for other in service.get("depends_on", {}):
            if other != "init":
                assert {*service["networks"]} & {*SERVICES[other]["networks"]}, f"{name} needs {other}"


def test_workers_ask_the_execution_api_where_it_answers() -> None:
    """Whatever path people reach the UI at: below the path of its own base_url, which has none."""
    server = SERVICES["execution-api"]
    assert server["environment"]["AIRFLOW__API__BASE_URL"] == "http://execution-api:8080"
    for name in AIRFLOW:
        asked = SERVICES[name]["environment"]["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
        assert asked == f"{server['environment']['AIRFLOW__API__BASE_URL']}/execution/"
        own = SERVICES[name]["environment"]["AIRFLOW__API__BASE_URL"]
        assert name == "execution-api" or own == "${UI_URL:-http://localhost:8080}"
    commands = [SERVICES[name]["command"].split() for name in ("api-server", "execution-api")]
    assert [command[:3] for command in commands] == [
        ["api-server", "--apps", "core"],
        ["api-server", "--apps", "execution"],
    ]


@pytest.mark.parametrize(("port", "url"), [("8080", "http://localhost:8080"), ("9090", "http://localhost:9090")])
def test_the_port_of_the_ui_is_set_once(folder: Path, port: str, url: str) -> None:
    env = folder / ".env"
    env.write_text(env.read_text("utf-8").replace("UI_PORT=8080", f"UI_PORT={port}"), encoding="utf-8")
    done = config(folder)
    assert done.returncode == 0, done.stderr
    server = yaml.safe_load(done.stdout)["services"]["api-server"]
    assert server["environment"]["AIRFLOW__API__BASE_URL"] == url
    assert f"{port}:8080" in str(server["ports"]) or f"'published': {port}" in str(server["ports"]).replace('"', "'")


def test_workers_get_no_key_of_the_control_plane() -> None:
    control = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET"}
    assert {name for name in AIRFLOW if control <= SERVICES[name]["environment"].keys()} == AIRFLOW - WORKERS
    assert {name for name in WORKERS if control & SERVICES[name]["environment"].keys()} == set()


def test_only_users_of_the_queue_have_its_password() -> None:
    holders = {name for name in AIRFLOW if "AIRFLOW__CELERY__BROKER_URL" in SERVICES[name]["environment"]}
    assert holders == {"scheduler", *WORKERS}


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_stands_on_a_command_line(name: str) -> None:
    """Whoever may list processes reads those: a password comes through the environment or standard input."""
    service = SERVICES[name]
    line = (
        f"{service.get('command', '')} {service.get('entrypoint', '')} {service.get('healthcheck', {}).get('test', '')}"
    )
    assert not re.search(r"--password|--pass\b|-p |--broker|PASSWORD\}", line)
    # A shell's here-document and an assignment before a command are not on any command line.
    shown = re.sub(r"<<CONFIGURATION.*?CONFIGURATION|\w+=\"\$\$\w+\" ", "", line, flags=re.DOTALL)
    assert not re.search(r"PASSWORD|SECRET|_KEY", shown)


def test_every_setting_of_the_audit_can_be_given() -> None:
    """The worker gets each; where the data are is the file's to say, and the date is for a single run."""
    known = {f"ECR_AUDIT_{name.upper()}" for name in Settings.model_fields} - {"ECR_AUDIT_SNAPSHOT_DATE"}
    environment = SERVICES["worker"]["environment"]
    assert {name for name in environment if name.startswith("ECR_AUDIT_")} == known


CREDENTIALS = re.compile(r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|PROFILE|ROLE_ARN|WEB_IDENTITY\w+)")


def test_only_workers_have_the_power_of_the_hub() -> None:
    """Credentials, external id, and a lake that can be written; for the others there are roles of their own."""
    for name in AIRFLOW - WORKERS:
        service = SERVICES[name]
        assert [each for each in service["environment"] if CREDENTIALS.fullmatch(each)] == []
        assert "ECR_AUDIT_EXTERNAL_ID" not in service["environment"]
        assert [
            volume for volume in service["volumes"] if volume.startswith("data:") and not volume.endswith(":ro")
        ] == []


def test_the_web_server_knows_only_where_publications_are() -> None:
    server = SERVICES["api-server"]
    ours = {name: value for name, value in server["environment"].items() if name.startswith("ECR_AUDIT_")}
    assert ours == {
        "ECR_AUDIT_PUBLISH": "${ECR_AUDIT_PUBLISH:-/opt/airflow/data/publish}",
        "ECR_AUDIT_DATA": "/tmp/ecr-audit",
    }
    # The same place as a worker's, which has none given.
    assert Settings(data=Path(SERVICES["worker"]["environment"]["ECR_AUDIT_DATA"])).publish_root == (
        "/opt/airflow/data/publish"
    )
    # Nor does it ask the machine for a role, which is the hub's.
    assert server["environment"]["AWS_EC2_METADATA_DISABLED"] == "true"
    assert "${FILES:-./files}/pages:/files:ro" in server["volumes"]


def test_the_dag_processor_can_send_alerts() -> None:
    """It runs the callbacks: by the settings for alerts, on data that it can only read."""
    processor = SERVICES["dag-processor"]
    needed = {f"ECR_AUDIT_{name.upper()}" for name in (*AlertSettings.model_fields, "publish", "lake", "data")}
    assert {name for name in processor["environment"] if name.startswith("ECR_AUDIT_")} == needed
    assert {"data:/opt/airflow/data:ro", "${FILES:-./files}/callbacks:/files:ro"} <= {*processor["volumes"]}


# Variables of botocore's that are not handed on, and can be given in no file.
NOT_HANDED_ON = {
    "AWS_DEFAULT_PROFILE": "AWS_PROFILE is the same",
    "AWS_SECURITY_TOKEN": "AWS_SESSION_TOKEN is the same",
    "AWS_DATA_PATH": "models of services that are not AWS's",
    "AWS_EC2_METADATA_V1_DISABLED": "IMDSv1 is the instance's to switch off",
    "AWS_ACCOUNT_ID": "the audit asks AWS for it",
    "AWS_CREDENTIAL_EXPIRATION": "what a program prints that hands out credentials",
    "AWS_CREDENTIAL_FILE": "a file of boto 2",
    "AWS_EXECUTION_ENV": "set by AWS's own services",
    "AWS_LAMBDA_FUNCTION_NAME": "set by AWS's own services",
    "AWS_LOGIN_CACHE_DIRECTORY": "a person's login",
    "BOTOCORE_TCP_KEEPALIVE": "superseded by a setting of the file",
}


def test_extras_reach_aws_or_can_be_set_in_the_file() -> None:
    """Everything that botocore reads of the environment, by its own list and by its code."""
    variables = botocore.configprovider.BOTOCORE_DEFAUT_SESSION_VARIABLES.values()
    in_the_file = {
        name for key, names, *_ in variables if key for name in ([names] if isinstance(names, str) else names or ())
    }
    code = "".join(path.read_text("utf-8") for path in Path(botocore.__file__).parent.glob("*.py"))
    read = set(re.findall(r"['\"](AWS_[A-Z0-9_]+|BOTOCORE_TCP_KEEPALIVE)['\"]", code)) | in_the_file
    # ECS and EKS set these in their own containers.
    read = {name for name in read if not name.startswith("AWS_CONTAINER_")}
    given = SERVICES["worker"]["environment"].keys()
    missing = {name for name in read - given - in_the_file if not name.startswith("AWS_S3_")}
    assert missing - NOT_HANDED_ON.keys() == set()
    assert NOT_HANDED_ON.keys() & given == set()
    assert SERVICES["worker"]["environment"]["AWS_CONFIG_FILE"] == "/files/aws-config"


def test_proxies_and_trust_reach_all_that_leave_and_no_proxy_is_asked_for_a_service_here() -> None:
    outside = {"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}
    leaving = {name for name in AIRFLOW if {*SERVICES[name]["networks"]} & {"outside", "ui"}}
    assert {name for name in AIRFLOW if outside & SERVICES[name]["environment"].keys()} == leaving
    for name in leaving:
        environment = SERVICES[name]["environment"]
        assert outside <= environment.keys()
        spared = environment["NO_PROXY"].split(",")
        asked = {urlsplit(str(value)).hostname for value in environment.values() if "://" in str(value)}
        services = {host for host in asked if host in SERVICES}
        assert services and services <= {*spared}
        # An empty entry would mean every host to some clients.
        assert "" not in spared
        assert spared[0] == "${NO_PROXY:-localhost}"


def test_files_are_mounted_read_only_where_they_are_needed() -> None:
    mounts = {
        name: [volume for volume in service["volumes"] if "/files" in volume]
        for name, service in SERVICES.items()
        if any("/files" in volume for volume in service.get("volumes", ()))
    }
    assert mounts == {
        "api-server": ["${FILES:-./files}/pages:/files:ro"],
        "dag-processor": ["${FILES:-./files}/callbacks:/files:ro"],
        "worker": ["${FILES:-./files}:/files:ro"],
    }


def test_the_demo_knows_nothing_of_the_environment() -> None:
    """Its worker can reach the emulated AWS only, whatever credentials .env holds, by the settings of `make audit`."""
    environment = SERVICES["worker-demo"]["environment"]
    own = {name: value for name, value in environment.items() if name.startswith(("AWS_", "ECR_AUDIT_"))}
    assert own == demo_settings("http://aws:4566") | {"ECR_AUDIT_DATA": "/opt/airflow/data"}
    assert "--port 4566" in SERVICES["aws"]["command"]


def test_the_image_is_of_the_airflow_that_is_locked() -> None:
    image, lock = ((ROOT / name).read_text(encoding="utf-8") for name in ("Dockerfile", "requirements.txt"))
    [tag] = re.findall(r"^FROM apache/airflow:([^\s@]+)(?:@sha256:[0-9a-f]{64})? AS audit$", image, flags=re.MULTILINE)
    [version] = re.findall(r"^apache-airflow==(\S+)", lock, flags=re.MULTILINE)
    assert tag == f"{version}-python3.11"


def test_every_part_except_the_demo_has_the_settings_of_metrics_and_lineage() -> None:
    """And waits for no watcher that is away, see docs/observability.md."""
    watched = {"api-server", "execution-api", "scheduler", "dag-processor", "triggerer", "worker"}
    for name in AIRFLOW:
        environment = SERVICES[name]["environment"]
        assert ("AIRFLOW__METRICS__OTEL_ON" in environment) == (name in watched)
        assert ("AIRFLOW__OPENLINEAGE__TRANSPORT" in environment) == (name in watched)
    assert SERVICES["worker"]["environment"]["OTEL_EXPORTER_OTLP_TIMEOUT"] == "${OTEL_EXPORTER_OTLP_TIMEOUT:-2}"


def test_parallelism_is_the_number_of_batches_that_a_night_is_cut_into() -> None:
    settings = SERVICES["scheduler"]["environment"]
    for name in ("AIRFLOW__CORE__PARALLELISM", "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG"):
        assert settings[name] == str(MOST_BATCHES)
    document = (ROOT / "docs" / "scale-out.md").read_text(encoding="utf-8")
    assert f"B = min({MOST_BATCHES}, A / ECR_AUDIT_BATCH_ACCOUNTS)" in document
    # Kubernetes runs fewer at once, and its values say what the night is cut into.
    values = (ROOT / "deploy" / "helm" / "values.yaml").read_text(encoding="utf-8")
    assert f"A night is cut into {MOST_BATCHES} batches at the most" in values


def test_the_image_has_the_copied_files_and_the_mounted_folders() -> None:
    dockerfile, ignored = ((ROOT / name).read_text(encoding="utf-8") for name in ("Dockerfile", ".dockerignore"))
    copied = {
        source for line in re.findall(r"^COPY (.*)$", dockerfile, flags=re.MULTILINE) for source in line.split()[:-1]
    }
    copied = {source for source in copied if not source.startswith("--")}
    assert {line[1:] for line in ignored.splitlines() if line.startswith("!")} == copied
    [made] = re.findall(r"mkdir -p (.*?) &&", dockerfile)
    mounted = {
        volume.split(":")[1]
        for service in SERVICES.values()
        if service["image"] == "ecr-audit"
        for volume in service.get("volumes", ())
        if volume.split(":")[0] in yaml.safe_load(TEXT)["volumes"]
    }
    assert {*made.split()} == mounted
    assert {SERVICES[name]["environment"]["ECR_AUDIT_DATA"] for name in ("worker", "dag-processor")} <= mounted
