"""requirements-query.txt: enough for `ecr_audit.query`, no more than that, and of the audit's own versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.light_install import listed, pins, query

pytestmark = pytest.mark.slow

# For a publication on S3.
S3_PACKAGES = frozenset({"boto3", "botocore", "s3transfer", "jmespath", "urllib3"})


def test_a_published_file_is_asked_with_the_locked_packages_alone(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no other package to be found, boto3 among them; tests/integration/storage asks one on S3."""
    monkeypatch.setenv("ECR_AUDIT_DATA", str(demo))
    sql = "SELECT region, count(*) AS findings FROM open_findings GROUP BY region ORDER BY region"
    answer = query(sql, without=S3_PACKAGES)
    assert answer["type"] == "pandas.DataFrame"
    assert len(answer["rows"]) > 3
    assert all(row["findings"] > 0 for row in answer["rows"])
    assert listed() - answer["packages"] == {"boto3"}
    assert not answer["packages"] & S3_PACKAGES


def test_versions_are_those_of_the_audit() -> None:
    light, whole = pins("requirements-query.txt"), pins("requirements.txt")
    assert listed() < {package for package, _ in light}
    assert light < whole
    assert len(light) < len(whole) / 5
