"""The doctor warns of what goes over a network in plain text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import boto3
import pytest

from ecr_audit.aws.access import AwsAccess
from ecr_audit.aws.session import Hub
from ecr_audit.doctor.encryption import check_endpoints, check_postgres_encryption
from ecr_audit.doctor.results import Status
from ecr_audit.settings import Settings

TOPIC = "arn:aws:sns:us-east-1:111111111111:audit"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_ECR", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1")
    return Hub(AwsAccess(session), "111111111111", "aws", "us-east-1")


@pytest.mark.parametrize(
    ("variable", "address", "settings", "plain"),
    [
        ("AWS_ENDPOINT_URL", "http://proxy.example.com:4566", {}, ["organizations", "ec2", "sts", "ecr", "resource"]),
        ("AWS_ENDPOINT_URL_ECR", "http://10.0.0.9", {}, ["ecr"]),
        ("AWS_ENDPOINT_URL_S3", "http://minio:9000", {"lake": "s3://bucket/lake"}, ["s3"]),
        ("AWS_ENDPOINT_URL_S3", "http://minio:9000", {"publish": "s3://bucket/publish"}, ["s3"]),
        ("AWS_ENDPOINT_URL_S3", "http://minio:9000", {"waivers": "s3://bucket/waivers.yaml"}, ["s3"]),
        ("AWS_ENDPOINT_URL_SNS", "http://sns", {"alert_sns_topic_arn": TOPIC}, ["sns"]),
        # Services that the audit does not call, encrypted ones, and those of this machine.
        ("AWS_ENDPOINT_URL_S3", "http://minio:9000", {}, []),
        ("AWS_ENDPOINT_URL_SNS", "http://sns", {}, []),
        ("AWS_ENDPOINT_URL", "https://proxy.example.com", {}, []),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566", {}, []),
        ("AWS_ENDPOINT_URL", "http://[::1]:4566", {}, []),
        ("AWS_ENDPOINT_URL", "http://localhost:4566", {}, []),
    ],
)
def test_an_endpoint_by_http_on_another_machine(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, variable: str, address: str, settings: dict[str, Any], plain: list[str]
) -> None:
    monkeypatch.setenv(variable, address)
    results = list(check_endpoints(hub, Settings(**settings)))
    reported = [case for result in results for case in result.cases]
    assert [case.partition(":")[0][:8] for case in reported] == [name[:8] for name in plain]
    assert all(result.status is Status.WARN and "https://" in result.fix for result in results)
    assert len(results) == bool(plain)


def test_certificates_that_are_not_checked(hub: Hub) -> None:
    unchecked = replace(hub, access=replace(hub.access, verify=False))
    [result] = check_endpoints(unchecked, Settings())
    assert result.status is Status.WARN
    assert result.found.startswith("AWS's certificates are not verified")


def test_without_an_endpoint_there_is_nothing_to_warn_about(hub: Hub) -> None:
    settings = Settings(lake="s3://bucket/lake", alert_sns_topic_arn=TOPIC)
    assert list(check_endpoints(hub, settings)) == []


@pytest.mark.parametrize(
    ("uri", "mode"),
    [
        ("postgresql://db.example.com/bi", "unset"),
        ("postgresql:///?host=db.example.com&user=x&sslmode=prefer", "prefer"),
        ("postgresql:///?host=10.0.0.9&sslmode=disable", "disable"),
        ("postgresql:///?host=/run/postgresql,db.example.com", "unset"),
    ],
)
def test_a_postgresql_that_need_not_use_tls(uri: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    [result] = check_postgres_encryption(uri, "bi")
    assert result.status is Status.WARN
    assert result.found.startswith(f"sslmode is {mode}: ")
    assert "'bi'" in result.fix


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://db.example.com/bi?sslmode=verify-full",
        "postgresql:///?host=db.example.com&sslmode=require",
        "postgresql:///?host=/run/postgresql",
        "postgresql://127.0.0.1:5432/bi",
        "postgresql://[::1]/bi",
        "postgresql:///bi",
    ],
)
def test_one_that_has_to_or_is_on_this_machine(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGHOST", raising=False)
    assert list(check_postgres_encryption(uri, "bi")) == []


def test_the_environment_may_ask_for_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert list(check_postgres_encryption("postgresql://db.example.com/bi", "bi")) == []
