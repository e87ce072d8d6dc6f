"""The pages over a lake that a version before this one has written: all that can be reached is there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ecr_audit.publish import publish
from ecr_audit.web.urls import PREFIX

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
NEXT = date(2026, 11, 1)
# Those of the older lakes.
ACCOUNTS = [{"account_id": digit * 12, "account_name": f"account {digit}"} for digit in "123"]


@pytest.fixture(params=[path.name for path in sorted(FIXTURES.glob("lake-v*"))])
def old_lake(request: pytest.FixtureRequest, small_lake: Any) -> Any:
    """A small lake that has the nights of an older version."""
    shutil.copytree(FIXTURES / request.param, small_lake.lake.root)
    return small_lake


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


def test_before_a_night_of_this_version(old_lake: Any, folder: Path, client: TestClient) -> None:
    publish(old_lake.lake, old_lake.catalog, folder, owner_tags=old_lake.owner_tags)
    assert_all_there(client)


def test_after_one(old_lake: Any, published: Callable[..., None], client: TestClient) -> None:
    published(NEXT, accounts=ACCOUNTS, repositories=[{"repository_name": "web"}, {"repository_name": "new"}])
    assert_all_there(client)
