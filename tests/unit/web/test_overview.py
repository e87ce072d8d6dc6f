"""The overview says how the organization stands tonight."""

from __future__ import annotations

from collections.abc import Callable

from fastapi.testclient import TestClient


def test_it_says_how_much_complies(client: TestClient, published: Callable[..., None]) -> None:
    published(
        repositories=[
            {"repository_name": "open"},
            {"repository_name": "closed", "image_tag_mutability": "IMMUTABLE"},
        ]
    )
    page = client.get("/")
    assert page.status_code == 200
    assert "50.0 %" in page.text
    assert "1 of 2 judged repositories comply" in " ".join(page.text.split())
