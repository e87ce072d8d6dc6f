"""The bar at the top of every page."""

from __future__ import annotations

from typing import NamedTuple

from ecr_audit.web.urls import Urls


class Entry(NamedTuple):
    """A link of the bar; `current` when the page that is shown belongs to it."""

    label: str
    address: str
    current: bool


def navigation(urls: Urls, path: str, with_tag_moves: bool = False) -> list[Entry]:
    """The bar, on the page at `path`; `with_tag_moves` where image tags are read."""
    entries = (
        ("Overview", urls.overview(), ()),
        ("Findings", urls.findings(), ("/findings", "/repositories", "/registries")),
        *((("Tag moves", urls.tag_moves(), ("/tag-moves",)),) if with_tag_moves else ()),
        ("Policies", urls.policies(), ("/policies",)),
        ("Frameworks", urls.frameworks(), ("/frameworks", "/sections")),
        ("Organization", urls.organization(), ("/organization", "/accounts")),
        ("Coverage", urls.coverage(), ("/coverage",)),
        ("Exports", urls.exports(), ("/exports",)),
        ("API", urls.api("/docs"), ("/api",)),
    )
    here = path.removeprefix(urls.root)
    return [
        Entry(label, address, here.startswith(below) if below else here in ("", "/"))
        for label, address, below in entries
    ]
