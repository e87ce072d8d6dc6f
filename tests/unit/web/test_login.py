"""No route without a login: the list is taken from the application, so that a new one cannot be forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.web.app import create_app
from ecr_audit.web.urls import PREFIX


def refuse() -> None:
    raise HTTPException(401)


@pytest.fixture
def closed(folder: Path) -> Iterator[FastAPI]:
    """The application, to somebody who is not logged in."""
    app = create_app(PublicationStore(folder).newest, login=[Depends(refuse)])
    yield app
    app.state.published.close()


def test_every_route_is_one_that_the_login_holds_for(closed: FastAPI) -> None:
    """Dependencies hold for the routes of FastAPI only: a mounted folder or application would be open."""
    assert len(closed.routes) > 5
    assert [route for route in closed.routes if not isinstance(route, APIRoute)] == []


def test_without_a_login_every_route_is_refused(closed: FastAPI) -> None:
    client = TestClient(closed)
    for route in closed.routes:
        assert isinstance(route, APIRoute)
        path = re.sub(r"\{[^}]+\}", "x", route.path)
        for method in route.methods:
            answer = client.request(method, path)
            assert answer.status_code == 401, f"{method} {path}"


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc", "/static/", "/static/../app.py", "/x"])
def test_public_pages_of_other_applications_are_not_there(closed: FastAPI, path: str) -> None:
    assert TestClient(closed).get(path).status_code in (401, 404)


def test_a_page_without_a_login_links_to_it_and_back(closed: FastAPI) -> None:
    outer = FastAPI()
    outer.mount(PREFIX, closed)
    refused = TestClient(outer).get(f"{PREFIX}/findings?region=eu-west-1&age=7")
    assert refused.status_code == 401
    back = quote(f"{PREFIX}/findings?region=eu-west-1&age=7", safe="")
    assert f'<a href="/api/v2/auth/login?next={back}">Log in</a>' in refused.text
