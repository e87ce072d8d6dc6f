"""Assessment results as OSCAL: valid by both schemas and by the rules beyond them, and the same things every night."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecr_audit.catalog import load_catalog
from ecr_audit.publish.oscal import FRAMEWORKS, file_name, write_assessment_results
from ecr_audit.publish.oscal.results import control_id
from ecr_audit.publish.oscal.values import PLACE, export_uid, line, markup, title
from ecr_audit.publish.published_file import open_published
from ecr_audit.settings import SQL_ROOT
from support.exported_nights import DARK, HOSTILE, SEALED, SECOND, SHOP, ExportedNight, export
from support.oscal import SCHEMAS, faults
from support.paths import ROOT
from support.policies import MUTABILITY

NIST = FRAMEWORKS[0]

Document = dict[str, Any]


def read(folder: Path, framework_id: str = NIST) -> Document:
    document: Document = json.loads((folder / file_name(framework_id)).read_text("utf-8"))
    return document


@pytest.fixture(scope="module")
def results(nights: list[ExportedNight]) -> list[Document]:
    """The assessment results by NIST of each night."""
    return [read(night.folder)["assessment-results"] for night in nights]


@pytest.fixture(scope="module")
def account(nights: list[ExportedNight], tmp_path_factory: pytest.TempPathFactory) -> Document:
    """Those of one account, with its repositories."""
    folder, night = tmp_path_factory.mktemp("account"), nights[1]
    with open_published(night.folder / "compliance.duckdb") as database:
        write_assessment_results(database, folder, (night.folder / "SHA256SUMS").read_text("utf-8"), None, SHOP)
    return read(folder)


def test_the_schemas_are_those_that_nist_released() -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=SCHEMAS, check=True)


@pytest.mark.parametrize("framework_id", FRAMEWORKS)
def test_every_document_is_valid(nights: list[ExportedNight], framework_id: str) -> None:
    assert [faults(read(night.folder, framework_id)) for night in nights] == [[], []]


def test_a_document_of_an_account_is_valid_and_names_each_repository(
    nights: list[ExportedNight], account: Document
) -> None:
    assert faults(account) == []
    [result] = account["assessment-results"]["results"]
    arns = {
        prop["value"]
        for item in result["local-definitions"]["inventory-items"]
        for prop in item["props"]
        if prop["name"] == "arn"
    }
    expected = nights[1].query(
        "SELECT DISTINCT object_id FROM policy_output JOIN section_policies USING (policy_id) WHERE account_id = $shop",
        shop=SHOP,
    )
    assert arns == {arn for (arn,) in expected}


DAMAGES: dict[str, Callable[[Document], object]] = {
    "a uuid twice": lambda d: d["results"][0]["risks"][0].update(uuid=d["results"][0]["risks"][1]["uuid"]),
    "a reference to nothing": lambda d: d["results"][0]["risks"].pop(0),
    "a link to nothing": lambda d: d["back-matter"]["resources"].pop(0),
    "no plan": lambda d: d["back-matter"]["resources"].pop(),
    "no method": lambda d: d["local-definitions"]["activities"][0]["props"].pop(0),
    "a control for a statement": lambda d: d["results"][0]["findings"][0]["target"].update({"target-id": "cm-2"}),
    "an empty list": lambda d: d["results"][0]["observations"].clear(),
    "two lines in a value": lambda d: d["metadata"]["props"][0].update(value="a\nb"),
    "a uuid by time": lambda d: d.update(uuid="c2fd52a4-8d08-11ef-946d-0242ac120002"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_fault_is_found(nights: list[ExportedNight], damage: Callable[[Document], object]) -> None:
    document = copy.deepcopy(read(nights[1].folder))
    damage(document["assessment-results"])
    assert faults(document)


def test_there_is_a_finding_for_each_section_with_a_policy(nights: list[ExportedNight]) -> None:
    for framework_id in FRAMEWORKS:
        expected = nights[1].query(
            """
            SELECT DISTINCT s.section_id, c.compliant, c.incompliant, c.waived, c.undetermined
            FROM sections AS s
            JOIN section_policies AS h USING (section_id)
            JOIN section_compliance AS c USING (section_id)
            WHERE s.framework_id = $framework_id AND c.scope_type = 'organization' AND c.snapshot_date = $day
            ORDER BY ALL
            """,
            framework_id=framework_id,
            day=SECOND,
        )
        [result] = read(nights[1].folder, framework_id)["assessment-results"]["results"]
        found = []
        for finding in result["findings"]:
            values = {prop["name"]: prop["value"] for prop in finding["props"]}
            counts = (int(values[name]) for name in ("compliant", "incompliant", "waived", "undetermined"))
            found.append((values["section-id"], *counts))
        assert sorted(found) == expected


def test_an_observation_has_the_counts_of_its_policy_and_account(
    nights: list[ExportedNight], results: list[Document]
) -> None:
    """A count without a prop is 0."""
    names = ("compliant", "incompliant", "waived", "undetermined", "inapplicable", "disappeared")
    expected = nights[1].query(
        f"""
        SELECT DISTINCT a.policy_id, a.account_id, {", ".join(f"a.{name}" for name in names)}
        FROM account_compliance AS a
        JOIN section_policies AS h USING (policy_id)
        JOIN sections AS s USING (section_id)
        WHERE s.framework_id = $framework_id
        ORDER BY ALL
        """,
        framework_id=NIST,
    )
    [result] = results[1]["results"]
    values = {
        part["uuid"]: {prop["name"]: prop["value"] for prop in part["props"]}
        for part in (*result["local-definitions"]["components"], *result["observations"])
    }
    found = []
    for observation in result["observations"]:
        own = values[observation["uuid"]]
        account = values[observation["subjects"][0]["subject-uuid"]]["account-id"]
        found.append((own["policy-id"], account, *(int(own.get(name, "0")) for name in names)))
    assert sorted(found) == expected


def test_words_on_a_control_follow_from_its_counts(results: list[Document]) -> None:
    findings = {each["target"]["target-id"]: each for each in results[1]["results"][0]["findings"]}
    ca, au = findings["ca-9.1_smt"], findings["au-9_smt"]
    assert (
        ca["description"]
        == "3 compliant, 4 incompliant (1 waived), 20 undetermined, 3 inapplicable, 3 disappeared, under 3 policies."
    )
    assert ca["target"]["status"]["remarks"] == "There are findings without a waiver."
    assert au["description"] == "9 undetermined, 1 inapplicable, 1 disappeared, under 1 policy."
    assert au["target"]["status"]["remarks"] == "Nothing could be evaluated."


def test_an_observation_has_its_coverage_in_words_where_some_is_missing(results: list[Document]) -> None:
    said = set()
    for observation in results[1]["results"][0]["observations"]:
        coverage = next(prop["value"] for prop in observation["props"] if prop["name"] == "coverage")
        expected = "" if coverage == "100.0 %" else f"; coverage {coverage}"
        assert observation["description"].endswith(f"{expected}.")
        assert ("coverage" in observation["description"]) == bool(expected)
        said.add(bool(expected))
    assert said == {True, False}


def test_an_account_has_its_last_reading_unless_it_was_this_night(
    nights: list[ExportedNight], results: list[Document]
) -> None:
    props = [
        {prop["name"]: prop["value"] for prop in part["props"]}
        for part in results[1]["results"][0]["local-definitions"]["components"]
        if part["type"] == "system"
    ]
    expected = nights[1].query(
        "SELECT account_id, last_read_date FROM coverage WHERE coverage_percent < 100 AND last_read_date IS NOT NULL"
    )
    assert expected
    assert {(each["account-id"], each["last-read"]) for each in props if "last-read" in each} == {
        (account_id, str(date)) for account_id, date in expected
    }


def test_no_finding_is_on_a_withdrawn_control(results: list[Document]) -> None:
    catalog = load_catalog(SQL_ROOT)
    withdrawn = {f"{control_id(each.id)}_smt" for each in catalog.sections.values() if each.withdrawn and each.number}
    assert "cm-2.1_smt" in withdrawn
    assert not withdrawn & {finding["target"]["target-id"] for finding in results[1]["results"][0]["findings"]}


def test_controls_are_named_as_by_nist() -> None:
    assert [control_id(f"/frameworks/fedramp-high/{each}") for each in ("cm/08/01", "ra/05/11", "au/10")] == [
        "cm-8.1",
        "ra-5.11",
        "au-10",
    ]


def test_ids_of_things_stay_and_those_of_a_night_are_new(results: list[Document]) -> None:
    def ids(document: Document, *names: str) -> list[set[str]]:
        result = document["results"][0]
        lists = {**result, **result["local-definitions"], **document["local-definitions"]}
        return [{each["uuid"] for each in lists[name]} for name in names]

    first, second = (ids(each, "activities", "components", "findings", "observations") for each in results)
    assert first[:3] == second[:3]
    assert first[3] and not first[3] & second[3]
    assert results[0]["uuid"] != results[1]["uuid"]
    series = [each["metadata"]["document-ids"][0]["identifier"] for each in results]
    assert series[0] == series[1]
    assert export_uid("activity", MUTABILITY) in second[0]


def test_risks_are_open_findings_waivers_and_accounts_that_were_not_seen(results: list[Document]) -> None:
    found = {risk["title"]: risk for risk in results[1]["results"][0]["risks"]}
    assert found["Waiver W-1"]["status"] == "deviation-approved"
    assert found["Waiver W-1"]["statement"] == markup(HOSTILE)
    assert found["Waiver W-2"]["status"] == "closed"
    assert found["Waiver W-2"]["deadline"] == "2026-11-02T00:00:00+00:00"
    assert found[f"Account {DARK} was not wholly seen"]["status"] == "open"
    assert "remediations" in found["Repository Image Tag Mutability is set to Mutable"]


def test_evidence_has_the_checksums_of_the_publication(nights: list[ExportedNight], results: list[Document]) -> None:
    checksums = (nights[1].folder / "SHA256SUMS").read_text("utf-8")
    files = [
        (link["hashes"][0]["value"], link["href"])
        for resource in results[1]["back-matter"]["resources"]
        for link in resource["rlinks"]
        if "hashes" in link
    ]
    assert len(files) == 8
    [log] = [(digest, name) for digest, name in files if name.startswith("https:")]
    # The newest entry of the evidence log, not a file of the publication.
    assert log == (SEALED.head, f"{PLACE}/evidence/{SEALED.head}")
    assert all(f"{digest}  {name}\n" in checksums for digest, name in files if (digest, name) != log)
    resources = {f"#{each['uuid']}": each["title"] for each in results[1]["back-matter"]["resources"]}
    [link] = results[1]["results"][0]["links"]
    assert (link["rel"], resources[link["href"]]) == ("evidence", "policy_output.parquet")


def test_names_that_mean_harm_are_text() -> None:
    assert line(HOSTILE) == '=cmd|\'/C calc\'!A0","uid":"x"} <b> [31m é漢\U0001f4a5\\'
    assert line("") == line(" \t\x00") == "-"
    assert "\n" not in markup("a\nb") and markup("[x](javascript:1) <b>") == r"\[x\](javascript:1) \<b\>"
    assert len(title("x" * 999)) == 120


def test_the_plan_of_the_settings_is_imported(nights: list[ExportedNight], tmp_path: Path) -> None:
    with open_published(nights[1].folder / "compliance.duckdb") as database:
        write_assessment_results(database, tmp_path, "", "https://example.com/ap.json")
    document = read(tmp_path)
    assert document["assessment-results"]["import-ap"] == {"href": "https://example.com/ap.json"}
    # Neither evidence nor a stand-in: the log alone.
    assert len(document["assessment-results"]["back-matter"]["resources"]) == 1
    assert faults(document) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("account_id", "answer"),
    [
        (SHOP, r"^Written: .*/oscal/111111111111/oscal-nist-sp-800-53-r5\.json$"),
        ("999999999999", r"ACCOUNT=999999999999: the night of 2026-11-02 has no such account"),
        ("shop", r"'shop' .*Give one as ACCOUNT=111111111111"),
    ],
)
def test_the_command_writes_the_documents_of_one_account(
    nights: list[ExportedNight], tmp_path: Path, account_id: str, answer: str
) -> None:
    environment = os.environ | {
        "ECR_AUDIT_DATA": str(tmp_path),
        "ECR_AUDIT_PUBLISH": str(nights[1].folder.parents[1]),
        "PYTHONPATH": str(ROOT / "plugins"),
    }
    done = subprocess.run(
        [sys.executable, ROOT / "bin" / "oscal.py", account_id], env=environment, capture_output=True, text=True
    )
    assert re.search(answer, done.stdout + " ".join(done.stderr.split()), re.MULTILINE), done
    assert (tmp_path / "oscal" / account_id).exists() is (done.returncode == 0)


def test_the_same_commit_gives_the_same_bytes(nights: list[ExportedNight], tmp_path: Path) -> None:
    again = export(nights[1].lake, tmp_path / "publish")
    for name in ("ocsf-findings.jsonl.gz", "asff-findings.jsonl.gz", "controls.csv", *map(file_name, FRAMEWORKS)):
        assert (again / name).read_bytes() == (nights[1].folder / name).read_bytes(), name
