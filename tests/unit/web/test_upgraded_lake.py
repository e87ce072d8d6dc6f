"""The pages over a lake that a version before this one has written: those of every kind are there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ecr_audit.publish.build import publish
from support.pages import crawl
from support.small_lake import SmallLake

NEXT = date(2026, 11, 1)
# Those of the older lakes.
ACCOUNTS = [{"account_id": digit * 12, "account_name": f"account {digit}"} for digit in "123"]


def assert_all_there(client: TestClient, pages: FastAPI) -> None:
    answers = list(crawl(client, pages))
    assert len(answers) > 30
    assert [(answer.url, answer.status_code) for answer in answers if answer.status_code != 200] == []


# It lacks whatever one of the others lacks; tests/unit/lake/test_older_lakes.py reads all of them.
OLDEST = Path(__file__).resolve().parents[2] / "fixtures" / "lake-v2"
oldest = pytest.mark.parametrize("older", [OLDEST], indirect=True, ids=["lake-v2"])


@oldest
def test_before_a_night_of_this_version(older: SmallLake, folder: Path, client: TestClient, pages: FastAPI) -> None:
    publish(older.lake, older.catalog, folder, owner_tags=older.owner_tags)
    assert_all_there(client, pages)


@oldest
def test_after_one(older: SmallLake, published: Callable[..., None], client: TestClient, pages: FastAPI) -> None:
    published(NEXT, accounts=ACCOUNTS, repositories=[{"repository_name": "web"}, {"repository_name": "new"}])
    assert_all_there(client, pages)
