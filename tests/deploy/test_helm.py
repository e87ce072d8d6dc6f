"""deploy/helm/values.yaml agrees with what it deploys. It is not rendered here: the chart is not at hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ecr_audit.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "deploy/helm/values.yaml").read_text(encoding="utf-8"))


def test_the_chart_is_told_the_airflow_that_is_locked() -> None:
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert [VALUES["airflowVersion"]] == re.findall(r"^apache-airflow==(\S+)", lock, flags=re.MULTILINE)


def test_pods_share_the_lake_and_the_publications_on_s3_alone() -> None:
    given = {each["name"]: each.get("value") for each in VALUES["env"]}
    assert {name.removeprefix("ECR_AUDIT_").lower() for name in given} <= Settings.model_fields.keys()
    assert given["ECR_AUDIT_LAKE"].startswith("s3://")
    assert given["ECR_AUDIT_PUBLISH"].startswith("s3://")


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
    # Without it the chart leaves what `workers.kubernetes.serviceAccount` says unread.
    assert VALUES["workers"]["useWorkerDedicatedServiceAccounts"] is True
