"""Evaluating and publishing a lake in an S3 bucket (moto's), with waivers from it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import boto3
import duckdb
import pytest

from ecr_audit.catalog.waivers import load_waivers
from ecr_audit.lake.lake import Lake
from ecr_audit.publish.build import publish
from support.small_lake import SmallLake

DAY, NEXT_DAY = date(2026, 11, 1), date(2026, 11, 2)

WAIVERS = """\
waivers:
  - id: W-1
    policy: /ce/ca/aws/ecr/repository-image-tag-mutability
    scope: {region: eu-west-1}
    reason: To be retired.
    owner: web
    ticket: RISK-1
    approved_by: CISO
    created: 2026-11-02
    expires: 2026-12-01
"""


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.mark.usefixtures("credentials")
def test_two_nights_are_evaluated_and_published(small_lake: SmallLake, bucket: str, tmp_path: Path) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key="accepted/waivers.yaml", Body=WAIVERS.encode())
    small_lake.lake = Lake(f"s3://{bucket}/ecr/lake")
    small_lake.waivers = load_waivers(f"s3://{bucket}/accepted/waivers.yaml", small_lake.catalog, 365)
    for day in (DAY, NEXT_DAY):
        small_lake.night(day, repositories=[{}])
    publication = publish(small_lake.lake, small_lake.catalog, tmp_path, owner_tags=())
    with duckdb.connect(publication.database, read_only=True) as database:
        rows = database.execute(
            """
            SELECT snapshot_date, incompliant, waived
            FROM compliance_daily
            WHERE scope_type = 'organization' AND policy_id LIKE '%mutability'
            ORDER BY snapshot_date
            """
        ).fetchall()
    assert rows == [(DAY, 1, 0), (NEXT_DAY, 1, 1)]
