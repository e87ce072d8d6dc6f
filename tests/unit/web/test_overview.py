"""The overview of the organization tonight."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

from fastapi.testclient import TestClient

from ecr_audit.catalog import waivers
from support.pages import text_of
from support.small_lake import SmallLake

MUTABILITY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
STRICT = "/ce/ca/aws/ecr/repository-image-tag-immutability-strict"


def test_it_shows_compliance_and_changes(
    client: TestClient, published: Callable[..., None], small_lake: SmallLake
) -> None:
    first = [{"repository_name": "open"}, {"repository_name": "closed", "image_tag_mutability": "IMMUTABLE"}]
    small_lake.night(date(2026, 11, 1), repositories=[*first, {"repository_name": "fixed"}])
    published(
        date(2026, 11, 2), repositories=[*first, {"repository_name": "fixed", "image_tag_mutability": "IMMUTABLE"}]
    )
    text = text_of(client.get("/"))
    assert "Night of 2026-11-02 Coverage 100.0 %" in text
    assert "66.7 % 2 of 3 evaluated repositories comply." in text
    assert "Since the night before fixed 1" in text
    assert "open eu-west-1 shop 111111111111 shop at least 1 day" in text, "it was open on the first night"


def test_the_trend_is_drawn_and_described(
    client: TestClient, published: Callable[..., None], small_lake: SmallLake
) -> None:
    small_lake.night(date(2026, 11, 1), repositories=[{}])
    published(date(2026, 11, 2), repositories=[{"image_tag_mutability": "IMMUTABLE"}])
    page = client.get("/").text
    assert 'd="M0.0 200.0L1000.0 0.0"' in page
    assert "Compliance and coverage by night, 2026-11-01 to 2026-11-02. Tonight: Compliance 100.0 %, " in page
    assert "<title>2026-11-01, Compliance 0.0 %, Coverage 100.0 %</title>" in page


def test_a_night_without_repositories_has_no_data(client: TestClient, published: Callable[..., None]) -> None:
    published()
    text = text_of(client.get("/"))
    assert "Compliance no data 0 of 0 evaluated repositories comply." in text
    assert "No open findings." in text
    assert "Since the night before This is the first night: there is nothing to compare with." in text
    published(date(2026, 11, 3))
    assert "Since the night before Nothing changed." in text_of(client.get("/"))


def test_unseen_targets_are_reported_with_their_reason(client: TestClient, published: Callable[..., None]) -> None:
    denied = {"account_id": "111111111111", "region": "us-east-1", "outcome": "ACCESS_DENIED", "repository_count": None}
    published(
        repositories=[{}, {"repository_name": "lost", "region": "us-east-1", "observed": False}], scan_targets=[denied]
    )
    text = text_of(client.get("/"))
    assert "50.0 % of the account-regions were read. 1 known repository was not seen." in text
    assert "1 more is undetermined: 1 not seen." in text
    assert "Not allowed to list 1" in text


def test_a_waiver_that_expires_soon_is_listed(
    client: TestClient, small_lake: SmallLake, published: Callable[..., None]
) -> None:
    row = dict.fromkeys(waivers.SCHEMA.names) | {
        "waiver_id": "W-1",
        "policy_id": MUTABILITY,
        "account_id": "111111111111",
        "reason": "moves next week",
        "owner": "team-shop",
        "approved_by": "the CISO",
        "created": date(2026, 10, 1),
        "expires": date(2026, 11, 9),
    }
    small_lake.waivers = type(small_lake.waivers).from_pylist([row], schema=waivers.SCHEMA)
    published(repositories=[{}])
    text = text_of(client.get("/"))
    assert "W-1 team-shop 1 2026-11-09 in 7 days" in text
    assert "With 1 waived finding left out" in text
    assert "No open findings." in text


def test_another_policy_can_be_chosen(client: TestClient, published: Callable[..., None]) -> None:
    published(repositories=[{"image_tag_mutability": "IMMUTABLE_WITH_EXCLUSION"}])
    assert "1 of 1 evaluated repository comply" in text_of(client.get("/"))
    page = client.get("/", params={"policy": STRICT})
    assert "0 of 1 evaluated repository comply" in text_of(page)
    assert f'<option value="{STRICT}" selected>' in page.text
    assert client.get("/", params={"policy": "/ce/none"}).status_code == 404


def test_links_stay_below_where_the_pages_are_mounted(client: TestClient, published: Callable[..., None]) -> None:
    published(repositories=[{}])
    page = client.get("/").text
    assert {address.split("/")[1] for address in re.findall(r'(?:href|src|action)="(/[^"]*)"', page)} == {
        "ecr-audit",
        "dags",  # Airflow's own, on pages that report missed nights
    }
