"""The pages are in Airflow, behind its login."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_the_navigation_leads_to_the_pages(open_browser: Callable[..., Page]) -> None:
    page = open_browser()
    page.goto("/")
    page.get_by_role("link", name="ECR audit").click()
    inner = page.frame_locator("iframe")
    expect(inner.get_by_role("heading", level=1)).to_be_visible()
    # Other pages open in the same frame, below Airflow's own navigation.
    inner.get_by_role("link", name="Policies", exact=True).click()
    expect(inner.get_by_role("heading", name="Policies")).to_be_visible()
    expect(page.get_by_role("link", name="ECR audit")).to_be_visible()
