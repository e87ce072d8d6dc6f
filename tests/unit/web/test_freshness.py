"""The head of every page names the organization, and marks that of the demo and an old night."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ecr_audit.publish.freshness import nights_missed
from ecr_audit.vocabulary import DEMO_ORGANIZATION_ID
from support.pages import text_of

PAGES = ("/", "/findings", "/organization", "/coverage", "/policies", "/frameworks", "/api/v1/docs")


@pytest.mark.parametrize(
    ("organization_id", "head"),
    [
        (DEMO_ORGANIZATION_ID, f"Demo Night of 2026-11-02 {DEMO_ORGANIZATION_ID} Coverage"),
        ("o-a1b2c3d4e5", "Data Night of 2026-11-02 o-a1b2c3d4e5 Coverage"),
        (None, "Data Night of 2026-11-02 Coverage"),
    ],
    ids=["the demo", "AWS", "unknown, in a lake of an older version"],
)
def test_every_page_names_the_organization(
    client: TestClient, published: Callable[..., None], organization_id: str | None, head: str
) -> None:
    published(date(2026, 11, 2), repositories=[{}], details={"organization_id": organization_id})
    assert [page for page in PAGES if head not in text_of(client.get(page))] == []


def test_tonight_is_not_old(client: TestClient, published: Callable[..., None]) -> None:
    published(datetime.now(UTC).date(), repositories=[{}])
    assert [page for page in PAGES if "missed.</strong>" in client.get(page).text] == []
    assert client.get("/api/v1/publication").json()["nights_missed"] == 0
    assert client.get("/api/v1/overview").json()["nights_missed"] == 0


def test_every_page_of_an_old_night_shows_a_note(client: TestClient, published: Callable[..., None]) -> None:
    day = datetime.now(UTC).date() - timedelta(days=5)
    published(day, repositories=[{}])
    missed = nights_missed(day, datetime.now(UTC))
    assert missed in (4, 5)
    reported = f"<strong>{missed} nights missed.</strong> These pages are out of date: no snapshot newer than {day} is"
    assert [page for page in PAGES if reported not in client.get(page).text] == []
    assert client.get("/api/v1/publication").json()["nights_missed"] == missed
    assert client.get("/api/v1/overview").json()["nights_missed"] == missed


def test_the_openapi_document_explains_it(client: TestClient) -> None:
    schemas: dict[str, Any] = client.get("/api/v1/openapi.json").json()["components"]["schemas"]
    for name in ("CurrentPublication", "Overview"):
        assert "the data is out of date" in schemas[name]["properties"]["nights_missed"]["description"]
