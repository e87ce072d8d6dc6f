"""Findings for Security Hub: valid by botocore's shapes and Security Hub's own limits."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ecr_audit.publish.exports import ASFF, OCSF
from support.asff import faults
from support.exported_nights import CLOSED, DARK, SHOP, ExportedNight
from support.ocsf import read_lines
from support.policies import MUTABILITY


@pytest.fixture(scope="module")
def records(nights: list[ExportedNight]) -> list[list[dict[str, Any]]]:
    """The records of each night."""
    return [read_lines(night.folder / ASFF) for night in nights]


def test_every_record_is_valid(records: list[list[dict[str, Any]]]) -> None:
    assert {fault for night in records for record in night for fault in faults(record)} == set()


@pytest.mark.parametrize(
    "damage",
    [
        {"Title": "x" * 257},
        {"Description": " "},
        {"RecordState": "DONE"},
        {"Surprise": 1},
        {"UpdatedAt": "yesterday"},
        {"Compliance": {"Status": "PASS"}},
        {"Compliance": {"Status": "PASSED", "SecurityControlId": "ECR.2"}},
        {"ProductArn": "arn:aws:securityhub:eu-west-1::product/acme/ecr"},
        {"Resources": [{"Type": "AwsEcrRepository", "Region": "eu-west-1"}]},
    ],
    ids=str,
)
def test_a_fault_is_found(records: list[list[dict[str, Any]]], damage: dict[str, Any]) -> None:
    assert faults(records[0][0] | damage)


def test_there_is_a_record_for_each_record_of_ocsf(
    nights: list[ExportedNight], records: list[list[dict[str, Any]]]
) -> None:
    for night, exported in zip(nights, records, strict=True):
        ids = [record["Id"].rpartition("/")[2] for record in exported]
        assert sorted(ids) == sorted(record["finding_info"]["uid"] for record in read_lines(night.folder / OCSF))
        objects = [(record["Resources"][0]["Id"], record["GeneratorId"]) for record in exported]
        assert objects == sorted(objects)
        statuses = Counter(record["ProductFields"]["ecr-audit/status"] for record in exported)
        assert statuses == dict(night.query("SELECT status, count(*) FROM policy_output GROUP BY ALL"))


def test_each_status_has_words_of_its_own(records: list[list[dict[str, Any]]]) -> None:
    found = {
        (record["AwsAccountId"], record["Resources"][0]["Id"].rpartition("/")[2]): (
            record["Compliance"]["Status"],
            record["RecordState"],
            record["Severity"]["Label"],
        )
        for record in records[1]
        if record["GeneratorId"] == MUTABILITY
    }
    assert found[SHOP, "open"] == found[SHOP, "waived"] == ("FAILED", "ACTIVE", "MEDIUM")
    assert found[SHOP, "fixed"] == ("PASSED", "ACTIVE", "INFORMATIONAL")
    assert found[SHOP, "odd"] == ("WARNING", "ACTIVE", "INFORMATIONAL")
    assert found[SHOP, "gone"] == ("NOT_AVAILABLE", "ARCHIVED", "INFORMATIONAL")
    # Lost sight is not archived; an account that was closed is.
    assert found[DARK, "unseen"] == ("NOT_AVAILABLE", "ACTIVE", "INFORMATIONAL")
    assert found[CLOSED, "unseen"] == ("NOT_AVAILABLE", "ARCHIVED", "INFORMATIONAL")


def test_a_setting_that_security_hub_does_not_know_is_among_other_details(records: list[list[dict[str, Any]]]) -> None:
    details = {
        record["Resources"][0]["Id"].rpartition("/")[2]: record["Resources"][0].get("Details", {})
        for record in records[1]
    }
    assert details["open"]["AwsEcrRepository"]["ImageTagMutability"] == "MUTABLE"
    assert details["filtered"]["Other"] == {
        "ImageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "ExclusionFilters": "latest*",
    }
    assert "ImageTagMutability" not in details["filtered"]["AwsEcrRepository"]


def test_requirements_are_those_of_the_control(records: list[list[dict[str, Any]]]) -> None:
    [related] = {
        tuple(record["Compliance"]["RelatedRequirements"])
        for record in records[1]
        if record["GeneratorId"] == MUTABILITY
    }
    assert related == ("NIST.800-53.r5 CA-9(1)", "NIST.800-53.r5 CM-2", "NIST.800-53.r5 CM-8(1)")
