"""The doctor on the places that the audit writes: the lake, published files; and the waivers that it reads."""

from __future__ import annotations

import errno
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import boto3
import pyarrow as pa
import pytest

from demo.emulated_aws.trail import log_file, log_file_key
from ecr_audit.aws.session import connect_hub
from ecr_audit.doctor import Result, Status, examine
from ecr_audit.doctor.image_tags import offer_image_tags
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import STAGES
from ecr_audit.settings import load_settings
from support.small_lake import SmallLake

from .conftest import Examine


def only(found: list[Result]) -> Result:
    """The one finding, which has advice."""
    [result] = found
    assert result.fix
    return result


def test_an_unwritable_folder(findings: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_LAKE", "/dev/null/lake")
    result = only(findings())
    assert (result.title, result.status) == ("Lake", Status.FAIL)
    assert "/dev/null/lake" in result.found
    assert "ECR_AUDIT_LAKE" in result.fix


def test_an_unwritable_folder_of_published_files(
    findings: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ECR_AUDIT_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("ECR_AUDIT_DATA", "/dev/null/data")
    assert only(findings()).title == "Published files"


def test_a_disk_without_locks(findings: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an NFS mount without its lock service: a night would end with the same words."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    lake, published = findings()
    assert [each.title for each in (lake, published)] == ["Lake", "Published files"]
    for result in (lake, published):
        assert result.status is Status.FAIL
        assert "cannot be locked: [Errno 37] No locks available" in result.found
        assert "lock service" in result.fix


@pytest.mark.parametrize("folder", ["data/lake/_commits/inventory", "data/lake/repositories", "data/publish/versions"])
def test_a_folder_within_that_cannot_be_written(findings: Examine, tmp_path: Path, folder: str) -> None:
    """Mostly one that a run of another user has left; what is above it can be written."""
    path = tmp_path / folder
    path.parent.mkdir(parents=True)
    path.symlink_to("/proc/self/fd")
    result = only(findings())
    assert result.title == ("Published files" if "publish" in folder else "Lake")
    assert f"{path} cannot be written" in result.found


@pytest.mark.parametrize("file", ["data/lake/_commits/.lock", "data/publish/.lock"])
def test_a_lock_file_that_cannot_be_opened(findings: Examine, tmp_path: Path, file: str) -> None:
    path = tmp_path / file
    path.mkdir(parents=True)
    assert f"{path} cannot be written" in only(findings()).found


def test_published_files_in_a_bucket(findings: Examine, monkeypatch: pytest.MonkeyPatch, bucket: str) -> None:
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", f"s3://{bucket}/published")
    assert findings() == []
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=bucket)
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", f"s3://{bucket}-too/published")
    result = only(findings())
    assert (result.title, result.status) == ("Published files", Status.FAIL)
    assert "ECR_AUDIT_PUBLISH" in result.fix


def test_a_bucket_that_is_not_there(findings: Examine, monkeypatch: pytest.MonkeyPatch, bucket: str) -> None:
    monkeypatch.setenv("ECR_AUDIT_LAKE", f"s3://{bucket}-too/lake")
    result = only(findings())
    assert result.title == "Lake"
    assert f"s3://{bucket}-too/lake cannot be written" in result.found


def test_a_bucket_leaves_no_probe_behind(findings: Examine, monkeypatch: pytest.MonkeyPatch, bucket: str) -> None:
    monkeypatch.setenv("ECR_AUDIT_LAKE", f"s3://{bucket}/lake")
    assert findings() == []
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize(
    ("action", "reported"), [("PutObject", "written"), ("GetObject", "read back"), ("DeleteObject", "deleted from")]
)
def test_a_bucket_that_refuses(
    findings: Examine, monkeypatch: pytest.MonkeyPatch, bucket: str, action: str, reported: str
) -> None:
    monkeypatch.setenv("ECR_AUDIT_LAKE", f"s3://{bucket}/lake")
    statement = {"Effect": "Deny", "Principal": "*", "Action": f"s3:{action}", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    boto3.client("s3").put_bucket_policy(Bucket=bucket, Policy=policy)
    result = only(findings())
    boto3.client("s3").delete_bucket_policy(Bucket=bucket)
    assert result.title == "Lake"
    assert f"cannot be {reported}" in result.found


def test_a_lake_of_another_organization(findings: Examine, tmp_path: Path) -> None:
    with Lake(str(tmp_path / "data/lake")).writer("inventory", date(2026, 11, 1)) as writer:
        for table in STAGES["inventory"]:
            writer.write(table, pa.Table.from_pylist([], schema=table.schema))
        writer.commit({"organization_id": "o-another1234"})
    result = only(findings())
    assert result.title == "Lake"
    assert "o-another1234" in result.found and "o-demo0ecr0audit" in result.found


def test_the_cost_of_reading_image_tags_is_estimated_from_the_newest_inventory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_lake: SmallLake
) -> None:
    """Without its calls to AWS, which are the same in all tests."""
    monkeypatch.setenv("ECR_AUDIT_LAKE", str(small_lake.lake.root))
    settings = ("MUTABLE", " immutable ", "IMMUTABLE_WITH_EXCLUSION", "")
    rows = [{"repository_name": f"r{n}", "image_tag_mutability": each} for n, each in enumerate(settings)]
    assert list(offer_image_tags(load_settings())) == []
    small_lake.scan(date(2026, 11, 1), repositories=[*rows, {"repository_name": "unseen", "observed": False}])
    [result] = offer_image_tags(load_settings())
    assert result.status is Status.OK
    assert "which tags of 3 repositories were overwritten" in result.found
    assert "at least 3 a night" in result.found
    monkeypatch.setenv("ECR_AUDIT_IMAGE_TAGS", "all")
    assert list(offer_image_tags(load_settings())) == []


def test_waivers_that_cannot_be_read(findings: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "waivers.yaml"
    monkeypatch.setenv("ECR_AUDIT_WAIVERS", str(path))
    assert "cannot be read" in only(findings()).found
    path.write_text("waivers: []\n")
    assert findings() == []
    path.write_text("waivers:\n  - id: W-1\n")
    assert only(findings()).title == "Waivers"


def test_a_trail_is_listed_and_its_newest_log_file_read(
    findings: Examine, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the hub's own account and region."""
    monkeypatch.setenv("ECR_AUDIT_CLOUDTRAIL", f"s3://{bucket}/audit")
    assert "has no effect while ECR_AUDIT_IMAGE_TAGS is off" in only(findings()).found
    monkeypatch.setenv("ECR_AUDIT_IMAGE_TAGS", "all")
    result = only(findings())
    assert (result.title, result.status) == ("Trail", Status.WARN)
    assert "no log file of account 100000000000, region us-east-1, was delivered in the last day" in result.found
    now = datetime.now(UTC)
    s3 = boto3.client("s3")
    older, newest = (
        f"audit/{log_file_key('100000000000', 'us-east-1', at, 'o-demo0ecr0audit')}"
        for at in (now - timedelta(hours=1), now)
    )
    s3.put_object(Bucket=bucket, Key=older, Body=b"")
    s3.put_object(Bucket=bucket, Key=newest, Body=log_file([{}, {}]))
    [result] = [each for each in examine(connect_hub, lambda: None) if each.title == "Trail"]
    assert result.status is Status.OK
    assert "the newest log file with 2 records" in result.found
    s3.put_object(Bucket=bucket, Key=newest, Body=b"")
    result = only(findings())
    assert "log files cannot be read: truncated" in result.found
    assert "kms:Decrypt, s3:GetObject and s3:ListBucket to the hub: TrailBucket" in result.fix
