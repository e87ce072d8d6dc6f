"""The policies' pages: a policy's description, the conditions that matched, and the sections that it decides."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ecr_audit.catalog import Catalog, Policy
from ecr_audit.web import policy_texts
from support.pages import text_at
from support.small_lake import SmallLake

MUTABILITY = "/policies/ce/ca/aws/ecr/repository-image-tag-mutability"
STRICT = "/policies/ce/ca/aws/ecr/repository-image-tag-immutability-strict"


@pytest.fixture
def four_repositories(once: Callable[..., None], published: Callable[..., None]) -> None:
    """Two that comply, one that does not, and one with a value that nobody knows."""

    def audit() -> None:
        published(
            repositories=[
                {"repository_name": "open"},
                {"repository_name": "closed", "image_tag_mutability": "IMMUTABLE"},
                {"repository_name": "filtered", "image_tag_mutability": "IMMUTABLE_WITH_EXCLUSION"},
                {"repository_name": "odd", "image_tag_mutability": "SOMEHOW"},
            ]
        )

    once(audit)


@pytest.fixture(autouse=True)
def _read_again() -> None:
    policy_texts.open_catalog.cache_clear()


@pytest.mark.usefixtures("four_repositories")
def test_the_list_has_the_figures_of_each_policy(client: TestClient) -> None:
    text = text_at(client, "/policies")
    assert "Repository Image Tag Mutability is set to Mutable" in text
    assert "Reads the list of repositories. 66.7 % 2 of 3 1 1 10 production" in text
    assert "Reads the list of repositories. 33.3 % 1 of 3 2 1 0 production" in text


@pytest.mark.usefixtures("four_repositories")
def test_it_describes_the_policy(client: TestClient, catalog: Catalog) -> None:
    text = text_at(client, MUTABILITY)
    assert "Policies / Compliance Engine / Cloudaware / AWS / ECR AWS ECR Repository Image Tag Mutability" in text
    for reported in (
        "Contextual name Repository Image Tag Mutability is set to Mutable",
        "Tags none",
        "Policy type COMPLIANCE_POLICY",
        "Policy categories RELIABILITY",
        "Similar policies Security Hub ECR.2",
        "Rule Policies Flags dec-x-767cce1f 1 production",
    ):
        assert reported in text
    [policy] = [each for each in catalog.policies if MUTABILITY.endswith(each.id)]
    assert f"Version {policy.hash[:12]} since 2026-11-02" in text


@pytest.mark.usefixtures("four_repositories")
def test_each_condition_has_its_number_of_repositories(client: TestClient) -> None:
    text = text_at(client, MUTABILITY)
    assert "399 Its account is not active, or has left the organization. Inapplicable 0" in text
    assert "199 The setting is MUTABLE: every tag can be overwritten. Incompliant 1" in text
    assert "299 The setting is IMMUTABLE, IMMUTABLE_WITH_EXCLUSION or MUTABLE_WITH_EXCLUSION. Compliant 2" in text
    assert "499 The setting is empty or an unknown value. Undetermined 1" in text


@pytest.mark.usefixtures("four_repositories")
def test_the_ten_linked_sections_carry_the_result(client: TestClient) -> None:
    page = client.get(MUTABILITY)
    assert len(set(re.findall(r'href="/ecr-audit(/sections/[^"]+)"', page.text))) == 10
    text = text_at(client, MUTABILITY)
    assert "CM-2 Baseline Configuration 7 1 1 production 66.7 % 2 of 3" in text
    assert "This policy is not mapped to a section." in text_at(client, STRICT)


@pytest.mark.usefixtures("four_repositories")
def test_its_texts_are_rendered_and_its_files_can_be_opened(client: TestClient, catalog: Catalog) -> None:
    page = client.get(MUTABILITY).text
    assert "<h3>Rationale</h3>" in page
    assert "<h3>Audit</h3>" in page
    [policy] = [each for each in catalog.policies if MUTABILITY.endswith(each.id)]
    files = re.findall(rf'href="/ecr-audit({re.escape(MUTABILITY)}/files/[^"]+)"', page)
    texts = [policy.logic_sql, policy.description_md, policy.remediation_md, policy.policy_yaml]
    assert [client.get(file).text for file in files] == texts
    assert {client.get(file).headers["content-type"] for file in files} == {"text/plain; charset=utf-8"}


@pytest.mark.usefixtures("four_repositories")
def test_it_reports_files_of_another_version(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "has been changed since this night was evaluated" not in text_at(client, MUTABILITY)
    found = policy_texts.find_policy

    def changed(*asked: Any) -> Policy | None:
        policy = found(*asked)
        return policy and policy.model_copy(update={"hash": "0" * 64})

    monkeypatch.setattr("ecr_audit.web.pages.policy.find_policy", changed)
    assert "has been changed since this night was evaluated" in text_at(client, MUTABILITY)
    assert "version 000000000000" in text_at(client, MUTABILITY)


@pytest.mark.usefixtures("four_repositories")
def test_without_usable_files_it_shows_the_publication(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(policy_texts, "SQL_ROOT", tmp_path)
    text = text_at(client, MUTABILITY)
    assert "its texts are missing here" in text
    assert "66.7 %" in text
    assert "A condition that is no longer in the policy's files. Incompliant 1" in text
    assert client.get(f"{MUTABILITY}/files/logic.sql").status_code == 404


def test_its_trend_and_version_reach_over_the_nights(
    client: TestClient, published: Callable[..., None], small_lake: SmallLake
) -> None:
    small_lake.night(date(2026, 11, 1), repositories=[{}])
    published(date(2026, 11, 2), repositories=[{"image_tag_mutability": "IMMUTABLE"}])
    page = client.get(MUTABILITY).text
    assert "2026-11-01, Compliance 0.0 %, Coverage 100.0 %" in page
    assert "2026-11-02, Compliance 100.0 %, Coverage 100.0 %" in page
    assert "</code> since 2026-11-01" in page


@pytest.mark.usefixtures("four_repositories")
def test_missing_things_are_not_found(client: TestClient) -> None:
    paths = ["/policies/ce/none", "/policies/x", f"{MUTABILITY}/"]
    assert {client.get(path).status_code for path in paths} == {404}
    assert client.get(f"{MUTABILITY}/files/cases.yaml").status_code == 422
