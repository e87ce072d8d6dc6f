"""Texts that mean harm, in every parameter of every route and in the data: shown as text, or refused, and no more.

Routes and parameters are taken from the application, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from fastapi import FastAPI
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from ecr_audit.web.urls import PREFIX
from support.pages import crawl
from support.policies import MUTABILITY
from support.remediation import record_rows
from support.small_lake import SmallLake

pytestmark = pytest.mark.slow

# Of one text each, shown as it is: together they cost as much as one.
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}{% raise %}${7*7}"
HARM = {
    "markup": MARKUP,
    "sql": "' OR 1=1; DROP TABLE findings; --",
    "formula": "=cmd|'/c calc'!A1",
    "path": "../../../../etc/passwd",
    "nul": "\0",
    "nul twice encoded": "%00",
    "header": "x\r\nSet-Cookie: a=b",
    "link": "javascript:alert(1)",
    "right to left": "\u202egnp.exe",
    "half a surrogate": "%ED%A0%80",
    "long": "x" * 10_000,
}

# Where a route has no answer but for a thing that there is, one that there is.
THERE = {
    "/accounts/{account_id}": "/accounts/111111111111",
    "/repositories/{repository_arn:path}": "/repositories/arn:aws:ecr:eu-west-1:111111111111:repository/app",
    "/registries/{account_id}/{region}": "/registries/111111111111/eu-west-1",
    "/frameworks/{name}/strict": "/frameworks/nist-sp-800-53-r5/strict",
    "/policies/{path:path}": "/policies/ce/ca/aws/ecr/repository-image-tag-mutability",
    "/frameworks/{name}": "/frameworks/nist-sp-800-53-r5",
    "/sections/{path:path}": "/sections/nist-sp-800-53-r5/cm/02",
}


ARN = "arn:aws:ecr:eu-west-1:111111111111:repository/"


class Markup(HTMLParser):
    """Parts of a page that could act: its tags, attributes and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str | None] = []
        self.handlers: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each tag, with what its attributes mean once decoded."""
        given = dict(attrs)
        if tag == "script":
            self.scripts.append(given.get("src"))
        self.handlers += [name for name in given if name.startswith("on") or name == "style"]
        self.addresses += [
            value or "" for name, value in attrs if name in ("href", "src", "action", "formaction", "srcset")
        ]


def assert_inert(answer: Any) -> None:
    """No text in an answer acts as markup or code."""
    assert answer.status_code < 500, answer.text[:500]
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    if not answer.headers["content-type"].startswith("text/html"):
        return
    page = Markup(answer.text)
    assert {urlsplit(script or "").path for script in page.scripts} == {
        f"{PREFIX}/static/theme.js",
        f"{PREFIX}/static/pages.js",
    }
    assert page.handlers == []
    # Ours, Airflow's own, or AWS's console: no other address, and no other scheme.
    foreign = [
        address
        for address in page.addresses
        if not address.startswith((f"{PREFIX}/", "/dags/", "#")) and not _is_of_aws(address)
    ]
    assert foreign == []


def _is_of_aws(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "https" and (parts.hostname or "").endswith((".amazon.com", ".amazonaws.cn"))


def test_parameters(client: TestClient, pages: FastAPI, published: Callable[..., None]) -> None:
    published(repositories=[{}])
    routes = [route for route in pages.routes if isinstance(route, APIRoute)]
    parameters = [(route.path, each.alias) for route in routes for each in get_flat_params(route.dependant)]
    assert len(parameters) > 40
    for path, name in parameters:
        for kind, harm in HARM.items():
            # Twice in one address: for one text, since it is the parameter that takes one value or several.
            for answer in _answers(client, path, name, harm, twice=kind == "markup"):
                try:
                    assert_inert(answer)
                except AssertionError as fault:
                    raise AssertionError(f"{path}, {name}: {kind}") from fault


def _answers(client: TestClient, path: str, name: str, harm: str, twice: bool) -> Iterator[Any]:
    in_path = re.compile(rf"{{{name}[^}}]*}}")
    if in_path.search(path):
        for safe in ("", "/"):
            address = in_path.sub(quote(harm, safe=safe).replace("\\", r"\\"), path)
            answer = client.get(re.sub(r"{[^}]+}", "x", address))
            # Neither `..`, which a client itself follows, nor a line break, which no mount matches, gets this far.
            if answer.url.path.startswith(f"{PREFIX}/") and "\n" not in harm:
                yield answer
    else:
        yield client.get(THERE.get(path, path), params={name: [harm, harm] if twice else harm})


def test_data(client: TestClient, pages: FastAPI, published: Callable[..., None], small_lake: SmallLake) -> None:
    """Pages of every kind show every name as text, and links lead to a page: those that `crawl` follows."""
    harm = "".join(HARM[kind] for kind in ("markup", "formula", "link", "right to left"))
    accounts = [{"account_name": harm, "ou_path": f"Root/{harm}"}]
    repository = {"repository_name": harm, "tags": [("owner", harm)], "image_tag_mutability": harm}
    for day in (date(2026, 10, 31), date(2026, 11, 1)):
        small_lake.scan(day, accounts=accounts, repositories=[repository])
        small_lake.read_tags(day, [repository | {"tags": {harm: f"{harm}{day}", "1.0.0": f"{day}"}}])
    planned = {"policy_id": MUTABILITY, "account_id": "111111111111", "region": "eu-west-1", "current_setting": harm}
    names = {"repository_name": harm, "repository_arn": f"{ARN}{harm} (gone)", "proposed_filters": [harm]}
    record_rows(small_lake.lake, [planned | names], datetime(2026, 11, 1, 9, tzinfo=UTC), harm, {})
    published(
        accounts=accounts,
        repositories=[repository | {"lifecycle_policy": harm, "repository_policy": f'["{harm}"]'}, {}],
        registries=[
            {
                "creation_templates": [{"prefix": harm, "applied_for": [harm], "image_tag_mutability": harm}],
                "pull_through_rules": [{"prefix": harm, "upstream_registry_url": harm}],
            }
        ],
        scan_targets=[
            {"account_id": "111111111111", "region": "us-east-1", "outcome": "FAILED", "error_message": harm}
        ],
    )
    shown = seen = 0
    for answer in crawl(client, pages):
        assert answer.status_code == 200, answer.url
        assert_inert(answer)
        seen += 1
        if answer.headers["content-type"].startswith("text/html"):
            shown += harm in unescape(re.sub("<wbr>", "", answer.text))
    assert seen > 100
    assert shown > 10
