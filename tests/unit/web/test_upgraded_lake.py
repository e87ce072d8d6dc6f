"""The pages over a lake that a version before this one has written: all that can be reached is there."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from html import unescape
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ecr_audit.publish.build import publish
from ecr_audit.web.urls import PREFIX
from support.small_lake import SmallLake

NEXT = date(2026, 11, 1)
# Those of the older lakes.
ACCOUNTS = [{"account_id": digit * 12, "account_name": f"account {digit}"} for digit in "123"]


def crawl(client: TestClient) -> dict[str, int]:
    """Follow every link from the overview on, each page's with other parameters once; status by address."""
    found: dict[str, int] = {}
    waiting, seen = ["/"], {"/"}
    while waiting:
        path = waiting.pop()
        page = client.get(path)
        found[path] = page.status_code
        if "text/html" not in page.headers.get("content-type", ""):
            continue
        for link in re.findall(rf'href="{PREFIX}(/[^"#]*)', page.text):
            target = unescape(link)
            # Filters and sorts of a page multiply without end: one of each kind will do.
            kind = re.sub(r"=[^&]*", "=", target)
            if kind not in seen:
                seen.add(kind)
                waiting.append(target)
    return found


def assert_all_there(client: TestClient) -> None:
    found = crawl(client)
    assert len(found) > 30
    assert {path: status for path, status in found.items() if status != 200} == {}


# It lacks whatever one of the others lacks; tests/unit/lake/test_older_lakes.py reads all of them.
OLDEST = Path(__file__).resolve().parents[2] / "fixtures" / "lake-v2"
oldest = pytest.mark.parametrize("older", [OLDEST], indirect=True, ids=["lake-v2"])


@oldest
def test_before_a_night_of_this_version(older: SmallLake, folder: Path, client: TestClient) -> None:
    publish(older.lake, older.catalog, folder, owner_tags=older.owner_tags)
    assert_all_there(client)


@oldest
def test_after_one(older: SmallLake, published: Callable[..., None], client: TestClient) -> None:
    published(NEXT, accounts=ACCOUNTS, repositories=[{"repository_name": "web"}, {"repository_name": "new"}])
    assert_all_there(client)
