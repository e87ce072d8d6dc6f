"""Headers of every response, also of errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient


@pytest.fixture
def all_pages(pages: FastAPI, once: Callable[..., None], published: Callable[..., None]) -> Iterator[None]:
    """A publication, and a page that breaks."""

    def audit() -> None:
        published(repositories=[{}])

    once(audit)

    @pages.get("/broken")
    def broken() -> None:
        raise RuntimeError("a secret of the program")

    yield
    pages.router.routes.pop()


@pytest.mark.usefixtures("all_pages")
@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/static/pages.css", 200), ("/x", 404), ("/?policy=x", 404), ("/broken", 500)]
)
def test_every_answer_has_them(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["frame-ancestors"] == "'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "secret" not in answer.text


@pytest.mark.usefixtures("all_pages")
def test_pages_are_kept_by_nobody_and_static_files_are(client: TestClient) -> None:
    assert client.get("/").headers["cache-control"] == "no-store"
    assert "immutable" in client.get("/static/pages.css").headers["cache-control"]


@pytest.mark.usefixtures("all_pages")
@pytest.mark.parametrize("path", ["/", "/organization", "/accounts/111111111111", "/coverage", "/x"])
def test_pages_have_nothing_that_the_policy_forbids(client: TestClient, path: str) -> None:
    text = client.get(path).text
    assert "<style" not in text
    assert " style=" not in text
    assert " onclick=" not in text
    assert "<script>" not in text
    assert 'src="http' not in text


@pytest.mark.parametrize("name", ["..%2fapp.py", "%2e%2e/app.py", "pages.css%00", "app.py"])
def test_static_files_are_those_and_no_others(client: TestClient, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404
