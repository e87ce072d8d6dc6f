"""The settings: what each defaults to, takes and refuses, and how a fault is told."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from ecr_audit.errors import FinalError
from ecr_audit.settings import Settings, SettingsError, load_settings

ALL_NAMES = [f"ECR_AUDIT_{name.upper()}" for name in Settings.model_fields]


KEY = "arn:aws:kms:eu-south-1:111111111111:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in list(os.environ):
        if name.upper().startswith("ECR_AUDIT_"):
            monkeypatch.delenv(name)


def test_defaults():
    assert load_settings().model_dump() == {
        "data": Path("data"),
        "lake": None,
        "publish": None,
        "s3_encryption": None,
        "role_name": "ecr-audit",
        "external_id": None,
        "regions": (),
        "accounts": (),
        "aws_conn_id": None,
        "postgres_conn_id": None,
        "postgres_schema": "ecr_audit",
        "batch_accounts": 100,
        "concurrency": 64,
        "target_seconds": 120,
        "batch_seconds": 2400,
        "min_coverage": 0.95,
        "collect_tags": True,
        "owner_tags": ("owner", "team"),
        "retention_days": 400,
        "waivers": None,
        "waiver_max_days": 365,
        "alert_slack_conn_id": None,
        "alert_email_to": (),
        "alert_sns_topic_arn": None,
        "snapshot_date": None,
    }


def test_places_follow_the_data_folder_unless_the_lake_is_elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_settings().lake_root == f"{tmp_path}/data/lake"
    monkeypatch.setenv("ECR_AUDIT_DATA", "/srv/audit")
    assert load_settings().lake_root == "/srv/audit/lake"
    assert load_settings().publish_root == "/srv/audit/publish"
    monkeypatch.setenv("ECR_AUDIT_LAKE", "s3://audit-lake/ecr")
    assert load_settings().lake_root == "s3://audit-lake/ecr"
    assert load_settings().publish_root == "/srv/audit/publish"
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", "s3://audit-reports/ecr")
    assert load_settings().publish_root == "s3://audit-reports/ecr"


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("REGIONS", "us-east-1, eu-west-1 ,", ("us-east-1", "eu-west-1")),
        ("REGIONS", " ALL ", ()),
        ("REGIONS", "us-gov-west-1,cn-north-1,us-isob-east-1", ("us-gov-west-1", "cn-north-1", "us-isob-east-1")),
        ("ACCOUNTS", "111111111111,222222222222", ("111111111111", "222222222222")),
        ("ACCOUNTS", "all", ()),
        ("OWNER_TAGS", "Owner, cost centre", ("Owner", "cost centre")),
        ("SNAPSHOT_DATE", "2026-02-28", date(2026, 2, 28)),
        ("COLLECT_TAGS", "False", False),
        ("CONCURRENCY", " 7 ", 7),
        ("MIN_COVERAGE", "1", 1.0),
        ("TARGET_SECONDS", "2.5", 2.5),
        ("LAKE", "s3://audit-lake", "s3://audit-lake"),
        ("LAKE", "file:///srv/lake", "file:///srv/lake"),
        ("LAKE", "relative/lake", "relative/lake"),
        ("PUBLISH", "s3://audit-reports/ecr", "s3://audit-reports/ecr"),
        ("S3_ENCRYPTION", "AES256", "AES256"),
        ("S3_ENCRYPTION", "aws:kms", "aws:kms"),
        ("S3_ENCRYPTION", KEY, KEY),
        ("S3_ENCRYPTION", KEY.replace("aws:", "aws-us-gov:", 1), KEY.replace("aws:", "aws-us-gov:", 1)),
        ("ROLE_NAME", "team/ecr-audit", "team/ecr-audit"),
        ("EXTERNAL_ID", "a1:b2/c3", "a1:b2/c3"),
        ("POSTGRES_CONN_ID", "warehouse", "warehouse"),
        ("POSTGRES_SCHEMA", "_ecr_audit2", "_ecr_audit2"),
    ],
)
def test_what_is_taken(monkeypatch, name, given, taken):
    monkeypatch.setenv(f"ECR_AUDIT_{name}", given)
    assert getattr(load_settings(), name.lower()) == taken


@pytest.mark.parametrize(
    ("name", "bad", "valid"),
    [
        ("LAKE", "gs://bucket/lake", "a folder, or s3://bucket/prefix"),
        ("LAKE", "s3://", "a folder, or s3://bucket/prefix"),
        ("LAKE", "s3://Upper_Case", "a folder, or s3://bucket/prefix"),
        ("LAKE", "s3:/one-slash/lake", "a folder, or s3://bucket/prefix"),
        ("LAKE", "file://host/lake", "a folder, or s3://bucket/prefix"),
        ("PUBLISH", "http://bucket", "a folder, or s3://bucket/prefix"),
        ("S3_ENCRYPTION", "aes256", "AES256, aws:kms, or the ARN of a KMS key"),
        ("S3_ENCRYPTION", "alias/audit", "AES256, aws:kms, or the ARN of a KMS key"),
        ("ROLE_NAME", "arn:aws:iam::111111111111:role/ecr-audit", "such as ecr-audit"),
        ("ROLE_NAME", "ecr audit", "such as ecr-audit"),
        ("ROLE_NAME", "prüfer", "such as ecr-audit"),
        ("ROLE_NAME", "r" * 65, "such as ecr-audit"),
        ("EXTERNAL_ID", "x", "2 to 1,224 letters"),
        ("EXTERNAL_ID", "two words", "2 to 1,224 letters"),
        ("EXTERNAL_ID", "x" * 1225, "2 to 1,224 letters"),
        ("REGIONS", "us-east", "'us-east-1,eu-west-1'"),
        ("REGIONS", "US-EAST-1", "'us-east-1,eu-west-1'"),
        ("REGIONS", "all,us-east-1", "'us-east-1,eu-west-1'"),
        ("REGIONS", "us-east-1;eu-west-1", "'us-east-1,eu-west-1'"),
        ("ACCOUNTS", "11111111111", "12-digit"),
        ("ACCOUNTS", "1111-1111-1111", "12-digit"),
        ("ACCOUNTS", "\N{ARABIC-INDIC DIGIT ONE}" * 12, "12-digit"),
        ("ACCOUNTS", '["111111111111"]', "12-digit"),
        ("POSTGRES_SCHEMA", "Audit", "lower-case letters"),
        ("POSTGRES_SCHEMA", "audit; DROP TABLE findings", "lower-case letters"),
        ("POSTGRES_SCHEMA", "a" * 64, "lower-case letters"),
        ("BATCH_ACCOUNTS", "0", "1 to 10000"),
        ("BATCH_ACCOUNTS", "10001", "1 to 10000"),
        ("BATCH_ACCOUNTS", "many", "1 to 10000"),
        ("CONCURRENCY", "0", "1 to 512"),
        ("CONCURRENCY", "513", "1 to 512"),
        ("CONCURRENCY", "6.5", "1 to 512"),
        ("TARGET_SECONDS", "0", "1 to 3600"),
        ("TARGET_SECONDS", "inf", "1 to 3600"),
        ("TARGET_SECONDS", "2m", "1 to 3600"),
        ("BATCH_SECONDS", "9", "10 to 3300"),
        # Longer than the task's time limit, an hour, would let Airflow kill the batch before it writes.
        ("BATCH_SECONDS", "3301", "10 to 3300"),
        ("BATCH_SECONDS", "nan", "10 to 3300"),
        ("MIN_COVERAGE", "95", "0 to 1"),
        ("MIN_COVERAGE", "-0.1", "0 to 1"),
        ("MIN_COVERAGE", "nan", "0 to 1"),
        ("MIN_COVERAGE", "95%", "0 to 1"),
        ("COLLECT_TAGS", "maybe", "true or false"),
        ("RETENTION_DAYS", "0", "1 to 36500"),
        ("RETENTION_DAYS", "36501", "1 to 36500"),
        ("RETENTION_DAYS", "a year", "1 to 36500"),
        ("ALERT_EMAIL_TO", "a@example.com; b@example.com", "security@example.com,owner@example.com"),
        ("ALERT_EMAIL_TO", "Security <security@example.com>", "security@example.com,owner@example.com"),
        ("ALERT_EMAIL_TO", "a@example.com\nBcc:b@example.com", "security@example.com,owner@example.com"),
        ("ALERT_SNS_TOPIC_ARN", "audit", "arn:aws:sns:<region>:<account>:<name>"),
        ("ALERT_SNS_TOPIC_ARN", "arn:aws:sns:us-east-1:111111111111:audit.fifo", "a standard topic"),
        ("SNAPSHOT_DATE", "2026-02-30", "YYYY-MM-DD"),
        ("SNAPSHOT_DATE", "01.02.2026", "YYYY-MM-DD"),
        ("SNAPSHOT_DATE", "yesterday", "YYYY-MM-DD"),
        # Seconds since 1970, which would pass for a date.
        ("SNAPSHOT_DATE", "1767225600", "YYYY-MM-DD"),
    ],
)
def test_what_is_refused_names_the_variable_the_value_and_what_is_valid(monkeypatch, name, bad, valid):
    monkeypatch.setenv(f"ECR_AUDIT_{name}", bad)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    title, line = str(caught.value).split("\n  ")
    assert title == "1 setting is wrong:"
    assert line.startswith(f"ECR_AUDIT_{name}: '{bad}': ")
    assert valid in line.partition(" Give ")[2]
    assert "pydantic" not in line


def test_a_bad_item_of_a_list_is_named(monkeypatch):
    monkeypatch.setenv("ECR_AUDIT_ACCOUNTS", "111111111111,12,222222222222,x")
    with pytest.raises(SettingsError, match="holds what is no account id: 12, x"):
        load_settings()


def test_all_faults_are_told_at_once(monkeypatch):
    bad = {"CONCURRENCY": "none", "REGIONS": "moon-1", "MIN_COVERAGE": "2", "CONCURENCY": "8"}
    for name, value in bad.items():
        monkeypatch.setenv(f"ECR_AUDIT_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    title, *lines = str(caught.value).split("\n  ")
    assert title == "4 settings are wrong:"
    assert {line.partition(":")[0] for line in lines} == {f"ECR_AUDIT_{name}" for name in bad}


def test_a_misspelled_variable_is_a_fault_that_names_the_nearest(monkeypatch):
    monkeypatch.setenv("ECR_AUDIT_REGION", "us-east-1")
    with pytest.raises(SettingsError, match=r"ECR_AUDIT_REGION: no such setting\. Did you mean ECR_AUDIT_REGIONS\?"):
        load_settings()


def test_a_variable_like_no_other_is_a_fault_that_lists_all(monkeypatch):
    monkeypatch.setenv("ECR_AUDIT_ZZZ", "")
    with pytest.raises(SettingsError, match="ECR_AUDIT_ZZZ: no such setting") as caught:
        load_settings()
    assert all(name in str(caught.value) for name in ALL_NAMES)


@pytest.mark.parametrize("blank", ["", " \t"])
@pytest.mark.parametrize("name", ALL_NAMES)
def test_a_blank_variable_is_as_if_not_set(monkeypatch, name, blank):
    defaults = load_settings()
    monkeypatch.setenv(name, blank)
    assert load_settings() == defaults


def test_case_does_not_matter_and_does_not_hide_a_fault(monkeypatch):
    monkeypatch.setenv("ecr_audit_concurrency", "8")
    assert load_settings().concurrency == 8
    monkeypatch.setenv("ecr_audit_concurrency", "none")
    with pytest.raises(SettingsError, match="ECR_AUDIT_CONCURRENCY: 'none'"):
        load_settings()


def test_other_variables_are_none_of_its_business(monkeypatch):
    monkeypatch.setenv("ECR_AUDITOR", "somebody")
    monkeypatch.setenv("CONCURRENCY", "none")
    assert load_settings().concurrency == 64


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().concurrency = 1


def test_no_retry_mends_a_wrong_setting():
    assert issubclass(SettingsError, FinalError)
