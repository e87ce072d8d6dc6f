"""Pages with values of an earlier night have a note: the overview, the account, the repository, coverage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from support.pages import text_at
from support.small_lake import SmallLake

FIRST, SECOND = date(2026, 11, 1), date(2026, 11, 2)
SHOP, LEDGER = "111111111111", "222222222222"
ARN = f"arn:aws:ecr:eu-west-1:{SHOP}:repository/"
SENTENCE = (
    "Last known The tags of 2 repositories in 1 account could not be read (AccessDeniedException). The owners and"
    " waivers of 1 are based on tags last read on 2026-11-01. For 1 no tags are known: the account counts as the owner,"
    " and waivers by tag do not apply."
)


@pytest.fixture
def denied(once: Callable[..., None], published: Callable[..., None], small_lake: SmallLake) -> None:
    """The tags of an account's repositories cannot be read on the second night; `fresh` came on it."""
    accounts = [{}, {"account_id": LEDGER, "account_name": "ledger"}]
    old, book = {"repository_name": "old", "tags": {"owner": "team"}}, {"account_id": LEDGER, "tags": {"owner": "team"}}

    def audit() -> None:
        small_lake.night(FIRST, accounts=accounts, repositories=[old, book])
        unread = {"tags_read_at": datetime.combine(FIRST, time(2), UTC)}
        published(
            SECOND,
            accounts=accounts,
            repositories=[old | unread, {"repository_name": "fresh", "image_tag_mutability": "IMMUTABLE"}, book],
            scan_targets=[
                {
                    "account_id": SHOP,
                    "region": "eu-west-1",
                    "repository_count": 2,
                    "error_code": "Tags.AccessDeniedException",
                    "error_message": "not allowed",
                }
            ],
        )

    once(audit)


def test_every_page_that_rests_on_it_shows_a_note(client: TestClient, denied: None) -> None:
    for path in ("/", f"/accounts/{SHOP}", "/coverage"):
        assert SENTENCE in text_at(client, path), path
    row = "shop 111111111111 tags eu-west-1 2026-11-01 1 1 Tags.AccessDeniedException not allowed"
    assert "Evaluated on the last known values" in text_at(client, "/coverage")
    assert row in text_at(client, "/coverage")
    assert "Owner team by tags last read 2026-11-01 02:00 UTC" in text_at(client, f"/repositories/{ARN}old")


def test_no_other_page_shows_a_note(client: TestClient, denied: None) -> None:
    assert "Last known" not in text_at(client, f"/accounts/{LEDGER}")
    for arn in (f"{ARN}fresh", f"arn:aws:ecr:eu-west-1:{LEDGER}:repository/app"):
        assert "last read" not in text_at(client, f"/repositories/{arn}"), arn


def test_the_api_has_when_tags_were_read(client: TestClient, denied: None) -> None:
    read = {row["repository_name"]: row["tags_read_at"] for row in client.get("/api/v1/repositories").json()["items"]}
    assert read == {"old": "2026-11-01T02:00:00Z", "fresh": None, "app": "2026-11-02T02:00:00Z"}
    findings = client.get("/api/v1/findings").json()["items"]
    assert {row["repository_name"]: row["tags_read_date"] for row in findings} == {
        "old": "2026-11-01",
        "app": "2026-11-02",
    }


def test_a_night_without_changes_claims_only_read_targets(
    client: TestClient, published: Callable[..., None], small_lake: SmallLake
) -> None:
    row: dict[str, Any] = {"tags": {}, "tags_read_at": datetime.combine(FIRST, time(2), UTC)}
    error = {"account_id": SHOP, "region": "eu-west-1", "repository_count": 1, "error_code": "Tags.ThrottledException"}
    small_lake.night(FIRST, repositories=[{"tags": {}}])
    published(SECOND, repositories=[row], scan_targets=[error])
    assert "Since the night before Nothing changed in what was read." in text_at(client, "/")
    published(date(2026, 11, 3), repositories=[{"tags": {}}])
    assert "Since the night before Nothing changed." in text_at(client, "/")
