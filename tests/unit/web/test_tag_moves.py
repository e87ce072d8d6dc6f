"""Image tags that were overwritten: their page, its download, the API, and what other pages show of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from ecr_audit.lake.schemas import TAG_ACTORS
from ecr_audit.publish.build import publish
from ecr_audit.web import image_tags
from ecr_audit.web.pages import tag_moves
from support.pages import text_at, text_of
from support.small_lake import SmallLake

SHOP, PAY, LAB = "1" * 12, "2" * 12, "3" * 12
ACCOUNTS = [
    {"account_id": SHOP, "account_name": "Shop", "ou_path": "Root/Prod"},
    {"account_id": PAY, "account_name": "pay", "ou_path": "Root/Prod/Payments"},
    {"account_id": LAB, "account_name": "lab", "ou_path": "Root/Production"},
]
REPOSITORIES: list[dict[str, Any]] = [
    {"account_id": SHOP, "repository_name": "web/app", "tags": [("owner", "web")]},
    {"account_id": SHOP, "repository_name": "quiet"},
    {"account_id": PAY, "repository_name": "api", "region": "us-east-1"},
    {"account_id": LAB, "repository_name": "base", "image_tag_mutability": "IMMUTABLE"},
    {"account_id": LAB, "repository_name": "denied"},
]
OLD, NEW, OTHER = (f"sha256:{digit * 64}" for digit in "abc")
CI = f"arn:aws:sts::{SHOP}:assumed-role/ci/build-7"
ARN = f"arn:aws:ecr:eu-west-1:{SHOP}:repository/web/app"

# The image tags of each night: those of the third are compared with the second's.
NIGHTS: list[dict[str, dict[str, str]]] = [
    {
        "web/app": {"latest": OLD, "1.2.0": OLD, "main": OLD},
        "quiet": {"1.0.0": OLD},
        "api": {"latest": OLD},
        "base": {"v1.0.0": OLD},
    },
    {
        "web/app": {"latest": NEW, "1.2.0": OLD, "main": NEW},
        "quiet": {"1.0.0": OLD},
        "api": {"latest": NEW},
        "base": {"v1.0.0": OLD},
    },
    {
        "web/app": {"latest": OTHER, "1.2.0": NEW, "main": NEW},
        "quiet": {"1.0.0": OLD},
        "api": {"latest": OLD},
        "base": {"v1.0.0": NEW},
    },
]

# Each filter, and the truth of it.
FILTERS = {
    "kind": ("moved_back", "kind = 'moved_back'"),
    "release": ("true", "is_release"),
    "since": ("2026-11-03", "snapshot_date >= DATE '2026-11-03'"),
    "until": ("2026-11-02", "snapshot_date <= DATE '2026-11-02'"),
    "ou": ("Root/Prod", "(ou_path = 'Root/Prod' OR ou_path LIKE 'Root/Prod/%')"),
    "account": (PAY, f"account_id = '{PAY}'"),
    "region": ("us-east-1", "region = 'us-east-1'"),
    "owner": ("web", "owner = 'web'"),
    "repository": (ARN, f"repository_arn = '{ARN}'"),
    "tag": ("latest", "tag = 'latest'"),
    "search": ("LATEST web", "tag ILIKE '%latest%' AND repository_name ILIKE '%web%'"),
}


def audit(lake: SmallLake, day: date, tags_of: dict[str, dict[str, str]] | None, **rows: Any) -> None:
    """A night whose image tags are read before it is evaluated, as `make audit` does."""
    repositories = rows.setdefault("repositories", REPOSITORIES)
    lake.scan(day, **({"accounts": ACCOUNTS} | rows))
    if tags_of is not None:
        of_name = {each["repository_name"]: each for each in repositories}
        reads = [of_name[name] | {"tags": tags} for name, tags in tags_of.items()]
        denied = [{**of_name["denied"], "outcome": "ACCESS_DENIED"}] if "denied" in of_name else []
        lake.read_tags(day, [*reads, *denied])
    lake.evaluate(day)


def keep_actors(lake: SmallLake, day: date) -> None:
    """Keep the actor of a tag that moved, by the organization's trail; that of another is not known."""
    read_at = datetime.combine(day, time(4), UTC)
    by_tag: dict[str, dict[str, Any]] = {
        "1.2.0": {"trail_outcome": "FOUND", "actor": CI, "moved_at": read_at, "source_address": "192.0.2.1"},
        "latest": {"trail_outcome": "NOT_READ"},
    }
    rows = [
        each | {"account_id": SHOP, "repository_arn": ARN, "tag": tag, "seen_after": read_at}
        for tag, each in by_tag.items()
    ]
    for row in rows:
        row["new_digest"] = NIGHTS[2]["web/app"][row["tag"]]
    with lake.lake.writer("trail", day) as writer:
        writer.write(TAG_ACTORS, pa.Table.from_pylist(rows, schema=TAG_ACTORS.schema))
        writer.commit({})


@pytest.fixture
def nights(once: Callable[..., None], small_lake: SmallLake, folder: Path) -> duckdb.DuckDBPyConnection:
    """Three nights are published; a session that has the published tables, for the truth."""

    def audit_all() -> None:
        for number, tags in enumerate(NIGHTS, 1):
            audit(small_lake, date(2026, 11, number), tags)
        keep_actors(small_lake, date(2026, 11, 3))
        publish(small_lake.lake, small_lake.catalog, folder, owner_tags=small_lake.owner_tags)

    once(audit_all)
    return duckdb.connect(folder / "compliance.duckdb", read_only=True)


def truth(database: duckdb.DuckDBPyConnection, condition: str) -> list[tuple[str, str, str]]:
    query = f"SELECT snapshot_date::VARCHAR, repository_name, tag FROM tag_moves WHERE {condition} ORDER BY ALL"
    return list(database.execute(query).fetchall())


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_is_the_same_on_the_page_in_the_file_and_in_the_api(
    client: TestClient, nights: duckdb.DuckDBPyConnection, name: str
) -> None:
    value, condition = FILTERS[name]
    expected = truth(nights, condition)
    assert expected and len(expected) < len(truth(nights, "TRUE"))
    items = client.get("/api/v1/tag-moves", params={name: value}).json()["items"]
    assert sorted((each["snapshot_date"], each["repository_name"], each["tag"]) for each in items) == expected
    file = client.get("/tag-moves.csv", params={name: value})
    rows = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert sorted((row["snapshot_date"], row["repository_name"], row["tag"]) for row in rows) == expected
    assert f"by-{name}-{len(expected)}.csv" in file.headers["content-disposition"]
    page = client.get("/tag-moves", params={name: value})
    assert page.text.count('<th scope="row">') == len(expected)
    assert f"{name}: <b>" in page.text


def test_the_newest_night_is_first_and_in_it_releases(client: TestClient, nights: duckdb.DuckDBPyConnection) -> None:
    items = client.get("/api/v1/tag-moves").json()["items"]
    assert [(each["snapshot_date"][-2:], each["tag"], each["kind"]) for each in items] == [
        ("03", "1.2.0", "moved"),
        ("03", "v1.0.0", "moved_though_immutable"),
        ("03", "latest", "moved"),
        ("03", "latest", "moved_back"),
        ("02", "latest", "moved"),
        ("02", "main", "moved"),
        ("02", "latest", "moved"),
    ]
    text = text_at(client, "/tag-moves")
    assert "7 overwrites 2 of a release tag. 1 though the setting forbade it. 1 back to an earlier digest." in text
    assert "1.2.0 release 2026-11-03 web/ app eu-west-1 Shop 111111111111 web overwritten MUTABLE" in text
    assert f"by {CI}" in text.replace("/ ", "/")
    assert "sha256:aaaaaaaaaaaa… → sha256:bbbbbbbbbbbb…" in text
    assert "Moves between two reads of a repository are not seen" in text
    second = client.get(client.get("/api/v1/tag-moves?size=3").json()["next"].removeprefix("/ecr-audit")).json()
    assert second["items"] == items[3:6]


def test_an_unknown_name_is_refused(client: TestClient, nights: duckdb.DuckDBPyConnection) -> None:
    for name, value in (("account", "9" * 12), ("ou", "Root/Nowhere"), ("owner", "nobody"), ("kind", "added")):
        answer = client.get("/tag-moves", params={name: value})
        assert answer.status_code == 422, name
        assert name in text_of(answer)


def test_a_repository_shows_its_moved_tags_and_the_digests_of_one(
    client: TestClient, nights: duckdb.DuckDBPyConnection
) -> None:
    text = text_at(client, f"/repositories/{ARN}?tag=latest")
    for shown in (
        "3 tags were overwritten in the last 30 nights, 4 times. 1 release tag",
        "Read completely 2026-11-03 04:00 UTC, 3 tags; in 3 of the last 30 nights, 2 of them",
        "1.2.0 release 1 1 2026-11-03 04:00 UTC overwritten latest 2 2 2026-11-03 04:00 UTC overwritten",
        f"Digests of latest 2026-11-03 {OTHER} overwritten From 2026-11-03 04:00 UTC, not moved since.",
        f"2026-11-02 {NEW} overwritten From 2026-11-02 04:00 UTC, last seen there 2026-11-02 04:00 UTC.",
        f"earlier {OLD} Before it first moved, last seen there 2026-11-01 04:00 UTC.",
        "The published row of repository_image_tags",
    ):
        assert shown in text, shown
    release = text_at(client, f"/repositories/{ARN}?tag=1.2.0")
    assert f"Moved by {CI} at 2026-11-03 04:00 UTC, from 192.0.2.1 ." in release.replace("/ ", "/")
    assert "Moved by whom is not known: the trail could not be read." in text
    assert "No overwrite of this tag has been found." in text_at(client, f"/repositories/{ARN}?tag=nothing")
    quiet = text_at(client, f"/repositories/{ARN.replace('web/app', 'quiet')}")
    assert "Image tags No tag was overwritten in the last 30 nights." in quiet
    denied = text_at(client, f"/repositories/arn:aws:ecr:eu-west-1:{LAB}:repository/denied")
    assert "Image tags Not read yet. Not read" in denied
    assert "Last attempt Not allowed to list" in denied
    details = client.get(f"/api/v1/repositories/{ARN}").json()
    assert (details["image_tags"]["tags_moved"], details["image_tags"]["moves"]) == (3, 4)
    assert details["image_tags"]["last_moved_at"] == "2026-11-03T04:00:00Z"


def test_the_overview_shows_the_tags_of_the_last_night(
    client: TestClient, nights: duckdb.DuckDBPyConnection, small_lake: SmallLake, folder: Path
) -> None:
    text = text_at(client, "/")
    assert "Overwritten last night Night of 2026-11-03: 4 image tags in 3 repositories, 2 of them a release" in text
    assert ", 1 though the setting forbade it ." in text
    assert "4 of 5 repositories were read, 4 compared with an earlier night." in text
    page = client.get("/").text
    assert "/ecr-audit/tag-moves?since=2026-11-03&amp;until=2026-11-03" in page
    assert '<a href="/ecr-audit/tag-moves">Tag moves</a>' in page
    account = text_at(client, f"/accounts/{SHOP}")
    assert "Overwritten image tags 3 tags in 1 repository, 1 release tag among them, in the 30 nights from" in account
    assert "The tags of 2 of 2 repositories are known; in 1 nothing moved." in account


def test_later_nights_without_a_read_show_the_last_one(
    client: TestClient, nights: duckdb.DuckDBPyConnection, small_lake: SmallLake, folder: Path
) -> None:
    """One account has left meanwhile: its overwrites stay, and their filter."""
    remaining = [each for each in REPOSITORIES if each["account_id"] != PAY]
    accounts = [each for each in ACCOUNTS if each["account_id"] != PAY]
    audit(small_lake, date(2026, 11, 5), None, repositories=remaining, accounts=accounts)
    publish(small_lake.lake, small_lake.catalog, folder, owner_tags=small_lake.owner_tags)
    assert "Last known Night of 2026-11-03: 4 image tags" in text_at(client, "/")
    assert "2 overwrites" in text_at(client, f"/tag-moves?account={PAY}")
    gone = f"arn:aws:ecr:us-east-1:{PAY}:repository/api"
    text = text_at(client, f"/repositories/{gone}?tag=latest")
    assert "The repository has been deleted." in text
    assert f"Digests of latest 2026-11-03 {OLD} moved back" in text


def test_while_it_is_off_a_line_has_its_use_and_its_cost(client: TestClient, published: Callable[..., None]) -> None:
    published(accounts=ACCOUNTS, repositories=REPOSITORIES)
    text = text_at(client, "/")
    assert "ECR_AUDIT_IMAGE_TAGS is off. As overwritable, it would show each night which tags of 4 repositories" in text
    assert "at least 4 a night" in text
    assert "Tag moves" not in text
    assert "Not read: ECR_AUDIT_IMAGE_TAGS is off." in text_at(client, f"/repositories/{ARN}")
    assert "Image tags are not read" in text_at(client, "/tag-moves")


def test_the_first_night_has_nothing_to_compare_with(
    client: TestClient, nights: duckdb.DuckDBPyConnection, small_lake: SmallLake, folder: Path
) -> None:
    first = date(2026, 11, 1)
    publish(small_lake.lake, small_lake.catalog, folder, owner_tags=small_lake.owner_tags, as_of=first)
    assert "none of the 4 repositories that were read could be compared" in text_at(client, "/")
    assert "Read once: there is nothing to compare with yet." in text_at(client, f"/repositories/{ARN}")
    assert "No overwrite has been found, up to 2026-11-01." in text_at(client, "/tag-moves")


def test_long_lists_show_some_and_lead_to_all(
    client: TestClient, nights: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_tags, "SHOWN", 2)
    monkeypatch.setattr(tag_moves, "MOVES_A_PAGE", 3)
    page = client.get(f"/repositories/{ARN}").text
    assert page.count("?tag=") == 2
    assert f"/ecr-audit/tag-moves?repository={quote(ARN, safe='')}" in page
    second = client.get("/tag-moves", params={"repository": ARN, "page": 2})
    assert "Page 2 of 2" in second.text
    assert second.text.count('<th scope="row">') == 1
