"""The file of waivers on S3, in a bucket of another region."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from demo.waivers import write_waivers
from ecr_audit.catalog import Catalog
from ecr_audit.catalog.waivers import WaiverError, load_waivers
from ecr_audit.lake.s3 import S3

from .conftest import BUCKET, EmulatedS3


@pytest.mark.parametrize("folder", ["", "/accepted/risks"])
def test_it_is_read(s3: EmulatedS3, catalog: Catalog, tmp_path: Path, folder: str) -> None:
    path = write_waivers(tmp_path / "waivers.yaml", date(2026, 11, 23))
    S3(f"s3://{BUCKET}{folder}").put(path, "waivers.yaml")
    assert load_waivers(f"s3://{BUCKET}{folder}/waivers.yaml", catalog, 365).num_rows == 5


@pytest.mark.parametrize("place", [f"{BUCKET}/nothing.yaml", "no-such-bucket/waivers.yaml"])
def test_one_that_is_not_there_is_named(s3: EmulatedS3, catalog: Catalog, place: str) -> None:
    with pytest.raises(
        WaiverError, match=rf"ECR_AUDIT_WAIVERS: 's3://{place}' cannot be read .*(does not exist|NoSuchBucket)"
    ):
        load_waivers(f"s3://{place}", catalog, 365)
