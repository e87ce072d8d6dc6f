"""The next night, published while the pages are being looked at."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from demo.story import NIGHTS
from ecr_audit.web.urls import PREFIX

from .conftest import Demo

pytestmark = pytest.mark.browser


def test_it_shows_without_a_restart_and_no_page_is_torn(open_browser: Callable[..., Page], demo: Demo) -> None:
    page = open_browser()
    page.goto(f"{PREFIX}/")
    before = page.locator("header time").inner_text()
    nights: list[str] = []
    publisher = threading.Thread(target=lambda: nights.append(demo.audit(NIGHTS - 2, NIGHTS - 1).isoformat()))
    publisher.start()
    answers: Counter[tuple[int, bool]] = Counter()
    while publisher.is_alive():
        answer = page.request.get(f"{PREFIX}/coverage")
        answers[answer.status, answer.text().rstrip().endswith("</html>")] += 1
        # The server has work of its own, and publishing shares its cores.
        publisher.join(0.1)
    publisher.join()
    assert set(answers) == {(200, True)}
    [tonight] = nights
    assert tonight > before
    page.wait_for_function(
        """async night => {
            const answer = await fetch(location.href);
            return (await answer.text()).includes(`<time datetime="${night}">`);
        }""",
        arg=tonight,
        polling=100,
    )
    page.reload()
    assert page.locator("header time").inner_text() == tonight
