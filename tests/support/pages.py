"""Reading a page of the web as its reader does."""

from __future__ import annotations

import re
from html import unescape
from typing import Any


def text_of(page: Any) -> str:
    """The visible text of an answer, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


def text_at(client: Any, path: str) -> str:
    """The same of a page that must be there."""
    page = client.get(path)
    assert page.status_code == 200
    return text_of(page)
