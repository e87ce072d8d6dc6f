"""deploy/helm/values.yaml agrees with what it deploys. It is not rendered here: the chart is not at hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ecr_audit.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "deploy/helm/values.yaml").read_text(encoding="utf-8"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))


def test_the_chart_is_told_the_airflow_that_is_locked() -> None:
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert [VALUES["airflowVersion"]] == re.findall(r"^apache-airflow==(\S+)", lock, flags=re.MULTILINE)


def test_pods_share_the_lake_the_publications_and_the_logs_in_one_bucket() -> None:
    """The hub role is given one, which docs/deploy.md says holds nothing else."""
    given = {each["name"]: each["value"] for each in VALUES["env"]}
    logs = VALUES["config"]["logging"]["remote_base_log_folder"]
    places = (given["ECR_AUDIT_LAKE"], given["ECR_AUDIT_PUBLISH"], logs)
    assert {place.rpartition("/")[0] for place in places} == {"s3://<bucket>"}
    [said] = re.findall(r"holds nothing else than ([^.]*)\.", (ROOT / "docs/deploy.md").read_text(encoding="utf-8"))
    assert re.findall(r"`(\w+)`", said) == [
        "ECR_AUDIT_LAKE",
        "ECR_AUDIT_PUBLISH",
        "remote_base_log_folder",
        "ECR_AUDIT_WAIVERS",
    ]


def test_settings_are_known_and_secret_where_they_have_to_be() -> None:
    plain = {each["name"] for each in VALUES["env"]}
    secret = {each["envName"] for each in VALUES["secret"]}
    ours = {name.removeprefix("ECR_AUDIT_").lower() for name in plain | secret if name.startswith("ECR_AUDIT_")}
    assert ours <= Settings.model_fields.keys()
    assert secret == {"ECR_AUDIT_EXTERNAL_ID"}
    # The chart's schema refuses other keys, such as valueFrom.
    assert all(each.keys() == {"name", "value"} for each in VALUES["env"])


def test_pods_get_no_variables_of_services() -> None:
    """Which for a release called ecr-audit would begin like the audit's settings. A value of the chart from 1.22 on."""
    assert VALUES["enableServiceLinks"] is False


def test_airflow_is_told_what_compose_tells_it() -> None:
    told = {f"AIRFLOW__{section}__{key}".upper() for section, keys in VALUES["config"].items() for key in keys}
    told |= {each["name"] for each in VALUES["env"]}
    by_compose = COMPOSE["x-airflow-settings"].keys() | {
        name for name, value in COMPOSE["x-watch-settings"].items() if value is not None
    }
    of_the_chart = {"AIRFLOW__CORE__EXECUTOR", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"}
    missing = by_compose - told - of_the_chart
    assert [name for name in missing if not name.startswith("AIRFLOW__CELERY__")] == []


def test_no_secret_is_made_up_or_written_down() -> None:
    names = ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName")
    assert all(VALUES[name] == "ecr-audit-keys" for name in names)
    assert VALUES["data"] == {"metadataSecretName": "ecr-audit-keys"}
    assert VALUES["createUserJob"] == {"enabled": False}


def test_all_that_reads_or_sends_on_aws_has_the_hub_role() -> None:
    """Tasks, pages, and the callbacks that send alerts: the document associates it with each of them."""
    parts = (VALUES["workers"]["kubernetes"], VALUES["apiServer"], VALUES["dagProcessor"])
    [associated] = re.findall(
        r"for account in ([^;]+); do\n +aws eks", (ROOT / "docs/scale-out.md").read_text(encoding="utf-8")
    )
    assert [part["serviceAccount"]["name"] for part in parts] == associated.split()
    # Without it the chart leaves the name unread: its default there is to make none.
    assert VALUES["workers"]["kubernetes"]["serviceAccount"]["create"] is True
