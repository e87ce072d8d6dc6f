"""The host names that a server answers to, and the pages' address without its last slash."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ecr_audit.web.front_door import LOOPBACK, FrontDoor, answered_hosts
from ecr_audit.web.urls import PREFIX


def airflow(root: str = "", hosts: frozenset[str] = frozenset()) -> TestClient:
    """A server that answers `below` to whatever is below the pages' address, and `ui` to the rest, as Airflow does."""
    pages, outer = FastAPI(), FastAPI(root_path=root)
    pages.get("/{path:path}")(lambda: "below")
    outer.mount(PREFIX, pages)
    outer.get("/{path:path}")(lambda: "ui")
    outer.add_middleware(FrontDoor, hosts=hosts)
    return TestClient(outer, follow_redirects=False)


@pytest.mark.parametrize("root", ["", "/airflow"])
@pytest.mark.parametrize("query", ["", "?policy=/ce/ca&policy=%2Fx"])
def test_the_address_without_its_slash_leads_to_the_pages(root: str, query: str) -> None:
    client = airflow(root)
    answer = client.get(f"{root}{PREFIX}{query}", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.headers["location"]) == (307, f"ecr-audit/{query}")
    assert client.get(f"{root}{PREFIX}{query}", follow_redirects=True).json() == "below"


def test_a_proxy_may_take_the_path_away() -> None:
    assert airflow("/airflow").get(PREFIX).headers["location"] == "ecr-audit/"


@pytest.mark.parametrize("path", [f"{PREFIX}s", f"/x{PREFIX}", "/dags"])
def test_other_addresses_are_airflows(path: str) -> None:
    assert airflow().get(path).json() == "ui"


def test_only_reading_requests_are_redirected() -> None:
    assert airflow().head(PREFIX).status_code == 307
    assert airflow().post(PREFIX).status_code == 405


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:8080", "[::1]:8080"])
def test_a_server_of_this_machine_answers_to_its_names(host: str) -> None:
    assert airflow(hosts=LOOPBACK).get("/", headers={"Host": host}).json() == "ui"


@pytest.mark.parametrize(
    "host", ["evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "x@y"]
)
@pytest.mark.parametrize("path", ["/", f"{PREFIX}/", PREFIX])
def test_a_server_of_this_machine_answers_to_no_other_name(host: str, path: str) -> None:
    answer = airflow(hosts=LOOPBACK).get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert "Valid: 127.0.0.1, ::1, localhost." in answer.text


@pytest.mark.parametrize("listens_on", ["127.0.0.1", "localhost", "::1", "[::1]"])
def test_a_server_of_this_machine_answers_only_to_its_names(listens_on: str) -> None:
    assert answered_hosts(listens_on, "") == LOOPBACK
    assert answered_hosts(listens_on, "https://Tools.example.com/airflow") == LOOPBACK | {"tools.example.com"}


@pytest.mark.parametrize("listens_on", ["0.0.0.0", "", "192.0.2.1", "::"])
def test_a_server_that_others_reach_answers_to_any_name(listens_on: str) -> None:
    assert answered_hosts(listens_on, "https://tools.example.com") == frozenset()
