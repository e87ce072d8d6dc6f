"""From the answers of AWS to rows of the lake: nothing is guessed, and missing values stay missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.parsers import ResponseParserError

from ecr_audit.aws.answers import Unread
from ecr_audit.aws.dispatcher import Effort
from ecr_audit.aws.ecr.repositories import read_repositories
from ecr_audit.aws.ecr.tags import read_tags
from ecr_audit.aws.ecr.target import TargetScan
from ecr_audit.aws.outcomes import Outcome, error_code, error_message
from ecr_audit.inventory.rows import repository_rows, target_rows
from ecr_audit.lake.schemas import REPOSITORIES, SCAN_TARGETS

Tags = dict[str, dict[str, str] | None] | None

COLLECTED_AT = datetime(2026, 3, 1, 2, tzinfo=UTC)
ARN = "arn:aws:ecr:us-east-1:111111111111:repository/app"
WHOLE = {
    "repositoryName": "app",
    "repositoryArn": ARN,
    "repositoryUri": "111111111111.dkr.ecr.us-east-1.amazonaws.com/app",
    "registryId": "111111111111",
    "createdAt": 1_700_000_000.25,
    "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
    "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "dev-*"}],
    "imageScanningConfiguration": {"scanOnPush": True},
    "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "arn:aws:kms:us-east-1:111111111111:key/1"},
}


def scan(*repositories: dict[str, Any], tags: Tags = None, outcome: Outcome = Outcome.COLLECTED) -> TargetScan:
    described = read_repositories(repositories, "111111111111", "us-east-1", Unread())
    return TargetScan("111111111111", "us-east-1", outcome, described, tags)


def row(repository: dict[str, Any], tags: Tags = None) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = repository_rows([scan(repository, tags=tags)], COLLECTED_AT).to_pylist()
    return found


def test_a_whole_repository() -> None:
    assert row(WHOLE, {ARN: {"owner": "team"}}) == {
        "account_id": "111111111111",
        "region": "us-east-1",
        "repository_name": "app",
        "repository_arn": ARN,
        "repository_uri": "111111111111.dkr.ecr.us-east-1.amazonaws.com/app",
        "created_at": datetime(2023, 11, 14, 22, 13, 20, 250_000, UTC),
        "image_tag_mutability": "IMMUTABLE_WITH_EXCLUSION",
        "image_tag_mutability_exclusion_filters": [{"filter_type": "WILDCARD", "filter": "dev-*"}],
        "scan_on_push": True,
        "encryption_type": "KMS",
        "kms_key": "arn:aws:kms:us-east-1:111111111111:key/1",
        "tags": [("owner", "team")],
        "tags_read_at": COLLECTED_AT,
        "collected_at": COLLECTED_AT,
        "observed": True,
    }


@pytest.mark.parametrize("absent", [{}, dict.fromkeys(WHOLE)], ids=["left out", "null"])
def test_an_absent_field_is_null(absent: dict[str, None]) -> None:
    found = row({**absent, "repositoryName": "app", "repositoryArn": ARN})
    assert found.pop("image_tag_mutability_exclusion_filters") == []
    present = {"account_id", "region", "repository_name", "repository_arn", "collected_at", "observed"}
    assert {column for column, value in found.items() if value is not None} == present


@pytest.mark.parametrize("value", ["IMMUTABLE_AFTER_SCAN", " immutable ", ""])
def test_an_unknown_mutability_is_kept_as_it_is(value: str) -> None:
    assert row({**WHOLE, "imageTagMutability": value})["image_tag_mutability"] == value


def test_tags_that_were_not_read_are_distinguished_from_no_tags() -> None:
    unread, unreadable, none_at_all = row(WHOLE, None), row(WHOLE, {ARN: None}), row(WHOLE, {})
    assert (unread["tags"], unread["tags_read_at"]) == (None, None)
    assert (unreadable["tags"], unreadable["tags_read_at"]) == (None, None)
    assert (none_at_all["tags"], none_at_all["tags_read_at"]) == ([], COLLECTED_AT)
    assert row(WHOLE, {"arn:another": {"owner": "x"}})["tags"] == []


JUNK: list[Any] = [
    *(None, True, 0, -1, 1e300, 10**30, float("nan"), float("inf"), "", "x", "\x00", "\ud800", "x" * 100_000),
    *([], {}, [None], [[]], [{}], {"Key": 5}, {"filter": "\ud800"}, {"scanOnPush": {}}, {"encryptionType": ["KMS"]}),
]


@pytest.mark.parametrize("field", WHOLE)
def test_any_value_of_a_field_gives_rows_or_a_reason(field: str) -> None:
    """In one batch with another target's, which must not be lost."""
    for junk in JUNK:
        [repository] = json.loads(json.dumps([{**WHOLE, field: junk}]))
        tags = read_tags(json.loads(json.dumps([{"ResourceARN": ARN, "Tags": junk}, junk])), Unread())
        try:
            odd = scan(repository, tags=tags)
        except ResponseParserError as fault:
            odd = scan(outcome=Outcome.FAILED)
            odd.error_code, odd.error_message = error_code(fault), error_message(fault)
        scans = [scan(WHOLE), odd]
        rows = repository_rows(scans, COLLECTED_AT).num_rows
        assert [row["repository_count"] for row in target_rows([(each, None) for each in scans]).to_pylist()] in (
            [1, 1] if rows == 2 else [1, None],
        )


def test_targets_do_not_mix() -> None:
    first, second = scan(WHOLE, tags={ARN: {"owner": "a"}}), scan(WHOLE, tags=None)
    second.account_id = "222222222222"
    found = repository_rows([first, second], COLLECTED_AT)
    assert found.schema.equals(REPOSITORIES.schema)
    assert found["account_id"].to_pylist() == ["111111111111", "222222222222"]
    assert found["tags"].to_pylist() == [[("owner", "a")], None]


def test_without_targets_the_rows_have_the_same_shape() -> None:
    assert repository_rows([], COLLECTED_AT).schema.equals(REPOSITORIES.schema)


def target_row(scan: TargetScan, effort: Effort | None) -> dict[str, Any]:
    found: dict[str, Any]
    [found] = target_rows([(scan, effort)]).to_pylist()
    return found


def test_without_scans_the_target_rows_have_the_same_shape() -> None:
    assert target_rows([]).schema.equals(SCAN_TARGETS.schema)


def test_a_target_has_its_outcome_and_its_calls() -> None:
    effort = Effort(started_at=COLLECTED_AT.timestamp(), duration_ms=250, calls=4, retries=2, throttles=1)
    other = {**WHOLE, "repositoryName": "web", "repositoryArn": ARN.replace("app", "web")}
    found = target_row(scan(WHOLE, other), effort)
    assert found == {
        "account_id": "111111111111",
        "region": "us-east-1",
        "outcome": "COLLECTED",
        "error_code": None,
        "error_message": None,
        "repository_count": 2,
        "api_calls": 4,
        "retries": 2,
        "throttles": 1,
        "started_at": COLLECTED_AT,
        "duration_ms": 250,
    }


def test_uncounted_calls_are_unknown_not_zero() -> None:
    found = target_row(scan(outcome=Outcome.FAILED), None)
    assert {found[name] for name in ("api_calls", "retries", "throttles", "started_at", "duration_ms")} == {None}


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.COLLECTED])
def test_where_nobody_could_look_the_count_is_unknown_not_zero(outcome: Outcome) -> None:
    assert target_row(scan(outcome=outcome), Effort())["repository_count"] is None


def test_a_collected_target_without_repositories_has_none() -> None:
    assert target_row(scan(), Effort())["repository_count"] == 0
