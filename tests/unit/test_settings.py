"""The settings: defaults, valid and invalid values, and the messages of faults."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from ecr_audit.errors import FinalError
from ecr_audit.service_links import is_service_link
from ecr_audit.settings import Settings, SettingsError, load_data_folder, load_settings
from ecr_audit.vocabulary import ExportedRecords, ExportFormat, Facet, ImageTags

ALL_NAMES = [f"ECR_AUDIT_{name.upper()}" for name in Settings.model_fields]


# 512 characters, with both slashes.
LONGEST_PATH = f"/{'p' * 510}/"

KEY = "arn:aws:kms:eu-south-1:111111111111:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("ECR_AUDIT_"):
            monkeypatch.delenv(name)


def test_defaults() -> None:
    assert load_settings().model_dump() == {
        "data": Path("data").absolute(),
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
        "collect": (Facet.TAGS, Facet.SCANNING, Facet.REGISTRIES),
        "collect_rotation_nights": 7,
        "registry_concurrency": 8,
        "image_tags": ImageTags.OFF,
        "cloudtrail": None,
        "exports": (ExportFormat.OCSF, ExportFormat.OSCAL, ExportFormat.CONTROLS),
        "export_records": ExportedRecords.FINDINGS,
        "oscal_ap": None,
        "security_hub_role_name": None,
        "owner_tags": ("owner", "team"),
        "retention_days": 400,
        "remediation_nights": 30,
        "code_tags": ("ManagedBy", "managed-by", "managed_by", "terraform"),
        "remediation_role_name": None,
        "approvers": (),
        "four_eyes": False,
        "approval_hours": 72,
        "remediation_canary_accounts": 1,
        "remediation_max_failed": 0.1,
        "evidence": None,
        "evidence_key": None,
        "waivers": None,
        "waiver_max_days": 365,
        "alert_slack_conn_id": None,
        "alert_email_to": (),
        "alert_sns_topic_arn": None,
        "snapshot_date": None,
    }


def test_places_follow_the_data_folder_unless_the_lake_is_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
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


@pytest.mark.parametrize("name", ["DATA", "LAKE", "PUBLISH", "WAIVERS"])
def test_every_place_is_read_alike(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """tests/unit/test_place.py has the valid and the invalid values."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/audit")
    for given, taken in {
        " here ": f"{tmp_path}/here",
        "~/there": "/home/audit/there",
        "file:///srv/x": "/srv/x",
    }.items():
        monkeypatch.setenv(f"ECR_AUDIT_{name}", given)
        assert str(getattr(load_settings(), name.lower())) == taken
    for refused in ('"s3://bucket/key"', "s3:/bucket/key", "$HOME/key", "arn:aws:s3:::bucket/key", "gs://bucket/key"):
        monkeypatch.setenv(f"ECR_AUDIT_{name}", refused)
        with pytest.raises(SettingsError, match=f"^1 setting is invalid:\n  ECR_AUDIT_{name}: "):
            load_settings()
    assert list(tmp_path.iterdir()) == []


def test_the_data_folder_can_be_read_whatever_other_settings_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECR_AUDIT_CONCURRENCY", "none")
    assert load_data_folder() == tmp_path / "data"
    monkeypatch.setenv("ECR_AUDIT_DATA", " ~/audit ")
    monkeypatch.setenv("HOME", "/home/audit")
    assert load_data_folder() == Path("/home/audit/audit")
    monkeypatch.setenv("ECR_AUDIT_DATA", "'data'")
    with pytest.raises(SettingsError, match=r"ECR_AUDIT_DATA: ''data'': is in quotation marks.* Give a folder"):
        load_data_folder()


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
        ("COLLECT", "Policies, tags", (Facet.TAGS, Facet.POLICIES)),
        ("COLLECT", "none", ()),
        ("CONCURRENCY", " 7 ", 7),
        ("APPROVERS", "12, alice", ("12", "alice")),
        ("FOUR_EYES", "True", True),
        ("REMEDIATION_MAX_FAILED", "5%", 0.05),
        ("REMEDIATION_ROLE_NAME", "/security/changes", "security/changes"),
        ("MIN_COVERAGE", "1", 1.0),
        ("TARGET_SECONDS", "2.5", 2.5),
        ("LAKE", "s3://audit-lake", "s3://audit-lake"),
        ("REGIONS", "US-East-1; eu-west-1\n", ("us-east-1", "eu-west-1")),
        ("REGIONS", "us-east-1 eu-west-1", ("us-east-1", "eu-west-1")),
        ("ACCOUNTS", "1111-2222-3333;444444444444,", ("111122223333", "444444444444")),
        ("ACCOUNTS", "\n  111111111111\n  222222222222\n", ("111111111111", "222222222222")),
        ("OWNER_TAGS", "owner; cost centre", ("owner", "cost centre")),
        ("ALERT_EMAIL_TO", "a@example.com; b@example.com,", ("a@example.com", "b@example.com")),
        ("COLLECT", " all ", tuple(Facet)),
        ("COLLECT", "tags tags;keys", (Facet.TAGS, Facet.KEYS)),
        ("COLLECT_ROTATION_NIGHTS", "1", 1),
        ("IMAGE_TAGS", "Overwritable", ImageTags.OVERWRITABLE),
        ("CLOUDTRAIL", "s3://org-trail/audit/", "s3://org-trail/audit"),
        ("MIN_COVERAGE", "95%", 0.95),
        ("MIN_COVERAGE", "99.99 %", 0.9999),
        ("RETENTION_DAYS", "1_000", 1000),
        ("SNAPSHOT_DATE", "20260228", date(2026, 2, 28)),
        ("WAIVERS", "s3://audit-lake/waivers.yaml", "s3://audit-lake/waivers.yaml"),
        ("PUBLISH", "s3://audit-reports/ecr", "s3://audit-reports/ecr"),
        ("S3_ENCRYPTION", "AES256", "AES256"),
        ("S3_ENCRYPTION", "aws:kms", "aws:kms"),
        ("S3_ENCRYPTION", KEY, KEY),
        ("S3_ENCRYPTION", KEY.replace("aws:", "aws-us-gov:", 1), KEY.replace("aws:", "aws-us-gov:", 1)),
        ("ROLE_NAME", "team/ecr-audit", "team/ecr-audit"),
        ("ROLE_NAME", "/security/audit/ecr-audit", "security/audit/ecr-audit"),
        ("ROLE_NAME", LONGEST_PATH + "r" * 64, LONGEST_PATH[1:] + "r" * 64),
        ("ROLE_NAME", "/role/ecr-audit", "role/ecr-audit"),
        ("EXTERNAL_ID", "a1:b2/c3", "a1:b2/c3"),
        ("POSTGRES_CONN_ID", "warehouse", "warehouse"),
        ("POSTGRES_SCHEMA", "_ecr_audit2", "_ecr_audit2"),
    ],
)
def test_valid_values_are_accepted(monkeypatch: pytest.MonkeyPatch, name: str, given: str, taken: object) -> None:
    monkeypatch.setenv(f"ECR_AUDIT_{name}", given)
    assert getattr(load_settings(), name.lower()) == taken


@pytest.mark.parametrize(
    ("name", "bad", "valid"),
    [
        ("LAKE", "gs://bucket/lake", "a folder, or s3://bucket/prefix"),
        ("DATA", "s3://bucket/data", "a folder, such as ./data"),
        ("WAIVERS", "s3://bucket", "the path of a YAML file, or s3://bucket/key"),
        ("WAIVERS", "/etc/waivers/", "the path of a YAML file, or s3://bucket/key"),
        ("LAKE", "s3://bucket/lake # the lake", "a folder, or s3://bucket/prefix"),
        ("AWS_CONN_ID", '"hub"', "the id of an Airflow connection of type aws"),
        ("CONCURRENCY", "'8'", "1 to 512"),
        ("COLLECT", '"tags"', "a list out of tags, scanning, keys"),
        ("OWNER_TAGS", "owner,team # who", "a list of repository tag keys"),
        ("S3_ENCRYPTION", "aes256", "AES256, aws:kms, or the ARN of a KMS key"),
        ("S3_ENCRYPTION", "alias/audit", "AES256, aws:kms, or the ARN of a KMS key"),
        ("ROLE_NAME", "arn:aws:iam::111111111111:role/ecr-audit", "such as ecr-audit"),
        ("ROLE_NAME", "ecr audit", "such as ecr-audit"),
        ("ROLE_NAME", "prüfer", "such as ecr-audit"),
        ("ROLE_NAME", "r" * 65, "such as ecr-audit"),
        ("ROLE_NAME", "/p" + LONGEST_PATH + "ecr-audit", "such as ecr-audit"),
        ("ROLE_NAME", "role/ecr-audit", "such as ecr-audit"),
        ("ROLE_NAME", "/security//ecr-audit", "such as ecr-audit"),
        ("ROLE_NAME", "/security/", "such as ecr-audit"),
        ("EXTERNAL_ID", "x", "2 to 1,224 letters"),
        ("EXTERNAL_ID", "two words", "2 to 1,224 letters"),
        ("EXTERNAL_ID", "x" * 1225, "2 to 1,224 letters"),
        ("REGIONS", "us-east", "'us-east-1,eu-west-1'"),
        ("REGIONS", "all,us-east-1", "'us-east-1,eu-west-1'"),
        ("ACCOUNTS", "11111111111", "12-digit"),
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
        ("MIN_COVERAGE", "0,95", "0 to 1"),
        ("MIN_COVERAGE", "101%", "0 to 1"),
        ("MIN_COVERAGE", "-0.1", "0 to 1"),
        ("MIN_COVERAGE", "nan", "0 to 1"),
        ("COLLECT", "tags,lifecycles", "a list out of tags, scanning, keys"),
        ("COLLECT", "all,tags", "a list out of tags, scanning, keys"),
        ("COLLECT_ROTATION_NIGHTS", "0", "1 reads all each night"),
        ("IMAGE_TAGS", "true", "off, overwritable, all"),
        ("CLOUDTRAIL", "/srv/trail", "s3://bucket/prefix if it has one"),
        ("RETENTION_DAYS", "0", "1 to 36500"),
        ("RETENTION_DAYS", "36501", "1 to 36500"),
        ("RETENTION_DAYS", "a year", "1 to 36500"),
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
def test_invalid_values_are_refused_with_variable_value_and_valid_ones(
    monkeypatch: pytest.MonkeyPatch, name: str, bad: str, valid: str
) -> None:
    monkeypatch.setenv(f"ECR_AUDIT_{name}", bad)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    title, line = str(caught.value).split("\n  ")
    assert title == "1 setting is invalid:"
    assert line.startswith(f"ECR_AUDIT_{name}: '{bad}': ")
    assert valid in line.partition(" Give ")[2]
    assert "pydantic" not in line


@pytest.mark.parametrize(
    ("name", "given", "reported"),
    [
        ("ACCOUNTS", "111111111111,12,x", "'12' is not an account id of 12 digits; 'x' is not an account id"),
        ("ACCOUNTS", "12345670123", "'12345670123' is not an account id of 12 digits; did you mean 012345670123?"),
        ("REGIONS", "us_east_1", "did you mean us-east-1?"),
        ("REGIONS", "EU-WEST-1A", "did you mean eu-west-1?"),
        ("ALERT_EMAIL_TO", "Security <security@example.com>", "did you mean security@example.com?"),
        ("ROLE_NAME", "arn:aws:iam::111111111111:role/ecr-audit", "did you mean ecr-audit?"),
        ("ROLE_NAME", "arn:aws-cn:iam::111111111111:role/security/ecr-audit", "did you mean /security/ecr-audit?"),
        ("ROLE_NAME", "role/ecr-audit", "did you mean /ecr-audit?"),
        ("MIN_COVERAGE", "95", "did you mean 0.95, or 95%?"),
        ("CLOUDTRAIL", "s3://org-trail/audit/AWSLogs/o-a1b2c3d4e5", "did you mean s3://org-trail/audit?"),
        ("CLOUDTRAIL", "s3://org-trail/AWSLogs/", "did you mean s3://org-trail?"),
        ("MIN_COVERAGE", "0,95", "did you mean 0.95?"),
        ("EXTERNAL_ID", '"sesame"', "did you mean sesame?"),
        ("LAKE", "s3:/bucket/lake", "did you mean s3://bucket/lake?"),
        ("LAKE", "/srv/lake # the lake", "did you mean /srv/lake?"),
    ],
)
def test_a_likely_meaning_is_suggested(monkeypatch: pytest.MonkeyPatch, name: str, given: str, reported: str) -> None:
    monkeypatch.setenv(f"ECR_AUDIT_{name}", given)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert reported in str(caught.value)
    assert "?." not in str(caught.value)


# A release called ecr-audit of Airflow's chart, and a Service called ecr-audit: each of the forms, in IPv4 and IPv6.
SERVICE_LINKS = {
    "API_SERVER_SERVICE_HOST": "10.96.0.17",
    "API_SERVER_SERVICE_PORT": "8080",
    "API_SERVER_SERVICE_PORT_API_SERVER": "8080",
    "API_SERVER_PORT": "tcp://10.96.0.17:8080",
    "API_SERVER_PORT_8080_TCP": "tcp://10.96.0.17:8080",
    "API_SERVER_PORT_8080_TCP_PROTO": "tcp",
    "API_SERVER_PORT_8080_TCP_PORT": "8080",
    "API_SERVER_PORT_8080_TCP_ADDR": "10.96.0.17",
    "STATSD_PORT_9125_UDP": "udp://10.96.0.18:9125",
    "STATSD_PORT_9125_UDP_PROTO": "udp",
    "PHONES_PORT": "sctp://[fd00::12]:36412",
    "PHONES_PORT_36412_SCTP_ADDR": "fd00::12",
    "SERVICE_HOST": "fd00::11",
    "PORT": "tcp://[fd00::11]:80",
}


def test_service_links_of_kubernetes_are_not_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICE_LINKS.items():
        monkeypatch.setenv(f"ECR_AUDIT_{name}", value)
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_SERVER_PORT", "8080"),
        ("API_SERVER_PORT", "http://10.96.0.17:8080"),
        ("API_SERVER_SERVICE_HOST", "api.example.com"),
        ("POSTGRES_SERVICE_PORT", "compliance"),
        ("LAKE_PORT_", "tcp://10.96.0.17:8080"),
        ("CONCURENCY", "8080"),
    ],
)
def test_settings_that_only_look_like_service_links_are_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"ECR_AUDIT_{name}", value)
    with pytest.raises(SettingsError, match=f"ECR_AUDIT_{name}: unknown setting"):
        load_settings()


def test_no_service_link_hides_a_setting_and_none_passes_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links of a Service never end like a setting, whatever its name, nor have values of one."""
    assert not [name for name in ALL_NAMES for value in SERVICE_LINKS.values() if is_service_link(name, value)]
    monkeypatch.setenv("ECR_AUDIT_LAKE", "tcp://10.96.0.17:8080")
    with pytest.raises(SettingsError, match=r"ECR_AUDIT_LAKE: 'tcp://10.96.0.17:8080': starts with 'tcp:'"):
        load_settings()


def test_all_faults_are_reported_together(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {"CONCURRENCY": "none", "REGIONS": "moon-1", "MIN_COVERAGE": "2", "CONCURENCY": "8"}
    for name, value in bad.items():
        monkeypatch.setenv(f"ECR_AUDIT_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    title, *lines = str(caught.value).split("\n  ")
    assert title == "4 settings are invalid:"
    assert {line.partition(":")[0] for line in lines} == {f"ECR_AUDIT_{name}" for name in bad}


def test_a_misspelled_variable_is_a_fault_that_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_REGION", "us-east-1")
    with pytest.raises(SettingsError, match=r"ECR_AUDIT_REGION: unknown setting\. Did you mean ECR_AUDIT_REGIONS\?"):
        load_settings()


def test_a_variable_like_no_other_is_a_fault_that_lists_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_ZZZ", "")
    with pytest.raises(SettingsError, match="ECR_AUDIT_ZZZ: unknown setting") as caught:
        load_settings()
    assert all(name in str(caught.value) for name in ALL_NAMES)


@pytest.mark.parametrize("blank", ["", " \t"])
@pytest.mark.parametrize("name", ALL_NAMES)
def test_a_blank_variable_is_as_if_not_set(monkeypatch: pytest.MonkeyPatch, name: str, blank: str) -> None:
    defaults = load_settings()
    monkeypatch.setenv(name, blank)
    assert load_settings() == defaults


def test_case_does_not_matter_and_does_not_hide_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ecr_audit_concurrency", "8")
    assert load_settings().concurrency == 8
    monkeypatch.setenv("ecr_audit_concurrency", "none")
    with pytest.raises(SettingsError, match="ECR_AUDIT_CONCURRENCY: 'none'"):
        load_settings()


def test_other_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDITOR", "somebody")
    monkeypatch.setenv("CONCURRENCY", "none")
    assert load_settings().concurrency == 64


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().concurrency = 1


def test_a_retry_cannot_fix_an_invalid_setting() -> None:
    assert issubclass(SettingsError, FinalError)


def test_a_facet_that_does_not_exist_is_named_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_COLLECT", "tags, lifecycles")
    with pytest.raises(SettingsError, match=r"lifecycles: not among the facets\. Did you mean lifecycle\?"):
        load_settings()


def test_a_format_that_does_not_exist_is_named_with_the_valid_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_EXPORTS", "ocsf, sarif")
    with pytest.raises(SettingsError, match=r"EXPORTS.*sarif: not among the formats.*" + ", ".join(ExportFormat)):
        load_settings()


def test_a_setting_that_was_replaced_is_refused_with_its_replacement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_COLLECT_TAGS", "false")
    with pytest.raises(SettingsError, match=r"COLLECT_TAGS: no longer a setting\. ECR_AUDIT_COLLECT replaces"):
        load_settings()


@pytest.mark.parametrize(
    ("concurrency", "registry", "calls"), [(64, 8, 8), (8, 8, 4), (7, 8, 3), (64, 2, 2), (1, 8, 1)]
)
def test_one_registry_leaves_half_of_the_calls_to_others(concurrency: int, registry: int, calls: int) -> None:
    assert Settings(concurrency=concurrency, registry_concurrency=registry).calls_per_registry == calls
