"""The frameworks' pages: the tree with its roll-up, and a section with what decides it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

import pytest
from fastapi.testclient import TestClient

from support.pages import text_at

CM_2 = "/sections/nist-sp-800-53-r5/cm/02"


@pytest.fixture
def two_repositories(once: Callable[..., None], published: Callable[..., None]) -> None:
    def audit() -> None:
        published(
            repositories=[
                {"repository_name": "open"},
                {"repository_name": "closed", "image_tag_mutability": "IMMUTABLE"},
            ]
        )

    once(audit)


@pytest.mark.usefixtures("two_repositories")
def test_a_policy_counts_once_in_a_framework(client: TestClient) -> None:
    text = text_at(client, "/frameworks")
    assert "NIST SP 800-53 Revision 5 50.0 % 1 of 2 1 7 119" in text
    assert "FedRAMP Low Security Controls 50.0 % 1 of 2 1 2 13" in text


@pytest.mark.usefixtures("two_repositories")
def test_the_tree_rolls_up_and_shows_no_data(client: TestClient) -> None:
    text = text_at(client, "/frameworks/aws-fsbp-v1.0.0")
    assert "Amazon Elastic Container Registry (ECR) 4 1 1 production 50.0 % 1 of 2" in text
    assert "[ECR.1] ECR private repositories should have image scanning configured 0 0 0 no data" in text
    assert "immutability configured 0 1 1 production 50.0 % 1 of 2" in text
    assert "Sections with data 2 of 5" in text
    assert "_ Reviews and Updates withdrawn 0 0 0 no data" in text_at(client, "/frameworks/nist-sp-800-53-r5")


def test_the_strict_reading_of_each_section(client: TestClient, published: Callable[..., None]) -> None:
    """`filtered` passes as the sections read the control, and fails by the strict policy, which is in none."""
    filtered = {"repository_name": "filtered", "image_tag_mutability": "IMMUTABLE_WITH_EXCLUSION"}
    rows = [{"repository_name": "open"}, {"repository_name": "closed", "image_tag_mutability": "IMMUTABLE"}, filtered]
    published(repositories=rows)
    page = client.get("/frameworks/nist-sp-800-53-r5")
    assert 'href="/ecr-audit/frameworks/nist-sp-800-53-r5/strict"' in page.text
    text = text_at(client, "/frameworks/nist-sp-800-53-r5/strict")
    assert "Repository Image Tags are not all Immutable In place of Repository Image Tag Mutability is set to" in text
    assert "CM-2 Baseline Configuration 66.7 % 2 of 3 33.3 % 1 of 3 -33.3 +1" in text
    assert text.count("66.7 % 2 of 3 33.3 % 1 of 3") == 7, "the sections with a result, those above them included"
    assert client.get("/frameworks/none/strict").status_code == 404


@pytest.mark.usefixtures("two_repositories")
def test_a_strict_reading_without_consequence_is_not_offered(client: TestClient) -> None:
    assert "/strict" not in client.get("/frameworks/cloudaware").text
    assert "No section of this framework would have another result." in text_at(client, "/frameworks/cloudaware/strict")


@pytest.mark.slow
@pytest.mark.usefixtures("two_repositories")
def test_every_section_of_every_framework_has_a_page(client: TestClient) -> None:
    names = re.findall(r'href="/ecr-audit(/frameworks/[^"]+)"', client.get("/frameworks").text)
    assert len(names) == 7
    for name in names:
        sections = re.findall(r'href="/ecr-audit(/sections/[^"]+)"', client.get(name).text)
        assert sections
        assert {client.get(section).status_code for section in sections} == {200}


@pytest.mark.usefixtures("two_repositories")
def test_a_section_shows_its_policies_and_their_links(client: TestClient) -> None:
    text = text_at(client, CM_2)
    assert "Frameworks / NIST SP 800-53 Revision 5 / CM Configuration Management CM-2 Baseline Configuration" in text
    assert "this section [ECR.2] ECR private repositories should have tag immutability configured production" in text
    assert "1 of 2 verdicts comply." in text
    above = text_at(client, "/sections/nist-sp-800-53-r5/cm")
    assert "Repository Image Tag Mutability is set to Mutable CM-2 Baseline Configuration [ECR.2]" in above
    assert "this section mapped directly production" in text_at(client, "/sections/aws-fsbp-v1.0.0/ecr/02")


@pytest.mark.usefixtures("two_repositories")
def test_a_section_has_its_findings_units_and_sections_below(client: TestClient) -> None:
    page = client.get(CM_2).text
    assert "/ecr-audit/repositories/arn:aws:ecr:eu-west-1:111111111111:repository/open" in page
    assert "/ecr-audit/findings?policy=%2Fce%2Fca%2Faws%2Fecr%2Frepository-image-tag-mutability" in page
    text = text_at(client, CM_2)
    assert "Prod 50.0 % 1 of 2 100.0 %" in text
    assert len(set(re.findall(r'href="/ecr-audit(/sections/nist-sp-800-53-r5/cm/02/[^"]+)"', page))) == 7


@pytest.mark.usefixtures("two_repositories")
def test_a_section_that_nothing_reaches_claims_nothing(client: TestClient) -> None:
    text = text_at(client, "/sections/fedramp-low/cm/08")
    assert "no data No policy of this audit is mapped to this section" in text
    assert "Oldest findings" not in text


def test_a_section_has_a_history(client: TestClient, published: Callable[..., None]) -> None:
    published(date(2026, 11, 1), repositories=[{}])
    assert "The trend begins with the second night." in text_at(client, CM_2)
    published(date(2026, 11, 2), repositories=[{"image_tag_mutability": "IMMUTABLE"}])
    assert "2026-11-01, Compliance 0.0 %, Coverage 100.0 %" in client.get(CM_2).text


@pytest.mark.usefixtures("two_repositories")
def test_missing_things_are_not_found(client: TestClient) -> None:
    paths = ["/frameworks/x", "/sections/x", "/sections/nist-sp-800-53-r5", "/sections/nist-sp-800-53-r5/cm/2"]
    assert {client.get(path).status_code for path in paths} == {404}
