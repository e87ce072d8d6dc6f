"""Reading a page of the web as its reader does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import FastAPI
from fastapi.routing import APIRoute

from ecr_audit.web.urls import PREFIX


def text_of(page: Any) -> str:
    """The visible text of an answer, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


def text_at(client: Any, path: str) -> str:
    """The same of a page that must be there."""
    page = client.get(path)
    assert page.status_code == 200
    return text_of(page)


def crawl(client: Any, pages: FastAPI, most: int = 2) -> Iterator[Any]:
    """Every answer that can be reached by links from the overview on.

    Of one kind, a route with the same parameters in its query, the first `most`: sections are there by the hundred, and
    filters and sorts multiply without end.
    """
    waiting, seen, kinds = ["/"], {"/"}, Counter[tuple[str, ...]]()
    while waiting:
        answer = client.get(waiting.pop(0))
        yield answer
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        for link in re.findall(rf'href="{PREFIX}(/[^"#]*)', answer.text):
            target = unescape(link)
            if target not in seen and kinds[kind := _kind(pages, target)] < most:
                kinds[kind] += 1
                seen.add(target)
                waiting.append(target)


def _kind(pages: FastAPI, address: str) -> tuple[str, ...]:
    parts = urlsplit(address)
    routes = (route for route in pages.routes if isinstance(route, APIRoute))
    route = next((route.path for route in routes if route.path_regex.match(parts.path)), parts.path)
    return (route, *(name for name, _ in parse_qsl(parts.query, keep_blank_values=True)))
