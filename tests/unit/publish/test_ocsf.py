"""Findings as OCSF: valid by the official schemas, whole, and the same findings every night."""

from __future__ import annotations

import json
import shutil
import uuid
from collections import Counter
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_audit.publish import json_lines
from ecr_audit.publish.exports import BY_DEFAULT, OCSF
from ecr_audit.publish.json_lines import lines_of_records, write_records
from ecr_audit.publish.publication import DATABASE
from ecr_audit.publish.published_file import open_published
from ecr_audit.vocabulary import ExportedRecords
from support.exported_nights import CLOSED, DARK, FIRST, HOSTILE, NAMELESS, SECOND, SHOP, ExportedNight
from support.ocsf import faults, read_lines
from support.policies import MOVED_THOUGH_IMMUTABLE, MUTABILITY


@pytest.fixture(scope="module")
def records(nights: list[ExportedNight]) -> list[list[dict[str, Any]]]:
    """The records of each night."""
    return [read_lines(night.folder / OCSF) for night in nights]


@pytest.fixture(scope="module")
def mutability(records: list[list[dict[str, Any]]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Those of the second night under the policy on mutability, by account and name of the repository."""
    return {
        (record["cloud"]["account"]["uid"], record["resources"][0]["name"]): record
        for record in records[1]
        if record["compliance"]["checks"][0]["uid"] == MUTABILITY
    }


def lines(database: Path, records: ExportedRecords) -> list[dict[str, Any]]:
    """The records of a database."""
    with open_published(database) as connection:
        return [json.loads(line) for line in lines_of_records(connection, "ocsf_findings", records)]


def milliseconds(day: Any, at: time = time()) -> int:
    return int(datetime.combine(day, at, UTC).timestamp() * 1000)


def test_every_line_is_valid(records: list[list[dict[str, Any]]]) -> None:
    assert {record["status_code"] for record in records[1]} == {
        "COMPLIANT",
        "INCOMPLIANT",
        "UNDETERMINED",
        "INAPPLICABLE",
        "DISAPPEARED",
    }
    assert faults([*records[0], *records[1]]) == []


@pytest.mark.parametrize(
    "damage",
    [{"time": None}, {"severity_id": "high"}, {"class_uid": None}, {"cloud": {}}, {"surprise": 1}, {"status_id": 77}],
    ids=str,
)
def test_an_invalid_line_is_found(records: list[list[dict[str, Any]]], damage: dict[str, Any]) -> None:
    record = {name: value for name, value in (records[0][0] | damage).items() if value is not None}
    assert faults([record])


def test_the_text_of_a_policy_is_in_its_record_once(records: list[list[dict[str, Any]]]) -> None:
    """A SIEM is paid by volume."""
    for record in records[1]:
        assert json.dumps(record).count(json.dumps(record["compliance"]["checks"][0]["desc"])) == 1


def test_the_setting_is_evidence_under_the_policies_that_rest_on_it(records: list[list[dict[str, Any]]]) -> None:
    """Encryption, say, rests on what another call reads: the message has that."""
    resting = {
        record["compliance"]["checks"][0]["uid"]
        for record in records[1]
        if "image_tag_mutability_raw" in record["evidences"][0]["data"]
    }
    assert MUTABILITY in resting and not any("encryption" in policy for policy in resting)
    assert any("encryption" in record["compliance"]["checks"][0]["uid"] for record in records[1])
    assert MOVED_THOUGH_IMMUTABLE in resting


def test_exclusion_filters_are_those_of_settings_that_have_some(records: list[list[dict[str, Any]]]) -> None:
    found = {
        data["image_tag_mutability_raw"]: data.get("exclusion_filters")
        for record in records[1]
        if (data := record["resources"][0].get("data"))
    }
    assert found["MUTABLE"] is None
    assert found["IMMUTABLE_WITH_EXCLUSION"] == ["latest*"]


def test_nothing_is_null(records: list[list[dict[str, Any]]]) -> None:
    def nulls(value: Any, path: str) -> list[str]:
        if isinstance(value, dict):
            return [found for name, each in value.items() for found in nulls(each, f"{path}.{name}")]
        if isinstance(value, list):
            return [found for each in value for found in nulls(each, f"{path}[]")]
        return [path] if value is None else []

    found = {path for night in records for record in night for path in nulls(record, "")}
    assert found == set()


def test_there_is_a_record_for_each_verdict(nights: list[ExportedNight], records: list[list[dict[str, Any]]]) -> None:
    for night, exported in zip(nights, records, strict=True):
        counts = dict(night.query("SELECT status, count(*) FROM policy_output GROUP BY ALL"))
        assert Counter(record["status_code"] for record in exported) == counts
        order = night.query("SELECT policy_id, object_id FROM policy_output ORDER BY ALL")
        assert [
            (record["compliance"]["checks"][0]["uid"], record["resources"][0]["uid"]) for record in exported
        ] == order


def test_findings_and_those_that_ended_tonight_are_the_default(nights: list[ExportedNight]) -> None:
    exported = lines(nights[1].folder / DATABASE, BY_DEFAULT.export_records)
    [(findings, ended)] = nights[1].query(
        "SELECT (SELECT count(*) FROM findings), count(*) FROM policy_output WHERE incompliant_end_date = $day",
        day=SECOND,
    )
    statuses = Counter(record["status_code"] for record in exported)
    assert ended and len(exported) == findings + ended == sum(statuses.values())
    assert statuses["INCOMPLIANT"] and statuses["DISAPPEARED"] and statuses["INAPPLICABLE"]


def test_each_status_has_words_of_its_own(mutability: dict[tuple[str, str], dict[str, Any]]) -> None:
    """activity: 1 create, 2 update, 3 close. status: 1 new, 3 suppressed, 4 resolved, 5 archived, 0 unknown.
    compliance: 1 pass, 2 warning, 3 fail, 99 other."""
    names = ("activity_id", "status_id", "severity_id")
    found = {
        key: (*(record[name] for name in names), record["compliance"]["status_id"])
        for key, record in mutability.items()
    }
    assert found == {
        (SHOP, "open"): (2, 1, 3, 3),
        (SHOP, "waived"): (2, 3, 3, 3),
        (SHOP, "fixed"): (3, 4, 1, 1),
        (SHOP, "good"): (2, 4, 1, 1),
        (SHOP, "filtered"): (2, 4, 1, 1),
        (SHOP, "odd"): (2, 0, 1, 2),
        (SHOP, "gone"): (3, 5, 1, 99),
        (SHOP, "new"): (1, 1, 3, 3),
        (NAMELESS, "nameless/app"): (2, 1, 3, 3),
        # Not seen is not fixed.
        (DARK, "unseen"): (2, 1, 1, 2),
        (CLOSED, "unseen"): (3, 5, 1, 99),
    }


def test_a_record_names_time_place_control_and_fix(mutability: dict[tuple[str, str], dict[str, Any]]) -> None:
    record = mutability[SHOP, "open"]
    assert record["time"] == record["finding_info"]["modified_time"] == milliseconds(SECOND, time(3))
    assert record["time_dt"] == "2026-11-02T03:00:00.000Z"
    assert record["finding_info"]["first_seen_time"] == milliseconds(FIRST)
    assert record["finding_info"]["last_seen_time"] == milliseconds(SECOND, time(2))
    assert mutability[DARK, "unseen"]["finding_info"]["last_seen_time"] == milliseconds(FIRST, time(2))
    assert record["compliance"]["control"] == "ECR.2"
    assert "NIST SP 800-53 Revision 5: CM-2 Baseline Configuration" in record["compliance"]["requirements"]
    assert "AWS Foundational Security Best Practices v1.0.0" in record["compliance"]["standards"]
    assert record["cloud"]["account"] == {"uid": SHOP, "name": HOSTILE, "type_id": 10}
    assert record["cloud"]["org"]["uid"] == record["metadata"]["tenant_uid"] == "o-exampleorgid"
    assert "name" not in mutability[NAMELESS, "nameless/app"]["cloud"]["account"]
    assert record["resources"][0]["owner"] == {"name": HOSTILE.strip()}
    assert record["evidences"][0]["data"]["image_tag_mutability_raw"] == "MUTABLE"
    assert "put-image-tag-mutability" in record["remediation"]["desc"]
    assert "remediation" not in mutability[SHOP, "good"]
    assert mutability[SHOP, "waived"]["unmapped"]["ticket"] == "RISK-1"
    assert mutability[SHOP, "odd"]["resources"][0]["data"]["image_tag_mutability_raw"] == HOSTILE


def test_a_finding_keeps_its_id_and_a_record_has_a_new_one(records: list[list[dict[str, Any]]]) -> None:
    first, second = (
        {record["finding_info"]["uid"]: record["metadata"]["uid"] for record in night} for night in records
    )
    assert [len(first), len(second)] == [len(night) for night in records], "an id is there twice"
    assert len(first.keys() & second.keys()) > len(first) * 0.8
    assert not {*first.values()} & {*second.values()}
    [open_finding] = [
        record
        for record in records[1]
        if record["resources"][0]["name"] == "open" and record["compliance"]["checks"][0]["uid"] == MUTABILITY
    ]
    name = "\x1f".join(["finding", MUTABILITY, open_finding["resources"][0]["uid"]])
    namespace = uuid.uuid5(uuid.NAMESPACE_URL, "https://ecr-audit.invalid")
    assert open_finding["finding_info"]["uid"] == str(uuid.uuid5(namespace, name))


def test_a_night_of_an_older_version_names_no_organization(nights: list[ExportedNight], tmp_path: Path) -> None:
    """OCSF refuses an organization without an id."""
    shutil.copyfile(nights[1].folder / DATABASE, tmp_path / DATABASE)
    with duckdb.connect(tmp_path / DATABASE) as database:
        database.execute("UPDATE publication SET organization_id = NULL")
    exported = lines(tmp_path / DATABASE, ExportedRecords.ALL)
    assert not any("org" in record["cloud"] or "tenant_uid" in record["metadata"] for record in exported)
    assert exported and faults(exported) == []


def test_slices_of_the_records_make_the_same_file(
    nights: list[ExportedNight], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "SLICE", 2)
    with open_published(nights[1].folder / DATABASE) as database:
        write_records(database, "ocsf_findings", ExportedRecords.ALL, tmp_path / OCSF)
    assert (tmp_path / OCSF).read_bytes() == (nights[1].folder / OCSF).read_bytes()
