"""The organization, an account and the coverage, over a lake with one of each case; and names that mean harm."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from html import unescape
from itertools import product
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ecr_audit.web.urls import PREFIX
from support.pages import text_of
from support.small_lake import SmallLake
from support.units import unit_id

DARK = "222222222222"
HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "=cmd|'/c calc'!A1",
    "../../etc/passwd",
    "%00{{ 7 * 7 }}{% raise %}",
    "x" * 10_000,
]


@pytest.fixture
def two_accounts(once: Callable[..., None], published: Callable[..., None]) -> None:
    """`shop` in Root/Prod with one repository of two that complies; `dark` in Root/Lost that nobody could enter."""

    def audit() -> None:
        published(
            accounts=[{}, {"account_id": DARK, "account_name": "dark", "ou_path": "Root/Lost"}],
            repositories=[
                {"repository_name": "open"},
                {"repository_name": "closed", "image_tag_mutability": "IMMUTABLE"},
            ],
            scan_targets=[
                {
                    "account_id": DARK,
                    "region": "eu-west-1",
                    "outcome": "ASSUME_ROLE_DENIED",
                    "error_code": "AccessDenied",
                    "error_message": "not authorized to perform: sts:AssumeRole",
                    "repository_count": None,
                }
            ],
        )

    once(audit)


@pytest.mark.usefixtures("two_accounts")
def test_the_tree_counts_the_units_below(client: TestClient) -> None:
    text = text_of(client.get("/organization"))
    assert "Root 50.0 % 1 of 2 1 0 50.0 % 2" in text
    assert "Prod 50.0 % 1 of 2 1 0 100.0 % 1" in text
    assert "Lost no data 0 0 0.0 % 1" in text


@pytest.mark.usefixtures("two_accounts")
@pytest.mark.parametrize(
    ("query", "accounts"),
    [
        ({}, ["shop", "dark"]),
        ({"sort": "name"}, ["dark", "shop"]),
        ({"sort": "coverage"}, ["dark", "shop"]),
        ({"ou": "Root/Prod"}, ["shop"]),
        ({"ou": "Root/Pro"}, []),
        ({"search": "DAR"}, ["dark"]),
        ({"search": "22222"}, ["dark"]),
        ({"search": "%"}, []),
        ({"page": "7"}, ["shop", "dark"]),
    ],
)
def test_the_accounts_of_a_unit_are_found_and_sorted(client: TestClient, query: Any, accounts: list[str]) -> None:
    page = client.get("/organization", params=query)
    assert page.status_code == 200
    assert re.findall(r'/accounts/\d+">(\w+)<', page.text) == accounts


def test_units_whose_names_hold_a_slash(client: TestClient, published: Callable[..., None]) -> None:
    """`CI/CD` under the root holds shop, CD in CI holds pay: each page tells them apart, and shows the names."""
    published(
        accounts=[
            {"ou_path": "Root/CI%2FCD"},
            {"account_id": DARK, "account_name": "pay", "ou_path": "Root/CI/CD"},
        ],
        repositories=[{}, {"account_id": DARK, "image_tag_mutability": "IMMUTABLE"}],
    )
    tree = client.get("/organization")
    assert "Root 50.0 % 1 of 2 1 0 100.0 % 2 CI 100.0 %" in text_of(tree)
    assert "CI/CD 0.0 % 0 of 1 1 0 100.0 % 1" in text_of(tree)
    link = f"{PREFIX}/organization?ou=Root%2FCI%252FCD"
    assert f'href="{link}"' in tree.text
    for unit, account in (("Root/CI%2FCD", "shop"), (unit_id("Root/CI%2FCD"), "shop"), ("Root/CI", "pay")):
        page = client.get("/organization", params={"ou": unit})
        assert re.findall(r'/accounts/\d+">(\w+)<', page.text) == [account]
        assert client.get("/api/v1/accounts", params={"ou": unit}).json()["items"][0]["account_name"] == account
        findings = client.get("/findings", params={"ou": unit})
        assert f"{1 if account == 'shop' else 0} finding" in text_of(findings)
    chosen = client.get("/findings", params={"ou": unit_id("Root/CI%2FCD")})
    assert '<option value="Root/CI%2FCD" selected>' in chosen.text
    assert 'href="' + link + '">CI/CD</a>' in client.get("/accounts/111111111111").text


def test_a_search_does_not_reach_from_one_name_into_the_next(
    client: TestClient, published: Callable[..., None]
) -> None:
    published(repositories=[{}])
    for path, search in (("/organization", "1 shop"), ("/coverage", "shop root"), ("/coverage", "1 shop")):
        assert client.get(path, params={"search": search.split()[-1]}).text.count('/accounts/111111111111"') > 0
        assert '/accounts/111111111111"' not in client.get(path, params={"search": search}).text


@pytest.mark.usefixtures("two_accounts")
def test_an_account_shows_why_it_was_not_read(client: TestClient) -> None:
    text = text_of(client.get(f"/accounts/{DARK}"))
    assert "Regions read 0 of 1" in text
    assert "Role cannot be assumed AccessDenied not authorized to perform: sts:AssumeRole" in text
    assert "ECR_AUDIT_ROLE_NAME names the role (default: ecr-audit)" in text


def test_advice_follows_errors_and_regions_and_unmatched_settings_are_shown(
    client: TestClient, published: Callable[..., None]
) -> None:
    failed = {"account_id": "111111111111", "region": "us-east-1", "outcome": "FAILED", "error_code": "InvalidURL"}
    missing = {"missing_accounts": ["999999999999"], "missing_regions": []}
    disabled = {"account_id": "111111111111", "region": "eu-central-2", "outcome": "REGION_DISABLED"}
    published(repositories=[{}], scan_targets=[failed, disabled], details=missing)
    assert "Regions read 1 of 2; 1 not enabled" in text_of(client.get("/accounts/111111111111"))
    for path in ("/coverage", "/accounts/111111111111"):
        assert "Write AWS_ENDPOINT_URL" in text_of(client.get(path))
    assert "ECR_AUDIT_ACCOUNTS names 1 account that the organization does not have" in text_of(client.get("/coverage"))
    assert client.get("/api/v1/publication").json()["missing_accounts"] == ["999999999999"]


def test_coverage_shows_accounts_that_the_settings_leave_out_and_when_a_dark_one_was_last_read(
    client: TestClient, published: Callable[..., None]
) -> None:
    other = "222222222222"
    new = "333333333333"
    accounts = [{}, {"account_id": other, "account_name": "left"}, {"account_id": new, "account_name": "new"}]
    never = {"account_id": new, "region": "eu-west-1", "outcome": "ASSUME_ROLE_DENIED"}
    lost = never | {"account_id": "111111111111"}
    details = {"left_out_accounts": [other], "left_out_regions": ["eu-west-3"]}
    published(date(2026, 11, 1), accounts=accounts, repositories=[{}], scan_targets=[never], details=details)
    unseen = [{"observed": False}]
    published(date(2026, 11, 2), accounts=accounts, repositories=unseen, scan_targets=[never, lost], details=details)
    text = text_of(client.get("/coverage"))
    assert f"ECR_AUDIT_ACCOUNTS leaves out 1 account: {other}. Not read, and not part of coverage." in text
    assert "ECR_AUDIT_REGIONS leaves out 1 region: eu-west-3." in text
    assert "shop 111111111111 since 2026-11-02, last read 2026-11-01" in text
    assert f"new {new} since 2026-11-01, never read" in text


@pytest.mark.usefixtures("two_accounts")
def test_an_account_lists_repositories_to_fix_first(client: TestClient) -> None:
    page = client.get("/accounts/111111111111")
    assert re.findall(r'/repositories/[^"]+">(\w+)<', page.text)[:2] == ["open", "closed"]


def test_an_account_shows_its_changes(
    client: TestClient, published: Callable[..., None], small_lake: SmallLake
) -> None:
    small_lake.night(date(2026, 11, 1), repositories=[{}])
    published(date(2026, 11, 2), repositories=[{"image_tag_mutability": "IMMUTABLE"}])
    assert "2026-11-02 app eu-west-1 Fixed Compliant" in text_of(client.get("/accounts/111111111111"))


def test_an_account_that_was_moved_shows_it_once(
    client: TestClient, published: Callable[..., None], small_lake: SmallLake
) -> None:
    """And not for each of its repositories; the repository's own page says it with what changed after it."""
    same = {"repository_name": "same"}
    small_lake.night(date(2026, 11, 1), accounts=[{"ou_path": "Root/Lab"}], repositories=[same, {}])
    published(date(2026, 11, 2), repositories=[same, {"image_tag_mutability": "IMMUTABLE"}])
    text = text_of(client.get("/accounts/111111111111"))
    assert "2026-11-02 app eu-west-1 Fixed Compliant Names, states and units" in text
    assert "2026-11-02 tonight shop active Root/ Prod 2026-11-01 2026-11-01 shop active Root/ Lab" in text
    assert "fixed 1 moved to another unit 2" in text_of(client.get("/"))
    arn = "arn:aws:ecr:eu-west-1:111111111111:repository/app"
    events = (
        "2026-11-02 Fixed Incompliant → Compliant Image tag mutability is IMMUTABLE: no tag can be overwritten."
        " 2026-11-02 Moved with its account The account was moved from Root/Lab to Root/Prod. 2026-11-01 Incompliant"
    )
    assert events in text_of(client.get(f"/repositories/{arn}"))
    moved = client.get("/api/v1/changes", params={"change": "moved"}).json()["items"]
    assert {(item["previous_ou_path"], item["ou_path"]) for item in moved} == {("Root/Lab", "Root/Prod")}


def test_the_history_of_a_unit_goes_on_when_it_is_renamed(
    client: TestClient, published: Callable[..., None], small_lake: SmallLake
) -> None:
    """By its path of tonight or its id; a path that it had before leads to nights of that time only."""
    ids = ["r-test", "ou-test-00000lab"]
    small_lake.night(date(2026, 11, 1), accounts=[{"ou_path": "Root/Lab", "unit_ids": ids}], repositories=[{}])
    published(date(2026, 11, 2), accounts=[{"ou_path": "Root/Research", "unit_ids": ids}], repositories=[{}])

    def nights(scope_id: str) -> list[str]:
        answer = client.get("/api/v1/compliance", params={"scope_type": "ou", "scope_id": scope_id})
        return [item["scope_id"] for item in answer.json()["items"]]

    assert nights("Root/Research") == nights(ids[1]) == ["Root/Research", "Root/Lab"]
    assert nights("Root/Lab") == ["Root/Lab"]


@pytest.mark.usefixtures("two_accounts")
@pytest.mark.parametrize("account_id", ["333333333333", "..%2f..", "'; DROP TABLE accounts; --", "%00", "x" * 10_000])
def test_an_account_that_is_not_there(client: TestClient, account_id: str) -> None:
    assert client.get(f"/accounts/{account_id}").status_code == 404


@pytest.mark.usefixtures("two_accounts")
def test_the_matrix_gives_each_outcome_a_letter_and_a_legend(client: TestClient) -> None:
    page = client.get("/coverage")
    assert '<abbr class="cell cell-bad" title="eu-west-1: Role cannot be assumed">R</abbr>' in page.text
    assert "50.0 % was read" in text_of(page)
    assert "dark 222222222222 Role cannot be assumed eu-west-1 AccessDenied not authorized" in text_of(page)


@pytest.mark.usefixtures("two_accounts")
@pytest.mark.parametrize(
    ("query", "accounts"),
    [
        ({"outcome": ""}, ["dark", "shop"]),
        ({"outcome": "ASSUME_ROLE_DENIED"}, ["dark"]),
        ({"outcome": "THROTTLED"}, []),
        ({"search": "root/prod"}, ["shop"]),
    ],
)
def test_the_matrix_is_filtered(client: TestClient, query: Any, accounts: list[str]) -> None:
    page = client.get("/coverage", params=query)
    matrix = page.text.partition('class="matrix"')[2].partition("</table>")[0]
    assert re.findall(r'/accounts/\d+">(\w+)<', matrix) == accounts


@pytest.mark.usefixtures("two_accounts")
@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/coverage", {"outcome": "x"}),
        ("/coverage", {"page": "0"}),
        ("/organization", {"page": "x"}),
        ("/organization", {"sort": "x"}),
        ("/organization", {"search": "x" * 201}),
    ],
)
def test_invalid_parameters_are_named(client: TestClient, path: str, query: dict[str, str]) -> None:
    page = client.get(path, params=query)
    assert page.status_code == 422
    assert next(iter(query)) in text_of(page)


def test_a_name_that_means_harm_is_text(client: TestClient, published: Callable[..., None]) -> None:
    accounts = {f"{number:012}": name for number, name in enumerate(HOSTILE, start=1)}
    published(
        accounts=[
            {"account_id": account_id, "account_name": name, "ou_path": f"Root/{name.replace('/', '')}"}
            for account_id, name in accounts.items()
        ],
        repositories=[{"account_id": account_id} for account_id in accounts],
        scan_targets=[
            {"account_id": account_id, "region": "us-east-1", "outcome": "FAILED", "error_message": name}
            for account_id, name in accounts.items()
        ],
    )
    for account_id, name in accounts.items():
        for path in ("/", "/organization", f"/accounts/{account_id}", "/coverage"):
            page = client.get(path)
            assert page.status_code == 200
            assert name in unescape(page.text), f"{path} {name:.20}"
            for tag in ("<script>alert", "<img src=x", "</script>alert"):
                assert tag not in page.text


@pytest.mark.usefixtures("two_accounts")
def test_a_parameter_that_means_harm_does_none(client: TestClient) -> None:
    pages = ("/", "/organization", "/accounts/111111111111", "/coverage")
    parameters = ("policy", "ou", "search", "sort", "page", "outcome")
    for path, parameter, value in product(pages, parameters, HOSTILE):
        page = client.get(path, params={parameter: value})
        assert page.status_code in (200, 404, 422), f"{path} {parameter} {value:.20}"
        for tag in ("<script>alert", "<img src=x"):
            assert tag not in page.text
