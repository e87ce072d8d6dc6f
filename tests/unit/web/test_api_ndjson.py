"""Lists as NDJSON: whole, with the records that the pages have, one a line, or a proper error."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ecr_audit.catalog.waivers import SCHEMA
from ecr_audit.web.api import ndjson, records
from ecr_audit.web.urls import PREFIX
from support.remediation import record_rows
from support.small_lake import SmallLake

NDJSON = {"Accept": "application/x-ndjson"}
POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
NIGHT_1, NIGHT_2 = date(2026, 11, 1), date(2026, 11, 2)

# Names that AWS or people could give, each of which would end a line, a text or a record somewhere.
NAMES = [
    "two\nlines\r\n",
    "separators \u2028 \u2029 \x85 \x0b \x0c \x1c",
    '"}\n{"snapshot_date": "1970-01-01',
    "back\\slash \\u2028",
    "\0nul",
    "\u202egnp.exe \U0001f409",
    "null",
]


@pytest.fixture
def nights(once: Callable[..., None], small_lake: SmallLake, published: Callable[..., None]) -> None:
    """Three nights with a row for each list, and hostile names."""
    waiver: dict[str, Any] = {
        "waiver_id": "W-1",
        "policy_id": POLICY,
        "region": "us-east-1",
        "reason": NAMES[0],
        "owner": NAMES[1],
    }
    waiver |= {"approved_by": "a", "created": NIGHT_1, "expires": date(2026, 12, 1)}
    small_lake.waivers = pa.Table.from_pylist([waiver], schema=SCHEMA)
    accounts = [{"account_name": NAMES[0], "ou_path": "Root/Prod"}]
    rows: list[dict[str, Any]] = [
        {
            "repository_name": f"app/{number}",
            "tags": [("owner", name), (name, None)],
            "image_tag_mutability": "MUTABLE_WITH_EXCLUSION" if number % 2 else "MUTABLE",
            "image_tag_mutability_exclusion_filters": [{"filter_type": "WILDCARD", "filter": name}]
            if number % 2
            else None,
            "tags_read_at": datetime(2026, 11, 1, 2, 3, 4, number * 500, UTC),
        }
        for number, name in enumerate(NAMES)
    ]
    refused = {"account_id": "111111111111", "region": "us-east-1", "outcome": "FAILED", "error_message": NAMES[2]}

    def audit() -> None:
        odd = {"repository_name": "odd", "image_tag_mutability": "odd", "tags": [("owner", NAMES[0])]}
        for night, digest in ((NIGHT_1 - timedelta(days=1), "a"), (NIGHT_1, "b")):
            image_tags = [{"repository_name": "odd", "tags": dict.fromkeys(NAMES, digest)}]
            scanned: dict[str, Any] = {"repositories": [*rows, odd], "scan_targets": [refused]}
            small_lake.night(night, accounts=accounts, image_tags=image_tags, **scanned)
        planned = {"policy_id": POLICY, "account_id": "111111111111", "region": "us-east-1"}
        plan = [planned | {"repository_name": name, "repository_arn": name} for name in NAMES]
        record_rows(small_lake.lake, plan, datetime(2026, 11, 2, 1, tzinfo=UTC), NAMES[4], {})
        fixed = rows[0] | {"image_tag_mutability": "IMMUTABLE"}
        published(
            NIGHT_2,
            accounts=accounts,
            repositories=[fixed, *rows[1:], odd],
            registries=[{"pull_through_rules": [{"prefix": name} for name in NAMES]}],
            scan_targets=[refused],
        )

    once(audit)


def lists(client: TestClient) -> dict[str, Any]:
    """The routes that answer in pages, as the OpenAPI document has them: path and what a list answers with."""
    document = client.get("/api/v1/openapi.json").json()
    answers = {path: methods["get"]["responses"]["200"] for path, methods in document["paths"].items()}
    return {
        path: answer
        for path, answer in answers.items()
        if answer["content"]["application/json"]["schema"]["$ref"].startswith("#/components/schemas/Part_")
    }


def lines(client: TestClient, path: str) -> list[dict[str, Any]]:
    """The records of a list, each on a line whatever the reader takes for the end of one."""
    answer = client.get(path, headers=NDJSON)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text.splitlines() == answer.text.split("\n")[:-1]
    return [json.loads(line) for line in answer.text.splitlines()]


def records_of_pages(client: TestClient, path: str) -> list[dict[str, Any]]:
    """The same, from the pages of the list."""
    items, address = [], path
    while address:
        part = client.get(address.removeprefix(PREFIX)).json()
        items += part["items"]
        address = part["next"]
    return items


def in_order(items: list[dict[str, Any]]) -> list[str]:
    """The records as text, with their fields in the order of the answer."""
    return sorted(json.dumps(item) for item in items)


@pytest.mark.slow
@pytest.mark.usefixtures("nights")
def test_every_list_has_the_records_of_its_pages(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    write, plans = ndjson.write_records, list[str]()

    def explain(connection: duckdb.DuckDBPyConnection, source: str, record: Any, path: Path, given: Any) -> None:
        [(_, plan)] = connection.execute(f"EXPLAIN FROM {source}", given or None).fetchall()
        plans.append(plan)
        write(connection, source, record, path, given)

    monkeypatch.setattr(ndjson, "write_records", explain)
    found = lists(client)
    assert len(found) == 23
    for path, answer in found.items():
        items = records_of_pages(client, f"{path}?size=3")
        assert items, path
        assert in_order(lines(client, path)) == in_order(items), path
        assert list(answer["content"]) == ["application/json", "application/x-ndjson"], path
        assert set(answer["headers"]) == {"Snapshot-Date", "Publication-Version"}, path
    # To sort what is long would take more memory than a publication has.
    assert len(plans) == len(found)
    assert [plan for plan in plans if "ORDER_BY" in plan or "TOP_N" in plan] == []
    owners = {item["owner"] for item in lines(client, "/api/v1/repositories")}
    assert owners == set(NAMES)


@pytest.mark.usefixtures("nights")
def test_filters_hold_and_nothing_found_is_not_a_line(client: TestClient) -> None:
    query = "/api/v1/repositories?tags=none"
    assert [item["repository_name"] for item in lines(client, query)] == ["app/0"]
    assert len(lines(client, "/api/v1/findings?policy=all")) > len(lines(client, "/api/v1/findings")) == 3
    assert lines(client, "/api/v1/targets?outcome=THROTTLED") == []


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [
        ("", "application/x-ndjson", "application/x-ndjson"),
        ("", "Application/X-NDJSON;q=0.9, */*;q=0.8", "application/x-ndjson"),
        ("", "application/json;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("", "application/json, application/x-ndjson;q=0.5", "application/json"),
        ("", "application/x-ndjson;q=0", "application/json"),
        ("", "application/x-ndjson;q=nonsense", "application/x-ndjson"),
        ("", "*/*", "application/json"),
        ("", "text/html", "application/json"),
        ("?format=", "*/*", "application/json"),
        ("?format=ndjson", "*/*", "application/x-ndjson"),
        ("?format=ndjson", "application/json", "application/x-ndjson"),
        ("?format=json", "application/x-ndjson", "application/json"),
    ],
)
@pytest.mark.usefixtures("nights")
def test_the_parameter_selects_the_format_before_the_header(
    client: TestClient, query: str, accept: str, expected: str
) -> None:
    answer = client.get(f"/api/v1/coverage{query}", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, expected)


@pytest.mark.parametrize(
    ("query", "parameter", "valid"),
    [
        ("format=csv", "format: 'csv'", "'json' or 'ndjson'"),
        ("format=ndjson&size=10", "size: '10'", "format=json"),
        ("format=ndjson&page=2", "page: '2'", "format=json"),
        ("format=ndjson&sort=age", "sort: 'age'", "format=json"),
        ("format=ndjson&region=eu-west-11", "region: 'eu-west-11'", "eu-west-1"),
    ],
)
@pytest.mark.usefixtures("nights")
def test_a_wrong_parameter_is_reported(client: TestClient, query: str, parameter: str, valid: str) -> None:
    answer = client.get(f"/api/v1/findings?{query}", headers=NDJSON)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["detail"].startswith(parameter)
    assert valid in answer.json()["detail"]


@pytest.mark.usefixtures("nights")
def test_all_lines_are_from_the_version_that_the_headers_name(
    client: TestClient, published: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the next night is published while the file is being made."""
    write, count = ndjson.write_records, len(lines(client, "/api/v1/repositories"))
    first = client.get("/api/v1/repositories?size=1").json()

    def publish_then_write(*given: Any) -> None:
        published(date(2026, 11, 3), repositories=[{}])
        assert client.get("/api/v1/publication").json()["snapshot_date"] == "2026-11-03"
        write(*given)

    monkeypatch.setattr(ndjson, "write_records", publish_then_write)
    answer = client.get(f"/api/v1/repositories?format=ndjson&version={first['version']}")
    monkeypatch.undo()
    assert answer.headers["publication-version"] == first["version"]
    assert answer.headers["snapshot-date"] == "2026-11-02"
    assert answer.headers["content-disposition"] == 'attachment; filename="repositories-2026-11-02.ndjson"'
    assert {json.loads(line)["snapshot_date"] for line in answer.text.splitlines()} == {"2026-11-02"}
    assert len(answer.text.splitlines()) == count
    gone = client.get(f"/api/v1/repositories?format=ndjson&version={first['version']}")
    assert (gone.status_code, gone.headers["content-type"]) == (410, "application/problem+json")


@pytest.mark.usefixtures("nights")
def test_head_has_the_headers_and_no_body(client: TestClient) -> None:
    whole, head = (client.request(method, "/api/v1/findings", headers=NDJSON) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (200, b"")
    names = ("content-type", "content-length", "publication-version", "snapshot-date", "content-security-policy")
    assert [head.headers[name] for name in names] == [whole.headers[name] for name in names]
    assert int(head.headers["content-length"]) == len(whole.content) > 0


@pytest.mark.parametrize(
    "query",
    [
        # After enough lines that some are already in the file.
        "SELECT '/x' AS framework_id, if(number < 5000, '', error(number)) AS name FROM range(10_000) AS rows(number)",
        "SELECT '/x' AS framework_id FROM range(3) AS of_another_version",
    ],
)
@pytest.mark.usefixtures("nights")
def test_a_query_that_fails_is_an_error_and_no_part_of_the_list(
    client: TestClient, pages: FastAPI, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(ndjson, "unsorted", lambda _: query)
    answer = client.get("/api/v1/frameworks", headers=NDJSON)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert list(pages.state.spool.folder.iterdir()) == []


def test_a_long_list_is_written_in_little_memory(tmp_path: Path) -> None:
    """100 MB of text where DuckDB may use 40 MB and no disk: it is neither sorted nor held as a whole."""
    with duckdb.connect(config={"memory_limit": "40MB", "threads": 2, "temp_directory": ""}) as database:
        rows = "(SELECT number::VARCHAR AS framework_id, repeat('x', 500) AS name FROM range(200_000) AS r(number))"
        ndjson.write_records(database, rows, records.Framework, tmp_path / "frameworks.ndjson", {})
        with pytest.raises(duckdb.OutOfMemoryException):
            database.execute(f"CREATE TABLE whole AS FROM {rows}")
    assert (tmp_path / "frameworks.ndjson").stat().st_size > 100_000_000
