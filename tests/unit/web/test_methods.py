"""GET and HEAD of every route, and no other method; taken from the application, so that a new route is among them."""

from __future__ import annotations

import re
from collections.abc import Callable

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

OTHERS = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def test_every_route_answers_get_and_head_and_nothing_else(
    client: TestClient, pages: FastAPI, published: Callable[..., None]
) -> None:
    published(repositories=[{}])
    paths = [re.sub(r"\{[^}]+\}", "x", route.path) for route in pages.routes if isinstance(route, APIRoute)]
    assert len(paths) > 20
    for path in paths:
        whole, head = client.get(path), client.head(path)
        assert whole.status_code < 500
        assert (head.status_code, head.content) == (whole.status_code, b""), path
        assert head.headers["content-type"] == whole.headers["content-type"], path
        assert head.headers["content-security-policy"] == whole.headers["content-security-policy"], path
        for method in OTHERS:
            refused = client.request(method, path)
            assert refused.status_code == 405, f"{method} {path}"
            assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD"}, f"{method} {path}"


def test_the_document_of_the_api_names_get_alone(client: TestClient) -> None:
    """A program that is made from it has one function for each path."""
    document = client.get("/api/v1/openapi.json").json()
    assert {method for path in document["paths"].values() for method in path} == {"get"}
