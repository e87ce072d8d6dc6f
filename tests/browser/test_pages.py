"""Every page, as a person meets it: readable in both themes, at a phone's width, and by keyboard alone.

With SCREENSHOTS=<folder> (docs/pages) each is also photographed, in each of its looks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from playwright.sync_api import Page, expect

from ecr_audit.publish.publication import Published
from ecr_audit.web.app import create_app
from ecr_audit.web.urls import PREFIX

from .conftest import Demo

pytestmark = pytest.mark.browser

# Its tags can be overwritten, and one of its releases was.
REPOSITORY = "arn:aws:ecr:us-east-1:210000000010:repository/identity/worker"

# An address with data for each route of a page.
PAGES = {
    "/": "/",
    "/findings": "/findings",
    "/repositories/{repository_arn:path}": f"/repositories/{REPOSITORY}?tag=2.4.1",
    "/registries/{account_id}/{region}": "/registries/210000000004/us-west-2",
    "/tag-moves": "/tag-moves",
    "/remediation": "/remediation",
    "/remediation/runs": "/remediation/runs",
    "/remediation/runs/{plan_id}": "/remediation/runs/{plan_id}",
    "/organization": "/organization",
    "/accounts/{account_id}": "/accounts/210000000022",
    "/coverage": "/coverage",
    "/evidence": "/evidence",
    "/exports": "/exports",
    "/policies": "/policies",
    "/policies/{path:path}": "/policies/ce/ca/aws/ecr/repository-image-tag-mutability",
    "/frameworks": "/frameworks",
    "/frameworks/{name}": "/frameworks/nist-sp-800-53-r5",
    "/frameworks/{name}/strict": "/frameworks/nist-sp-800-53-r5/strict",
    "/sections/{path:path}": "/sections/nist-sp-800-53-r5/cm/02",
    "/api/v1/docs": "/api/v1/docs",
}

# axe-core's rules: in the light theme all of WCAG A and AA; in the dark one those that a change of colours can break.
RULES = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "dark": ["color-contrast", "link-in-text-block"],
}

# The stops of the Tab key, in order.
TABBABLE = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
    .filter(each => each.type !== "hidden" && !each.disabled && each.checkVisibility())
    .map(each => each.outerHTML.slice(0, 120))"""
FOCUSED = """() => {
    const style = getComputedStyle(document.activeElement);
    const visible = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
    return [document.activeElement.outerHTML.slice(0, 120), visible];
}"""


def test_no_page_is_forgotten() -> None:
    def nothing() -> Published:
        raise FileNotFoundError

    routes = [route for route in create_app(nothing, login=[]).routes if isinstance(route, APIRoute)]
    assert {route.path for route in routes if route.response_class is HTMLResponse} == set(PAGES)


@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES.keys())
def test_it_can_be_read_in_both_themes_on_a_phone_and_by_keyboard(
    open_browser: Callable[..., Page], demo: Demo, address: str
) -> None:
    """One window for all of it: to draw a page takes longer than to look at it."""
    address = address.format(plan_id=demo.plan_id)
    page = open_browser()
    _open(page, address)
    _assert_passes_wcag_aa(page, "light")
    _photograph(page, address, "light")
    _assert_the_tab_key_reaches_everything(page)

    page.evaluate("localStorage.setItem('theme', 'dark')")
    _open(page, address)
    _assert_passes_wcag_aa(page, "dark")
    _photograph(page, address, "dark")

    page.evaluate("localStorage.setItem('theme', 'light')")
    page.set_viewport_size({"width": 360, "height": 900})
    _open(page, address)
    assert page.evaluate("document.scrollingElement.scrollWidth") == 360
    _photograph(page, address, "narrow")


def _assert_passes_wcag_aa(page: Page, theme: str) -> None:
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    results = Axe().run(page, options={"runOnly": RULES[theme], "resultTypes": ["violations"]})
    assert results.violations_count == 0, results.generate_report()


def _assert_the_tab_key_reaches_everything(page: Page) -> None:
    """In order, and it shows where it is."""
    expected = page.evaluate(TABBABLE)[:50]
    stops = []
    for _ in expected:
        page.keyboard.press("Tab")
        stops.append(page.evaluate(FOCUSED))
    assert [stop for stop, _ in stops] == expected
    assert [stop for stop, visible in stops if not visible] == []


def _open(page: Page, address: str) -> None:
    answer = page.goto(PREFIX + address)
    assert answer is not None
    assert answer.status == 200
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def _photograph(page: Page, address: str, look: str) -> None:
    """A page as it looks: `findings.png`, `findings-dark.png`, and `findings-narrow.png` at a phone's width."""
    folder = os.environ.get("SCREENSHOTS")
    if not folder:
        return
    first, *rest = address.removeprefix("/").split("/")
    # findings, and of a thing among others, in the singular: policy, repository.
    name = re.sub(r"(ie)?s$", lambda end: "y" if end[1] else "", first) if rest else first or "overview"
    name = "strict" if rest[-1:] == ["strict"] else name
    if first == "remediation" and rest:
        name = "remediation-run" if rest[1:] else "remediation-runs"
    # The demo's night stays where it is: by the clock it is old, which a picture need not show.
    page.evaluate("document.querySelector('.stale')?.remove()")
    # The screen above the fold, and some way below it.
    height = min(page.evaluate("document.documentElement.scrollHeight"), 1500)
    path = Path(folder) / f"{name}{'' if look == 'light' else '-' + look}.png"
    width = page.viewport_size["width"] if page.viewport_size else 0
    page.screenshot(path=path, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
