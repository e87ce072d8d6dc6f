"""The API answers with the published rows, by its OpenAPI document, and with errors as JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ecr_audit.web.api import records
from ecr_audit.web.api.records import Record
from support.small_lake import SmallLake

POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"

# Each list, and the published rows that it has without any filter.
LISTS = {
    "findings": f"FROM findings WHERE policy_id = '{POLICY}'",
    "repositories": "FROM repositories",
    "ous": f"FROM ou_compliance WHERE policy_id = '{POLICY}'",
    "accounts": f"FROM account_compliance WHERE policy_id = '{POLICY}'",
    "coverage": "FROM coverage",
    "targets": "FROM scan_targets",
    "policies": "FROM policies",
    "sections": "FROM section_compliance WHERE scope_type = 'organization' AND policies > 0"
    " AND snapshot_date = DATE '2026-11-02'",
    "compliance": f"FROM compliance_daily WHERE scope_type = 'organization' AND policy_id = '{POLICY}'",
    "changes": f"FROM changes WHERE policy_id = '{POLICY}'",
    "waivers": "FROM waivers",
    "owners": f"FROM owner_compliance WHERE policy_id = '{POLICY}'",
    "regions": f"FROM region_compliance WHERE policy_id = '{POLICY}'",
    "frameworks": "FROM frameworks",
    "registries": "FROM registries",
    "tag-moves": "FROM tag_moves",
    "image-tags": "FROM repository_image_tags",
    "undetermined": f"FROM undetermined_reasons WHERE policy_id = '{POLICY}'",
    "nights": "FROM nights",
    "history": f"FROM findings_history WHERE policy_id = '{POLICY}'",
}


@pytest.fixture(autouse=True)
def pages_read_the_database_alone() -> None:
    """Not here: some tests compare pages with the files beside the database."""


@pytest.fixture
def nights(
    once: Callable[..., None], small_lake: SmallLake, published: Callable[..., None], folder: Path
) -> Callable[[str], list[dict[str, Any]]]:
    """Two nights are published; asks the published tables."""
    accounts = [
        {"account_id": f"{n}" * 12, "account_name": f"name {n}", "ou_path": f"Root/Unit{n}"} for n in range(1, 4)
    ]
    rows: list[dict[str, Any]] = [
        {"account_id": f"{n}" * 12, "repository_name": f"r{k}", "tags": [("owner", "o")]}
        for n in range(1, 4)
        for k in range(5)
    ]

    def audit() -> None:
        for day, digest in ((date(2026, 10, 30), "old"), (date(2026, 10, 31), "new")):
            small_lake.scan(day, accounts=accounts, repositories=rows)
            small_lake.read_tags(day, [row | {"tags": {"1.0.0": digest}} for row in rows])
        small_lake.night(date(2026, 11, 1), accounts=accounts, repositories=rows)
        fixed = [row | {"image_tag_mutability": "IMMUTABLE"} for row in rows[:2]]
        registry = {"account_id": "1" * 12}
        published(date(2026, 11, 2), accounts=accounts, repositories=[*fixed, *rows[2:]], registries=[registry])

    once(audit)

    def ask(query: str) -> list[dict[str, Any]]:
        with duckdb.connect() as database:
            for file in folder.glob("*.parquet"):
                database.execute(f"CREATE VIEW {file.stem} AS FROM read_parquet('{file}')")
            return list(database.sql(query).to_arrow_table().to_pylist())

    return ask


def test_models_have_the_columns_of_their_tables(nights: Callable[[str], list[dict[str, Any]]]) -> None:
    models = [each for each in vars(records).values() if isinstance(each, type) and issubclass(each, Record)]
    models.remove(Record)
    models.remove(records.CurrentPublication)  # knows what time it is, too
    assert len(models) >= 12
    for model in models:
        columns = {row["column_name"] for row in nights(f"DESCRIBE {model.table}")}
        assert set(model.model_fields) == columns, model.__name__


def test_lists_have_the_published_rows_in_pages(
    client: TestClient, nights: Callable[[str], list[dict[str, Any]]]
) -> None:
    for name, query in LISTS.items():
        address: str | None = f"/api/v1/{name}?size=2"
        items = []
        while address:
            part = client.get(address.removeprefix("/ecr-audit"))
            assert part.status_code == 200, part.text
            items += part.json()["items"]
            address = part.json()["next"]
        expected = nights(query)
        assert len(items) == len(expected) == part.json()["count"], name
        keys = [
            key
            for key in ("policy_id", "section_id", "account_id", "ou_path", "repository_arn")
            if items and key in items[0]
        ]
        for key in keys:
            assert sorted(str(item[key]) for item in items) == sorted(str(row[key]) for row in expected), (name, key)
        assert name in ("waivers", "undetermined") or items, name


def test_pages_of_two_publications_are_not_mixed(
    client: TestClient, nights: Callable[[str], list[dict[str, Any]]], published: Callable[..., None]
) -> None:
    """Somebody who is at page 2 when the next night is published begins again, rather than miss or repeat rows."""
    first = client.get("/api/v1/findings?size=10").json()
    address = first["next"].removeprefix("/ecr-audit")
    assert client.get(address).json()["version"] == first["version"]
    published(date(2026, 11, 3))
    gone = client.get(address)
    assert gone.status_code == 410
    assert first["version"] in gone.json()["detail"]
    assert "Start again" in gone.json()["detail"]


def test_figures_of_the_overview(client: TestClient, nights: Callable[[str], list[dict[str, Any]]]) -> None:
    overview = client.get("/api/v1/overview").json()
    assert overview["snapshot_date"] == "2026-11-02"
    assert (overview["tonight"]["compliant"], overview["tonight"]["incompliant"]) == (2, 13)
    assert overview["changes"] == {"fixed": 2}
    assert overview["outcomes"] == {"COLLECTED": 3}
    published = client.get("/api/v1/publication").json()
    assert published["published_at"].endswith("Z")
    assert set(published["policy_hashes"]) > {POLICY}


def test_filters_of_other_lists(client: TestClient, nights: Callable[[str], list[dict[str, Any]]]) -> None:
    def count(path: str, **query: Any) -> int:
        answer = client.get(f"/api/v1/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["count"])

    assert count("repositories", account="111111111111") == 5
    assert count("repositories", ou="Root/Unit2", search="R3") == 1
    assert count("repositories", tags="none") == 2
    assert count("repositories", owner="o", region="eu-west-1") == 15
    assert count("accounts", ou="Root") == 3
    assert count("accounts", search="NAME 2") == 1
    assert count("coverage", ou="Root/Unit1") == 1
    assert count("targets", outcome="COLLECTED", account="222222222222") == 1
    assert count("targets", outcome="FAILED") == 0
    assert count("changes", change="fixed") == 2
    assert count("changes", change="new") == 0
    assert count("changes", since="2026-11-03") == 0
    assert count("changes", until="2026-11-01") == 0
    assert count("changes", since="2026-11-02", until="2026-11-02") == 2
    assert count("compliance", scope_type="account", scope_id="111111111111") == 2
    assert count("compliance", scope_type="ou") == 8, "the root and three units, on two nights"
    assert count("compliance", until="2026-11-01") == 1
    assert count("sections", framework="/frameworks/aws-fsbp-v1.0.0", scope_type="ou") == 8, "ECR.2 and its group"
    assert count("history") == 15
    assert count("history", ended_by="open") == 13
    assert count("history", ended_by="fixed", since="2026-11-03") == 0
    assert count("history", since="2026-11-03", ou="Root/Unit2") == 5
    assert count("history", until="2026-10-31") == 0
    assert count("history", account="111111111111", owner="o", region="eu-west-1") == 5
    assert count("image-tags", account="111111111111", owner="o", region="eu-west-1", ou="Root/Unit1") == 5
    assert count("image-tags", nothing_moved=True) == 0
    assert count("sections", linked=False) > count("sections") > 0
    assert count("sections", framework="/frameworks/aws-fsbp-v1.0.0", scope_type="ou", scope_id="Root/Unit1") > 0


@pytest.mark.parametrize(
    ("address", "parameter", "valid"),
    [
        ("targets?outcome=LOST", "outcome", "'COLLECTED'"),
        ("changes?change=bettered", "change", "'fixed'"),
        ("changes?since=yesterday", "since", "date"),
        ("accounts?policy=/x", "policy", POLICY),
        ("accounts?ou=Root/Unit9", "ou", "Root/Unit1"),
        ("compliance?scope_type=planet", "scope_type", "'organization'"),
        ("compliance?scope_type=ou&scope_id=Root/Unit9", "scope_id", "Root/Unit1"),
        ("compliance?scope_id=everything", "scope_id", "organization"),
        ("sections?framework=/frameworks/nist", "framework", "/frameworks/nist-sp-800-53-r5"),
        ("sections?scope_type=account&scope_id=1", "scope_id", "111111111111"),
        ("compliance?until=never", "until", "date"),
        ("tag-moves?kind=added", "kind", "'moved_back'"),
        ("tag-moves?owner=p", "owner", "o"),
        ("history?ended_by=magic", "ended_by", "'disappeared'"),
        ("repositories?size=1001", "size", "1000"),
        ("repositories?page=-1", "page", "1"),
        ("repositories?size=99999999999999999999", "size", "1000"),
        ("waivers?colour=red", "colour", "not permitted"),
    ],
)
def test_a_wrong_parameter_is_reported(
    client: TestClient, nights: Callable[[str], list[dict[str, Any]]], address: str, parameter: str, valid: str
) -> None:
    answer = client.get(f"/api/v1/{address}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(f"{parameter}: ")
    assert valid in answer.json()["detail"]


def test_not_found_and_nothing_published_are_reported_as_json(client: TestClient) -> None:
    assert client.get("/api/v1/findings").json()["title"] == "Nothing has been published yet"
    missing = client.get("/api/v1/nothing/here")
    assert missing.status_code == 404
    assert "openapi.json" in missing.json()["detail"]


def test_the_document_describes_every_parameter_and_field(client: TestClient, published: Callable[..., None]) -> None:
    document = client.get("/api/v1/openapi.json").json()
    assert document["servers"] == [{"url": "/ecr-audit"}]
    assert {path.removeprefix("/api/v1/") for path in document["paths"]} > set(LISTS)
    for path, methods in document["paths"].items():
        assert list(methods) == ["get"]
        assert methods["get"]["description"], path
        for parameter in methods["get"].get("parameters", ()):
            assert parameter.get("description") or parameter["in"] == "path", (path, parameter["name"])
    for name, schema in document["components"]["schemas"].items():
        assert "description" in schema, name
    fields = document["components"]["schemas"]["Finding"]["properties"]
    assert all(field["description"] for field in fields.values())
    published(repositories=[{}])
    page = client.get("/api/v1/docs")
    assert all(path in page.text for path in LISTS)


def test_the_document_is_behind_the_login(pages: FastAPI, client: TestClient) -> None:
    """As all routes are, see test_login; FastAPI's own routes of documents would not be."""
    assert pages.openapi_url is None
    assert client.get("/openapi.json").status_code == 404
    assert client.get("/docs").status_code == 404


def test_owners_are_sorted(client: TestClient, small_lake: SmallLake, published: Callable[..., None]) -> None:
    """By name unless something else is asked for; as NDJSON, which has all of them, in no order to choose."""
    small_lake.owner_tags = ("owner",)
    owners = {"a": ["IMMUTABLE", "MUTABLE"], "b": ["MUTABLE", "MUTABLE"], "c": ["IMMUTABLE"]}
    published(
        repositories=[
            {"repository_name": f"{owner}-{number}", "tags": {"owner": owner}, "image_tag_mutability": mutability}
            for owner, values in owners.items()
            for number, mutability in enumerate(values)
        ]
    )
    orders = {"": "abc", "owner": "abc", "-owner": "cba", "incompliant": "cab", "-incompliant": "bac"}
    orders |= {"compliance": "bac", "-compliance": "cab"}
    for sort, expected in orders.items():
        items = client.get("/api/v1/owners", params={"sort": sort}).json()["items"]
        assert "".join(item["owner"] for item in items) == expected, sort
    first = client.get("/api/v1/owners?sort=-incompliant&size=1").json()
    following = client.get(first["next"].removeprefix("/ecr-audit")).json()
    assert [first["items"][0]["owner"], following["items"][0]["owner"]] == ["b", "a"]
    assert client.get("/api/v1/owners?format=ndjson").text.count("\n") == 3
    assert client.get("/api/v1/owners?format=ndjson&sort=owner").status_code == 422
    assert client.get("/api/v1/owners?sort=age").status_code == 422
