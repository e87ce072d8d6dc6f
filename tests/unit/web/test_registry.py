"""A registry's page, what was read of a repository by calls of its own, and what policies lack."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml
from fastapi.testclient import TestClient
from rich.console import Console

from ecr_audit.alerts.night import night_messages
from ecr_audit.catalog import Catalog
from ecr_audit.catalog.waivers import load_waivers
from ecr_audit.publish.publication import DATABASE
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.summary import print_summary
from ecr_audit.publish.workbook import write_workbook
from ecr_audit.settings import Settings
from support.pages import text_at
from support.policies import LIFECYCLE, MUTABILITY, REGISTRY, facet_catalog
from support.small_lake import SmallLake

ACCOUNT = "111111111111"
FIRST, SECOND = date(2026, 11, 1), date(2026, 11, 2)
ARN = f"arn:aws:ecr:eu-west-1:{ACCOUNT}:"
PAGE = f"/registries/{ACCOUNT}/eu-west-1"
LIFECYCLE_NAME = "Repository has no Lifecycle Policy"
DENIED = "AccessDeniedException"


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return facet_catalog()


@pytest.fixture
def two_nights(once: Callable[..., None], published: Callable[..., None], small_lake: SmallLake) -> None:
    """The template of a registry becomes mutable. `kept` has a lifecycle policy, `denied` and `earlier` are refused."""
    details = {"facets": ["scanning", "registries", "lifecycle"], "rotation_nights": 7}

    def rows(day: date, mutability: str) -> dict[str, Any]:
        now = datetime.combine(day, time(2), UTC)
        lacks = {"facets_failed": [{"facet": "lifecycle", "error_code": DENIED}]}
        kept = {
            "repository_name": "kept",
            "lifecycle_policy": '{"rules":[{"rulePriority":1}]}',
            "lifecycle_read_at": now - timedelta(days=1),
            "scan_frequency": "SCAN_ON_PUSH",
            "scan_filters": ["prod-*"],
            "scanning_read_at": now,
        }
        earlier = {"repository_name": "earlier", "lifecycle_read_at": datetime(2026, 9, 1, 2, tzinfo=UTC)} | lacks
        templates = [
            {"prefix": "ROOT", "applied_for": ["CREATE_ON_PUSH"], "image_tag_mutability": mutability},
            {"prefix": "team", "applied_for": [], "exclusion_filters": ["latest"]},
        ]
        registry = {
            "registries_read_at": now,
            "creation_templates": templates,
            "pull_through_rules": [{"prefix": "docker", "upstream_registry_url": "registry-1.docker.io"}],
        }
        repositories = [kept, {"repository_name": "denied"} | lacks, earlier]
        failed = [{"facet": "lifecycle", "error_code": DENIED, "error_message": "denied", "objects": 2}]
        target = {"account_id": ACCOUNT, "region": "eu-west-1", "repository_count": 3, "facets_failed": failed}
        return {
            "repositories": repositories,
            "registries": [registry],
            "scan_targets": [target],
            "details": details,
        }

    def audit() -> None:
        small_lake.night(FIRST, **rows(FIRST, "IMMUTABLE"))
        published(SECOND, **rows(SECOND, "MUTABLE"))

    once(audit)


@pytest.mark.usefixtures("two_nights")
def test_a_registry_has_a_page_with_its_settings_verdicts_and_history(client: TestClient) -> None:
    text = text_at(client, PAGE)
    for shown in (
        "Registry in eu-west-1",
        "ROOT create on push MUTABLE",
        "team left out: MUTABLE latest",
        "docker registry-1.docker.io",
        "Incompliant Registry Creates Repositories with Mutable Tags High",
        "How to fix: Set IMMUTABLE.",
        "aws ecr update-repository-creation-template",
        "--prefix ROOT --applied-for CREATE_ON_PUSH PULL_THROUGH_CACHE REPLICATION --image-tag-mutability IMMUTABLE",
        "A pull-through cache cannot refresh a tag that is immutable",
        "2026-11-02 New finding Compliant → Incompliant",
        "The published row of registries",
    ):
        assert shown in text
    assert "Read 2026" not in text, "read in this night"


@pytest.mark.usefixtures("two_nights")
def test_every_list_links_a_registry_to_its_page(client: TestClient) -> None:
    link = f'href="/ecr-audit{PAGE}"'
    for path in (
        f"/findings?policy={REGISTRY}",
        "/findings?policy=all",
        f"/?policy={REGISTRY}",
        f"/accounts/{ACCOUNT}?policy={REGISTRY}",
        f"/accounts/{ACCOUNT}",
        "/sections/aws-fsbp-v1.0.0/ecr/02",
        f"/repositories/{ARN}repository/kept",
    ):
        page = client.get(path)
        assert link in page.text, path
        assert f"{ARN}registry" not in page.text, path
    assert "1 registry" in text_at(client, f"/accounts/{ACCOUNT}?policy={REGISTRY}")
    assert "0 of 1 evaluated registry comply" in text_at(client, f"/?policy={REGISTRY}")
    answer = client.get(f"/repositories/{ARN}registry", follow_redirects=False)
    assert answer.headers["location"] == f"/ecr-audit{PAGE}"


@pytest.mark.usefixtures("two_nights")
def test_the_api_has_registries_and_reasons(client: TestClient) -> None:
    [registry] = client.get("/api/v1/registries").json()["items"]
    assert registry["registry_arn"] == f"{ARN}registry"
    details = client.get(f"/api/v1{PAGE}").json()
    assert details["registry"] == registry
    assert [each["status"] for each in details["verdicts"]] == ["INCOMPLIANT"]
    assert [each["change"] for each in details["history"]] == ["new"]
    assert client.get(f"/api/v1/registries/{ACCOUNT}/eu-west-2").status_code == 404
    [finding] = client.get("/api/v1/findings", params={"policy": REGISTRY}).json()["items"]
    assert (finding["object_type"], finding["repository_name"], finding["owner"]) == ("registry", "registry", "shop")
    reasons = client.get("/api/v1/undetermined", params={"policy": LIFECYCLE}).json()["items"]
    assert [(each["reason"], each["facet"], each["cause"], each["objects"]) for each in reasons] == [
        ("not_read", "lifecycle", DENIED, 2)
    ]


@pytest.mark.usefixtures("two_nights")
def test_a_repository_shows_everything_that_was_read_and_when(client: TestClient) -> None:
    text = text_at(client, f"/repositories/{ARN}repository/kept")
    for shown in (
        "Scanned SCAN_ON_PUSH , by the registry's filters prod-*",
        "Lifecycle policy below Read 2026-11-01 02:00 UTC",
        'Lifecycle policy { "rules": [ { "rulePriority": 1 } ] }',
        "Permissions policy unknown Not read ECR_AUDIT_COLLECT leaves out policies",
    ):
        assert shown in text
    refused = text_at(client, f"/repositories/{ARN}repository/denied")
    assert f"Lifecycle policy unknown Not read {DENIED}" in refused
    earlier = text_at(client, f"/repositories/{ARN}repository/earlier")
    assert f"Lifecycle policy none Last known {DENIED}, last read on 2026-09-01" in earlier


@pytest.mark.usefixtures("two_nights")
def test_policies_that_could_not_evaluate_are_named_with_the_permission(client: TestClient) -> None:
    sentence = (
        f"Not evaluated {LIFECYCLE_NAME}, for 2 repositories in 1 account. Not read there: lifecycle policy ({DENIED})."
        " The audit role needs ecr:GetLifecyclePolicy."
    )
    for path in ("/", "/coverage", "/policies"):
        assert sentence in text_at(client, path), path
    of_account = text_at(client, f"/accounts/{ACCOUNT}")
    assert f"Last known The lifecycle policy of 2 repositories in 1 account could not be read ({DENIED})." in of_account
    assert "2 more are undetermined: 2 with a value that was not read." in text_at(client, f"/policies{LIFECYCLE}")


@pytest.mark.usefixtures("two_nights")
def test_the_list_of_policies_names_the_facets_of_each(client: TestClient) -> None:
    text = text_at(client, "/policies")
    assert f"{LIFECYCLE_NAME} High A policy for the tests. Reads the lifecycle policy. 100.0 % 1 of 1 0 2" in text
    assert "Reads the creation templates and pull-through cache rules. 0.0 % 0 of 1 1 0" in text
    assert "Reads the list of repositories. 0.0 % 0 of 3 3 0" in text
    about = text_at(client, f"/policies{REGISTRY}")
    assert "Evaluates registries Reads creation templates and pull-through cache rules, by registries of" in about
    assert "Registries tonight" in about
    everything = text_at(client, "/findings?policy=all")
    assert f"{REGISTRY.rpartition('/')[2]} High" in everything
    assert f"{MUTABILITY.rpartition('/')[2]} Medium" in everything


def test_one_without_repositories_has_its_history_and_others_are_not_found(
    client: TestClient, published: Callable[..., None], small_lake: SmallLake
) -> None:
    details = {"facets": ["registries"], "rotation_nights": 1}
    read = {"registries_read_at": datetime.combine(FIRST, time(2), UTC), "creation_templates": [{"prefix": "ROOT"}]}
    small_lake.night(FIRST, repositories=[{}], registries=[read], details=details)
    dark = {"account_id": ACCOUNT, "region": "eu-west-1"}
    published(SECOND, scan_targets=[dark], details=details)
    text = text_at(client, PAGE)
    assert "The registry no longer has repositories" in text
    assert "2026-11-02 Deleted" in text
    for path in (f"/registries/{ACCOUNT}/eu-west-2", "/registries/222222222222/eu-west-1", "/registries/x/%00"):
        assert client.get(path).status_code == 404


def test_a_waived_registry_is_marked_and_counted_everywhere(
    client: TestClient, published: Callable[..., None], small_lake: SmallLake, folder: Path, tmp_path: Path
) -> None:
    """Both registries become mutable; a waiver in a file names the one in eu-west-1 by its ARN."""
    file = tmp_path / "waivers.yaml"
    waiver = {
        "id": "W-7",
        "policy": REGISTRY,
        "scope": {"repository": f"{ARN}registry"},
        "reason": "Build caches only.",
        "owner": "platform",
        "ticket": "RISK-7",
        "approved_by": "CISO",
        "created": str(FIRST),
        "expires": "2026-12-02",
    }
    file.write_text(yaml.safe_dump({"waivers": [waiver]}), encoding="utf-8")
    small_lake.waivers = load_waivers(str(file), small_lake.catalog, 365)
    for day, mutability, night in ((FIRST, "IMMUTABLE", small_lake.night), (SECOND, "MUTABLE", published)):
        read = {
            "registries_read_at": datetime.combine(day, time(2), UTC),
            "creation_templates": [{"prefix": "ROOT", "image_tag_mutability": mutability}],
        }
        registries = [read | {"region": region} for region in ("eu-west-1", "us-east-1")]
        repositories = [{"region": each["region"]} for each in registries]
        night(day, repositories=repositories, registries=registries, details={"facets": ["registries"]})

    [new, waivers] = night_messages(folder / DATABASE, 0, "")
    assert f"{ACCOUNT} shop (Root/Prod): 1\n- registry, us-east-1, " in new.body
    assert "- W-7 (RISK-7, platform): ends on 2026-12-02, in 30 days; covers 1 finding" in waivers.body

    reported = io.StringIO()
    print_summary(Settings(data=tmp_path, publish=str(folder)), Console(file=reported, width=200))
    assert "1 waiver: 1 in force (1 " in reported.getvalue()
    assert "Waived findings  1 incompliant under Registry Creates Repositories with Mutable Tags" in reported.getvalue()

    with open_published(folder / DATABASE) as database:
        write_workbook(database, tmp_path / "compliance.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "compliance.xlsx")["Findings"]
    names, *rows = sheet.iter_rows(values_only=True)
    waived = [dict(zip(names, row, strict=True)) for row in rows]
    assert [(each["region"], each["waiver_id"]) for each in waived if each["waived"] == "yes"] == [("eu-west-1", "W-7")]

    # Last: the pages keep the file open, with limits of their own.
    shown = "Waived Build caches only. Waiver W-7, RISK-7; owner platform, approved by CISO; until 2026-12-02, 30 days"
    assert shown in text_at(client, PAGE)
    assert "Waived" not in text_at(client, PAGE.replace("eu-west-1", "us-east-1"))
    findings = text_at(client, f"/findings?policy={REGISTRY}")
    assert "1 waived." in findings
    left = client.get("/api/v1/findings", params={"policy": REGISTRY, "waived": "false"}).json()["items"]
    assert [each["region"] for each in left] == ["us-east-1"]
    overview = text_at(client, f"/?policy={REGISTRY}")
    assert "With 1 waived finding left out: 0.0 %." in overview
    assert f"shop {ACCOUNT} 1 1 2" in overview
    assert "W-7 RISK-7" in overview
