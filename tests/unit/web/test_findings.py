"""The findings page, its downloads and the API's list show the filtered findings, compared with SQL written here."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterator
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ecr_audit.catalog.waivers import SCHEMA
from support.pages import text_of
from support.small_lake import SmallLake

DAY_1, DAY_2 = date(2026, 11, 1), date(2026, 11, 9)
POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
STRICT = "/ce/ca/aws/ecr/repository-image-tag-immutability-strict"

ACCOUNTS = [
    {"account_id": "111111111111", "account_name": "Shop", "ou_path": "Root/Prod"},
    {"account_id": "222222222222", "account_name": "pay 100%", "ou_path": "Root/Prod/Payments"},
    {"account_id": "333333333333", "account_name": "lab", "ou_path": "Root/Production"},
]

# Each filter, and the truth of it.
FILTERS = {
    "policy": (STRICT, f"policy_id = '{STRICT}'"),
    "status": ("UNDETERMINED", "status = 'UNDETERMINED'"),
    "ou": ("Root/Prod", "(ou_path = 'Root/Prod' OR ou_path LIKE 'Root/Prod/%')"),
    "account": ("222222222222", "account_id = '222222222222'"),
    "region": ("eu-west-1", "region = 'eu-west-1'"),
    "owner": ("team o'neil", "owner = 'team o''neil'"),
    "age": ("8", "age_days >= 8"),
    "tags": ("all_but_listed", "overwritable_tags = 'all_but_listed'"),
    "waived": ("true", "waived"),
    "search": ("WEB shop", "repository_name ILIKE '%web%' AND (repository_name || account_name) ILIKE '%shop%'"),
}


@pytest.fixture(autouse=True)
def pages_read_the_database_alone() -> None:
    """Not here: some tests compare pages with the files beside the database."""


def repositories(day: int) -> Iterator[dict[str, Any]]:
    """One of each account, region and kind; `new` ones on the second day only."""
    for account, region, kind in itertools.product(
        ACCOUNTS, ("eu-west-1", "us-east-1"), ("web", "api", "filtered", "new")
    ):
        if kind == "new" and day == 1:
            continue
        yield {
            "account_id": account["account_id"],
            "region": region,
            "repository_name": f"{kind}_{region[:2]}",
            "image_tag_mutability": "MUTABLE_WITH_EXCLUSION" if kind == "filtered" else "MUTABLE",
            "image_tag_mutability_exclusion_filters": [{"filter_type": "WILDCARD", "filter": "v*"}]
            if kind == "filtered"
            else None,
            "tags": [("owner", "team o'neil")] if kind == "web" else None,
            "observed": not (day == 2 and account["account_name"] == "lab" and region == "us-east-1"),
        }


@pytest.fixture
def night(
    once: Callable[..., None], small_lake: SmallLake, published: Callable[..., None], folder: Path
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Two nights are published; a session that has the findings, for the truth."""
    waiver = {
        "waiver_id": "W-1",
        "policy_id": POLICY,
        "region": "us-east-1",
        "reason": "r",
        "owner": "o",
        "approved_by": "a",
        "created": DAY_1,
        "expires": date(2026, 12, 1),
    }
    small_lake.waivers = pa.Table.from_pylist([waiver], schema=SCHEMA)

    def audit() -> None:
        small_lake.night(DAY_1, accounts=ACCOUNTS, repositories=list(repositories(1)))
        lost = {"account_id": "333333333333", "region": "us-east-1", "outcome": "ACCESS_DENIED"}
        published(DAY_2, accounts=ACCOUNTS, repositories=list(repositories(2)), scan_targets=[lost])

    once(audit)
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE findings AS FROM '{folder}/findings.parquet'")
        yield database


def truth(database: duckdb.DuckDBPyConnection, conditions: list[str], order: str = "ALL") -> list[tuple[str, str]]:
    where = " AND ".join(conditions) or "TRUE"
    query = f"SELECT policy_id, repository_arn FROM findings WHERE {where} ORDER BY {order}"
    return list(database.execute(query).fetchall())


def asked(client: TestClient, query: dict[str, str]) -> list[tuple[str, str]]:
    answer = client.get("/api/v1/findings", params=query | {"size": "1000"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["count"] == len(answer.json()["items"])
    return [(item["policy_id"], item["repository_arn"]) for item in answer.json()["items"]]


@pytest.mark.slow
def test_each_filter_alone_and_each_pair_of_them(client: TestClient, night: duckdb.DuckDBPyConnection) -> None:
    found = set()
    for names in [*itertools.combinations(FILTERS, 1), *itertools.combinations(FILTERS, 2), tuple(FILTERS)]:
        query = {name: FILTERS[name][0] for name in names}
        conditions = [FILTERS[name][1] for name in names] + ([] if "policy" in names else [f"policy_id = '{POLICY}'"])
        expected = truth(night, conditions)
        assert sorted(asked(client, query)) == expected, query
        page = client.get("/findings", params=query)
        assert f"{len(expected)} finding{'s' if len(expected) != 1 else ''}</h2>" in page.text, query
        rows = list(csv.DictReader(io.StringIO(client.get("/findings.csv", params=query).content.decode("utf-8-sig"))))
        assert sorted((row["policy_id"], row["repository_arn"]) for row in rows) == expected, query
        found.add(len(expected))
    assert len(found) > 5, "The filters hardly leave different numbers: the test would not notice a wrong one"


def test_all_policies(client: TestClient, night: duckdb.DuckDBPyConnection) -> None:
    assert sorted(asked(client, {"policy": "all"})) == truth(night, [])
    assert client.get("/findings", params={"policy": "all"}).status_code == 200


def test_commands_come_with_the_effects_that_the_policy_s_remediation_begins_with(
    client: TestClient, night: duckdb.DuckDBPyConnection
) -> None:
    effects = {
        POLICY: "a pipeline that pushes a fixed tag again fails with ImageTagAlreadyExistsException",
        STRICT: "pushing any existing tag again fails with ImageTagAlreadyExistsException , latest too",
    }
    for asked_for, expected in ((POLICY, [POLICY]), (STRICT, [STRICT]), ("all", [POLICY, STRICT])):
        page = client.get("/findings", params={"policy": asked_for})
        assert [
            policy for policy in effects if f'policies{policy}#remediation">Remediation</a>' in page.text
        ] == expected
        assert [policy for policy in effects if effects[policy] in text_of(page)] == expected
    without = client.get("/findings", params={"policy": POLICY, "search": "nothing-matches"})
    assert "Before you run a command" not in without.text


ORDERS = {
    "-age": "age_days DESC",
    "age": "age_days",
    "repository": "repository_name",
    "-repository": "repository_name DESC",
    "account": "account_name",
    "-account": "account_name DESC",
    "owner": "owner",
    "-owner": "owner DESC",
    "region": "region",
    "-region": "region DESC",
    "status": "status",
    "-status": "status DESC",
}


def test_sorted_and_paged(client: TestClient, night: duckdb.DuckDBPyConnection) -> None:
    for sort, order in ORDERS.items():
        address: str | None = f"/api/v1/findings?size=7&sort={sort}"
        items = []
        while address:
            part = client.get(address.removeprefix("/ecr-audit")).json()
            items += [(item["policy_id"], item["repository_arn"]) for item in part["items"]]
            address = part["next"]
        expected = truth(night, [f"policy_id = '{POLICY}'"], f"{order}, incompliant_start_date, repository_arn")
        assert items == expected, sort


def test_pages_at_the_edges(client: TestClient, night: duckdb.DuckDBPyConnection) -> None:
    beyond = client.get("/api/v1/findings", params={"page": 1_000_000, "size": 1000}).json()
    assert (beyond["items"], beyond["next"]) == ([], None)
    assert client.get("/findings", params={"page": "1000000"}).status_code == 200
    for page in ("0", "-1", "1000001", "9" * 30, "1.5", "one"):
        assert client.get("/findings", params={"page": page}).status_code == 422
        assert client.get("/api/v1/findings", params={"page": page}).status_code == 422
    assert client.get("/findings", params={"page": ""}).status_code == 200


# For each parameter an invalid value, and part of the message.
WRONG = {
    "policy": ("/ce/ca/aws/ecr/repository-image-tag-mutabilty", POLICY),
    "status": ("FIXED", "'INCOMPLIANT' or 'UNDETERMINED'"),
    "ou": ("Root/prod", "Root/Prod"),
    "account": ("222222222223", "222222222222"),
    "region": ("eu-west-11", "eu-west-1"),
    "owner": ("team oneil", "team o'neil"),
    "age": ("-1", "greater than or equal to 0"),
    "tags": ("some", "'all_but_listed'"),
    "waived": ("perhaps", "boolean"),
    "search": ("a b c d e f", "the maximum is 5"),
    "sort": ("size", "'-repository'"),
    "colour": ("red", "not permitted"),
}


def test_an_invalid_value_is_reported_with_its_parameter_and_valid_values(
    client: TestClient, night: duckdb.DuckDBPyConnection
) -> None:
    for name, (value, reported) in WRONG.items():
        as_json = client.get("/api/v1/findings", params={name: value})
        assert as_json.status_code == 422
        assert as_json.headers["content-type"] == "application/problem+json"
        for text in (as_json.json()["detail"], unescape(client.get("/findings", params={name: value}).text)):
            assert f"{name}: {value!r}" in text
            assert reported in text


def test_the_address_is_the_whole_state(client: TestClient, night: duckdb.DuckDBPyConnection) -> None:
    query = {name: value for name, (value, _) in FILTERS.items() if name not in ("tags", "status")} | {"sort": "region"}
    page = client.get("/findings", params=query | {"policy": POLICY, "tags": "", "status": ""})
    assert page.status_code == 200
    chosen = set(re.findall(r'<option value="([^"]+)" selected>', unescape(page.text)))
    assert {"Root/Prod", "eu-west-1", "8", "true"} <= chosen
    typed = dict(re.findall(r'name="(\w+)"[^>]* value="([^"]*)"', unescape(page.text)))
    assert {name: typed[name] for name in ("account", "owner", "search", "sort")} == {
        name: query[name] for name in ("account", "owner", "search", "sort")
    }


def test_excel_and_csv_have_the_same_rows_and_are_named_as_a_part(
    client: TestClient, night: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """17 of the findings are under the policy, 8 of them in us-east-1, where one of three accounts was not read."""
    as_csv = client.get("/findings.csv", params={"region": "us-east-1"})
    name = 'attachment; filename="findings-2026-11-09-by-region-8-of-17.'
    assert as_csv.headers["content-disposition"] == f'{name}csv"'
    as_excel = client.get("/findings.xlsx", params={"region": "us-east-1"})
    assert as_excel.headers["content-disposition"] == f'{name}xlsx"'
    book = openpyxl.load_workbook(io.BytesIO(as_excel.content))
    sheet = [[cell.value for cell in row] for row in book["Findings"].iter_rows()]
    rows = list(csv.DictReader(io.StringIO(as_csv.content.decode("utf-8-sig"))))
    arn = sheet[0].index("repository_arn")
    assert [row[arn] for row in sheet[1:]] == [row["repository_arn"] for row in rows]
    assert len(rows) == 8
    with (folder / "findings.csv").open(encoding="utf-8-sig", newline="") as published:
        columns = [name for name in next(csv.reader(published)) if name != "remediation_command"]
        assert list(rows[0]) == columns, "the columns of the published file, but for the policy's own command"

    cover = dict(row[:2] for row in book["Cover"].iter_rows(values_only=True))
    assert "ECR audit: an excerpt of the findings" in cover
    assert cover["Part of the findings"] == "8 of 17 under the policy"
    assert (cover["Filter: Policy"], cover["Filter: region"]) == (POLICY, "us-east-1")
    part = cover["Coverage of the accounts and regions in this part, %"]
    assert (part, cover["Coverage of the organization, % of account-regions read"]) == (
        pytest.approx(100 * 2 / 3),
        pytest.approx(100 * 5 / 6),
    )


def test_excel_has_a_note_when_it_is_cut(
    client: TestClient, night: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecr_audit.publish.workbook_sheets.MAX_ROWS", 3)
    book = openpyxl.load_workbook(io.BytesIO(client.get("/findings.xlsx").content))
    rows = [[cell.value for cell in row] for row in book["Findings"].iter_rows()]
    assert rows[0][0] == "3 of 17 rows; all are in findings.csv. Shown: by policy, the oldest first."
    assert len(rows) == 2 + 3


def test_no_spreadsheet_takes_a_name_for_a_formula(client: TestClient, published: Callable[..., None]) -> None:
    names = ["=cmd|'/c calc'!A1", "+1", "-1", "@SUM(A1)", "\t=1", "\0=1", "\u202e=1", "\uff1d1", "\x1b[2J"]
    published(repositories=[{"repository_name": f"r{n}", "tags": [("owner", name)]} for n, name in enumerate(names)])
    rows = list(csv.DictReader(io.StringIO(client.get("/findings.csv").content.decode("utf-8-sig"))))
    assert {row["owner"] for row in rows} == {f"'{name}" for name in names}
    book = openpyxl.load_workbook(io.BytesIO(client.get("/findings.xlsx").content))
    assert {cell.data_type for row in book["Findings"].iter_rows() for cell in row} <= {"s", "n", "d", "b"}


def test_a_percent_sign_searched_for_is_one(client: TestClient, night: duckdb.DuckDBPyConnection) -> None:
    assert {arn.split(":")[4] for _, arn in asked(client, {"search": "100%"})} == {"222222222222"}
    assert asked(client, {"search": "_eu", "region": "us-east-1"}) == []


def test_a_download_ends_as_it_began_when_another_night_is_published(
    client: TestClient, pages: FastAPI, night: duckdb.DuckDBPyConnection, published: Callable[..., None]
) -> None:
    with pages.state.published.reading() as publication, publication.connection(60) as cursor:
        answer = cursor.execute("SELECT snapshot_date FROM findings")
        first = answer.fetchone()
        published(date(2026, 11, 10), accounts=ACCOUNTS, repositories=[{}])
        assert client.get("/api/v1/publication").json()["snapshot_date"] == "2026-11-10"
        assert {first, *answer.fetchall()} == {(DAY_2,)}
