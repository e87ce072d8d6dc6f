"""From the answers of AWS to rows of the lake: nothing is guessed, and missing values stay missing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.parsers import ResponseParserError

from ecr_audit.aws.answers import Unread
from ecr_audit.aws.dispatcher import Effort
from ecr_audit.aws.ecr.facet import FacetRead, Fault
from ecr_audit.aws.ecr.facets import REPOSITORY_FACETS
from ecr_audit.aws.ecr.repositories import read_repositories
from ecr_audit.aws.ecr.tags import read_tags
from ecr_audit.aws.ecr.target import TargetScan
from ecr_audit.aws.outcomes import Outcome, error_code, error_message
from ecr_audit.inventory.rows import registry_rows, repository_rows, target_rows
from ecr_audit.lake.schemas import REPOSITORIES, SCAN_TARGETS
from ecr_audit.vocabulary import Facet

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


UNREAD_COLUMNS = [
    column
    for declaration in REPOSITORY_FACETS
    if declaration.facet is not Facet.TAGS
    for column in (*declaration.columns, declaration.read_at)
]


def scan(*repositories: dict[str, Any], tags: Tags = None, outcome: Outcome = Outcome.COLLECTED) -> TargetScan:
    described = read_repositories(repositories, "111111111111", "us-east-1", Unread())
    found = TargetScan("111111111111", "us-east-1", outcome, described)
    if tags is not None:
        read = found.facets[Facet.TAGS] = FacetRead([each.arn for each in described])
        for arn in read.due:
            if (value := tags.get(arn, {})) is not None:
                read.values[arn] = {"tags": list(value.items())}
    return found


def read_facet(scan: TargetScan, facet: Facet, due: Sequence[str], **found: Mapping[str, Any]) -> FacetRead:
    """Let the scan have read a facet: the values of each of the `due` whose ARN ends like a keyword."""
    values = {arn: found[name] for arn in due for name in found if arn.endswith(name)}
    scan.facets[facet] = FacetRead(due, values)
    return scan.facets[facet]


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
        **dict.fromkeys(UNREAD_COLUMNS),
        "facets_failed": [],
    }


@pytest.mark.parametrize("absent", [{}, dict.fromkeys(WHOLE)], ids=["left out", "null"])
def test_an_absent_field_is_null(absent: dict[str, None]) -> None:
    found = row({**absent, "repositoryName": "app", "repositoryArn": ARN})
    assert found.pop("image_tag_mutability_exclusion_filters") == found.pop("facets_failed") == []
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


def test_a_facet_has_its_values_and_their_time_or_neither() -> None:
    other = {**WHOLE, "repositoryName": "web", "repositoryArn": ARN.replace("app", "web")}
    found = scan(WHOLE, other, {**WHOLE, "repositoryName": "gone", "repositoryArn": ARN.replace("app", "gone")})
    arns = [each.arn for each in found.repositories]
    read_facet(found, Facet.SCANNING, arns, app={"scan_frequency": "MANUAL", "scan_filters": ["*"]})
    found.facets[Facet.SCANNING].gone.add(arns[2])
    found.facets[Facet.SCANNING].fault = Fault("AccessDeniedException", "not authorized")
    read_facet(found, Facet.LIFECYCLE, arns[:1], app={"lifecycle_policy": None})
    app, web, gone = repository_rows([found], COLLECTED_AT).to_pylist()
    assert (app["scan_frequency"], app["scan_filters"], app["scanning_read_at"]) == ("MANUAL", ["*"], COLLECTED_AT)
    # There is none, which was read.
    assert (app["lifecycle_policy"], app["lifecycle_read_at"]) == (None, COLLECTED_AT)
    assert app["facets_failed"] == gone["facets_failed"] == []
    for row in (web, gone):
        assert {row[name] for name in ("scan_frequency", "scanning_read_at", "lifecycle_read_at")} == {None}
    # Its lifecycle policy was not to be read.
    assert web["facets_failed"] == [{"facet": "scanning", "error_code": "AccessDeniedException"}]
    assert target_row(found, None)["facets_failed"] == [
        {
            "facet": "scanning",
            "error_code": "AccessDeniedException",
            "error_message": "not authorized",
            "objects": 1,
        }
    ]


def test_a_registry_that_has_repositories_has_a_row() -> None:
    found, empty = scan(WHOLE), scan()
    arn = "arn:aws:ecr:us-east-1:111111111111:registry"
    values = {"creation_templates": [], "pull_through_rules": [{"prefix": "hub", "upstream_registry_url": "u"}]}
    read_facet(found, Facet.REGISTRIES, [arn], registry=values)
    [row] = registry_rows([found, empty], COLLECTED_AT).to_pylist()
    assert row == {
        "account_id": "111111111111",
        "region": "us-east-1",
        "registry_arn": arn,
        **values,
        "registries_read_at": COLLECTED_AT,
        "collected_at": COLLECTED_AT,
        "observed": True,
        "facets_failed": [],
    }
    found.facets[Facet.REGISTRIES] = FacetRead([arn], fault=Fault("ThrottlingException", "slow down"))
    [row] = registry_rows([found], COLLECTED_AT).to_pylist()
    assert (row["creation_templates"], row["registries_read_at"]) == (None, None)
    assert row["facets_failed"] == [{"facet": "registries", "error_code": "ThrottlingException"}]


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
        "facets_failed": [],
        "request_id": None,
    }


def test_uncounted_calls_are_unknown_not_zero() -> None:
    found = target_row(scan(outcome=Outcome.FAILED), None)
    assert {found[name] for name in ("api_calls", "retries", "throttles", "started_at", "duration_ms")} == {None}


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.COLLECTED])
def test_where_nobody_could_look_the_count_is_unknown_not_zero(outcome: Outcome) -> None:
    assert target_row(scan(outcome=outcome), Effort())["repository_count"] is None


def test_a_collected_target_without_repositories_has_none() -> None:
    assert target_row(scan(), Effort())["repository_count"] == 0
