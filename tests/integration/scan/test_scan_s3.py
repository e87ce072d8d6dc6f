"""The lake in an S3 bucket (moto's), with a whole night in it."""

from __future__ import annotations

from datetime import date

import pytest

from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import REPOSITORIES, STAGES
from ecr_audit.lake.storage import LakeError

from .conftest import MakeAudit, MakeWorld

DAY, NEXT_DAY = date(2026, 3, 1), date(2026, 3, 2)
TABLES = STAGES["inventory"]


def test_two_nights_with_a_dark_account_and_a_second_run(
    audit_of: MakeAudit, organization_of: MakeWorld, bucket: str
) -> None:
    audit = audit_of(organization_of(2))
    audit.lake = Lake(f"s3://{bucket}/ecr/lake")
    assert audit.lake.snapshot_dates("inventory") == []
    audit.run(DAY)
    audit.assert_true(DAY)
    audit.aws.world = organization_of(2, changed={"100000000002": {"assumable": False}})
    audit.run(NEXT_DAY)
    audit.run(NEXT_DAY)
    audit.assert_true(NEXT_DAY)
    unobserved = [row["account_id"] for row in audit.rows(REPOSITORIES, NEXT_DAY) if not row["observed"]]
    assert set(unobserved) == {"100000000002"}
    assert audit.lake.snapshot_dates("inventory") == [DAY, NEXT_DAY]
    for day in (DAY, NEXT_DAY):
        for table in TABLES:
            assert len(audit.lake.storage.files(f"{table.name}/snapshot_date={day}")) == 1
    assert len(audit.lake.storage.folders("_parts")) == 1


def test_a_bucket_that_does_not_exist_is_named(bucket: str) -> None:
    lake = Lake("s3://no-such-lake/ecr")
    with lake.writer("inventory", DAY) as writer:
        for table in TABLES:
            writer.write(table, table.schema.empty_table())
        with pytest.raises(LakeError, match=r"no-such-lake/ecr/accounts/.* cannot be written"):
            writer.commit({})
