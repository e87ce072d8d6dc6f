"""The doctor, with one fault injected at a time: it names that fault, and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, timedelta

import boto3
import pyarrow as pa
import pytest

from ecr_audit.aws.session import connect_hub
from ecr_audit.demo.faults import Fault, Refuse, Throttle
from ecr_audit.doctor import Result, Status, examine
from ecr_audit.doctor.clock import is_of_time
from ecr_audit.lake import Lake
from ecr_audit.schemas import STAGES

DENIED = Refuse("AccessDeniedException", "You don't have permissions to access this resource.")
MEMBERS = ("100000000001", "100000000002", "100000000003")


def only(found: list[Result]) -> Result:
    """The one finding that there is, which says what to do."""
    [result] = found
    assert result.fix
    return result


def close(aws, *account_ids: str) -> None:
    """The audit role is in these accounts no more."""
    shut = {each: replace(aws.world.accounts[each], assumable=False) for each in account_ids}
    aws.world = replace(aws.world, accounts={**aws.world.accounts, **shut})


def test_a_healthy_set_up_has_nothing_to_fix_and_keeps_no_trace(aws, tmp_path):
    results = list(examine(connect_hub, lambda: None))
    assert [result.title for result in results] == [
        *("Settings", "Clock", "Credentials", "Organization", "Regions"),
        *("Role in the accounts", "Repositories", "Tags", "Enabled regions", "Lake", "Published files"),
    ]
    assert {result.status for result in results} == {Status.OK}
    assert "user/ecr-audit-hub, partition aws" in results[2].found
    assert "entered in all 3 accounts" in results[5].found
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []
    assert aws.counters.operations["sts:AssumeRole"] == 3


def test_wrong_settings_are_all_told_and_nothing_is_called(aws, findings, monkeypatch):
    monkeypatch.setenv("ECR_AUDIT_CONCURRENCY", "none")
    monkeypatch.setenv("ECR_AUDIT_REGION", "us-east-1")
    result = only(findings())
    assert result.title == "Settings"
    assert "ECR_AUDIT_CONCURRENCY: 'none'" in result.found
    assert "Did you mean ECR_AUDIT_REGIONS?" in result.found
    assert not aws.counters.operations


def test_places_that_are_none_are_named_before_anything_is_written(aws, findings, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECR_AUDIT_LAKE", '"s3://audit-lake/ecr"')
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", "arn:aws:s3:::audit-lake/publish")
    result = only(findings())
    assert result.title == "Settings"
    assert "ECR_AUDIT_LAKE: '\"s3://audit-lake/ecr\"': is in quotation marks" in result.found
    assert "did you mean s3://audit-lake/publish?" in result.found
    assert list(tmp_path.iterdir()) == []


def test_a_relative_place_is_reported_as_the_absolute_one_that_it_means(aws, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ECR_AUDIT_LAKE", " audit/lake")
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", "~/publish")
    found = {result.title: result.found for result in examine(connect_hub, lambda: None)}
    assert found["Lake"].startswith(f"{tmp_path}/audit/lake: written")
    assert found["Published files"].startswith(f"{tmp_path}/home/publish: written")


def test_a_role_with_a_path(aws, findings, monkeypatch):
    aws.world = replace(aws.world, role_name="security/audit/ecr-audit")
    assert "(one with a path is given with it: /security/ecr-audit)" in only(findings()).fix
    monkeypatch.setenv("ECR_AUDIT_ROLE_NAME", "/security/audit/ecr-audit")
    assert findings() == []


def test_missing_credentials(aws, findings, monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    result = only(findings())
    assert (result.title, result.status) == ("Credentials", Status.FAIL)
    assert "No AWS credentials" in result.found


@pytest.mark.parametrize(("minutes", "told"), [(10, "behind AWS"), (-10, "ahead of AWS")])
def test_clock_skew(aws, findings, minutes, told):
    aws.ahead = timedelta(minutes=minutes)
    clock, credentials = findings()
    assert clock.title == "Clock"
    # The Date header has whole seconds.
    assert re.match(rf"clock skew: this machine is (9 min 5\d s|10 min \d s) {told}", clock.found)
    assert "NTP" in clock.fix
    # What fails of it is told to be a consequence.
    assert credentials.title == "Credentials"
    assert "Signature" in credentials.found
    assert "clock is to blame" in credentials.fix


def test_a_clock_that_is_off_by_less_is_told_and_is_no_fault(aws, findings):
    aws.ahead = timedelta(minutes=3)
    clock = next(result for result in examine(connect_hub, lambda: None) if result.title == "Clock")
    assert clock.status is Status.OK
    assert "behind AWS" in clock.found
    assert findings() == []


@pytest.mark.parametrize(
    "answer",
    [
        "AWS Error UNKNOWN (HTTP status 403) during PutObject operation: Unable to parse ExceptionName: "
        "RequestTimeTooSkewed Message: The difference between the request time and the current time is too large.",
        "InvalidSignatureException: Signature expired: 20261123T100000Z is now earlier than 20261123T100500Z",
        "SignatureDoesNotMatch: Signature not yet current: 20261123T110000Z is still later than 20261123T100500Z",
    ],
)
def test_every_service_has_its_words_for_skew(answer):
    assert is_of_time(answer)


def test_a_wrong_key_is_not_taken_for_skew(aws, findings, inject):
    message = "The request signature we calculated does not match the signature you provided."
    inject(Fault(Refuse("SignatureDoesNotMatch", message, 403), service="sts"))
    result = only(findings())
    assert result.title == "Credentials"
    assert "clock" not in result.fix


@pytest.mark.parametrize("operation", ["DescribeOrganization", "ListAccounts", "ListRoots"])
def test_no_access_to_organizations(findings, inject, operation):
    inject(Fault(DENIED, service="organizations", operation=operation))
    result = only(findings())
    assert (result.title, result.status) == ("Organization", Status.FAIL)
    assert f"organizations:{operation} is refused" in result.found
    assert "hub-role.yaml" in result.fix


def test_an_account_that_is_not_of_the_organization(findings, monkeypatch):
    monkeypatch.setenv("ECR_AUDIT_ACCOUNTS", "100000000001,999999999999")
    result = only(findings())
    assert result.title == "Organization"
    assert "999999999999" in result.found and "100000000001" not in result.found


def test_a_misspelled_region(findings, monkeypatch):
    monkeypatch.setenv("ECR_AUDIT_REGIONS", "us-east-1,eu-west-11")
    result = only(findings())
    assert (result.title, result.status) == ("Regions", Status.FAIL)
    assert "'eu-west-11' is no region" in result.found and "Nearest: eu-west-1." in result.found


@pytest.mark.parametrize(("min_coverage", "status"), [("0.95", Status.FAIL), ("0.75", Status.WARN)])
def test_the_role_missing_in_one_account(aws, findings, monkeypatch, min_coverage, status):
    """As bad as the nightly run takes it: 3 of 4 accounts are seen."""
    monkeypatch.setenv("ECR_AUDIT_MIN_COVERAGE", min_coverage)
    close(aws, MEMBERS[1])
    result = only(findings())
    assert (result.title, result.status) == ("Role in the accounts", status)
    assert "entered in 2 of 3 accounts" in result.found
    [case] = result.cases
    assert case.startswith("100000000002 member-2: AccessDenied: ")
    assert "create the role there" in result.fix


def test_a_wrong_external_id(findings, monkeypatch):
    monkeypatch.setenv("ECR_AUDIT_EXTERNAL_ID", "open-up")
    result = only(findings())
    assert (result.title, result.status) == ("Role in the accounts", Status.FAIL)
    assert "refused in all 3 accounts" in result.found
    assert "ECR_AUDIT_EXTERNAL_ID is not the external id that the role asks for" in result.fix
    # An external id is the organization's own business.
    assert "open-up" not in result.fix + result.found + "".join(result.cases)


def test_a_missing_external_id(findings, monkeypatch):
    monkeypatch.delenv("ECR_AUDIT_EXTERNAL_ID")
    assert "ECR_AUDIT_EXTERNAL_ID is not set and the role asks for an external id" in only(findings()).fix


def test_a_role_that_is_nowhere(findings, monkeypatch):
    monkeypatch.setenv("ECR_AUDIT_ROLE_NAME", "ecr-auditor")
    result = only(findings())
    assert "refused in all 3 accounts" in result.found
    assert "ECR_AUDIT_ROLE_NAME (ecr-auditor) names a role that is nowhere" in result.fix


def test_a_hub_that_may_not_assume_roles(findings, inject):
    """The one case in which AWS says why."""
    message = "is not authorized to perform: sts:AssumeRole because no identity-based policy allows the action"
    inject(Fault(Refuse("AccessDenied", message, 403), operation="AssumeRole"))
    result = only(findings())
    assert "the hub itself may not" in result.found
    assert "sts:AssumeRole on arn:aws:iam::*:role/ecr-audit to the hub" in result.fix


def test_throttling_is_not_taken_for_a_refusal(findings, inject, monkeypatch):
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
    inject(Fault(Throttle(), operation="AssumeRole"))
    result = only(findings())
    assert "Not all of it is a refusal" in result.fix
    assert "Throttling" in result.cases[0]


CALLS = {
    "DescribeRepositories": ("Repositories", "ecr:DescribeRepositories", Status.FAIL),
    "GetResources": ("Tags", "tag:GetResources", Status.WARN),
    "DescribeRegions": ("Enabled regions", "ec2:DescribeRegions", Status.WARN),
}


@pytest.mark.parametrize("operation", CALLS)
def test_a_permission_missing_in_one_account(findings, inject, operation):
    title, action, status = CALLS[operation]
    inject(Fault(Refuse("AccessDeniedException", "no", 403), operation=operation, account=MEMBERS[2]))
    result = only(findings())
    assert (result.title, result.status) == (title, status)
    assert f"{action} in us-east-1 fails in 1 of 4 accounts" in result.found
    assert [case.split()[0] for case in result.cases] == [MEMBERS[2]]


def test_without_tags_to_collect_nobody_needs_leave_to_read_them(findings, inject, monkeypatch):
    monkeypatch.setenv("ECR_AUDIT_COLLECT_TAGS", "false")
    inject(Fault(DENIED, operation="GetResources"))
    assert findings() == []


def test_a_region_that_accounts_have_not_enabled_is_no_fault(aws, findings, monkeypatch):
    monkeypatch.setenv("ECR_AUDIT_REGIONS", "me-south-1")
    assert findings() == []


def test_an_unwritable_folder(findings, monkeypatch):
    monkeypatch.setenv("ECR_AUDIT_LAKE", "/dev/null/lake")
    result = only(findings())
    assert (result.title, result.status) == ("Lake", Status.FAIL)
    assert "/dev/null/lake" in result.found
    assert "ECR_AUDIT_LAKE" in result.fix


def test_an_unwritable_folder_of_published_files(findings, monkeypatch, tmp_path):
    monkeypatch.setenv("ECR_AUDIT_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("ECR_AUDIT_DATA", "/dev/null/data")
    assert only(findings()).title == "Published files"


def test_published_files_in_a_bucket(findings, monkeypatch, bucket):
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", f"s3://{bucket}/published")
    assert findings() == []
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=bucket)
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", f"s3://{bucket}-too/published")
    result = only(findings())
    assert (result.title, result.status) == ("Published files", Status.FAIL)
    assert "ECR_AUDIT_PUBLISH" in result.fix


def test_a_bucket_that_is_not_there(findings, monkeypatch, bucket):
    monkeypatch.setenv("ECR_AUDIT_LAKE", f"s3://{bucket}-too/lake")
    result = only(findings())
    assert result.title == "Lake"
    assert f"s3://{bucket}-too/lake cannot be written" in result.found


def test_a_bucket_leaves_no_probe_behind(findings, monkeypatch, bucket):
    monkeypatch.setenv("ECR_AUDIT_LAKE", f"s3://{bucket}/lake")
    assert findings() == []
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize(
    ("action", "told"), [("PutObject", "written"), ("GetObject", "read back"), ("DeleteObject", "deleted from")]
)
def test_a_bucket_that_refuses(findings, monkeypatch, bucket, action, told):
    monkeypatch.setenv("ECR_AUDIT_LAKE", f"s3://{bucket}/lake")
    statement = {"Effect": "Deny", "Principal": "*", "Action": f"s3:{action}", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    boto3.client("s3").put_bucket_policy(Bucket=bucket, Policy=policy)
    result = only(findings())
    boto3.client("s3").delete_bucket_policy(Bucket=bucket)
    assert result.title == "Lake"
    assert f"cannot be {told}" in result.found


def test_a_lake_of_another_organization(findings, tmp_path):
    with Lake(str(tmp_path / "data/lake")).writer("inventory", date(2026, 11, 1)) as writer:
        for table in STAGES["inventory"]:
            writer.write(table, pa.Table.from_pylist([], schema=table.schema))
        writer.commit({"organization_id": "o-another1234"})
    result = only(findings())
    assert result.title == "Lake"
    assert "o-another1234" in result.found and "o-demo0ecr0audit" in result.found


def test_waivers_that_cannot_be_read(findings, monkeypatch, tmp_path):
    path = tmp_path / "waivers.yaml"
    monkeypatch.setenv("ECR_AUDIT_WAIVERS", str(path))
    assert "cannot be read" in only(findings()).found
    path.write_text("waivers: []\n")
    assert findings() == []
    path.write_text("waivers:\n  - id: W-1\n")
    assert only(findings()).title == "Waivers"


def test_a_connection_that_is_not_there(aws, monkeypatch):
    monkeypatch.setenv("ECR_AUDIT_POSTGRES_CONN_ID", "bi")

    def unknown() -> str:
        raise LookupError("The conn_id `bi` isn't defined")

    result = list(examine(connect_hub, unknown))[-1]
    assert (result.title, result.status) == ("PostgreSQL", Status.FAIL)
    assert "`bi` isn't defined" in result.found and "ECR_AUDIT_POSTGRES_CONN_ID" in result.fix


def test_a_channel_of_alerts_that_lacks_something(aws):
    results = list(examine(connect_hub, lambda: None, lambda: {"e-mail": "", "Slack": "no such connection"}))[-2:]
    assert [(result.title, result.status) for result in results] == [("Alerts", Status.OK), ("Alerts", Status.FAIL)]
    assert "Slack: no such connection" in results[1].found and "docs/alerts.md" in results[1].fix


def test_a_hub_connection_that_is_not_there(aws):
    def unknown():
        raise LookupError("The conn_id `aws_hub` isn't defined")

    results = {result.title: result for result in examine(unknown, lambda: None)}
    assert "`aws_hub` isn't defined" in results["Credentials"].found
    assert results["Role in the accounts"].status is Status.SKIPPED
    assert results["Clock"].status is Status.SKIPPED
    assert results["Lake"].status is Status.OK
