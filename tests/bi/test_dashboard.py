"""The dashboard, clicked through in Chromium: each chart shows the figures of the published file for the choice.

Where nothing is chosen, that is the deciding policy and the whole organization, with each thing counted once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize, sync_playwright

from support.chromium import FLAGS, find_chromium
from support.processes import PATIENCE
from support.superset import (
    CHARTS,
    DATASETS,
    HOSTILE_UNIT,
    LONG_UNIT,
    STRICT_POLICY,
    View,
    comparable,
    cross_filter_scope,
    expected_rows,
    native_filters,
    scope_of,
)
from support.superset_dashboard import ADDRESS as DASHBOARD_ADDRESS
from support.superset_dashboard import Dashboard

from .conftest import Superset

pytestmark = [pytest.mark.superset]

# The window of a laptop in its width; as high as the dashboard, whose charts are asked for when they come into sight.
WINDOW: ViewportSize = {"width": 1440, "height": 5500}

# Charts move into place: 60 times a second, twenty of them would take most of the time that this file takes.
TEN_FRAMES_A_SECOND = """
    window.requestAnimationFrame = draw => setTimeout(() => draw(performance.now()), 100);
    window.cancelAnimationFrame = clearTimeout;
"""

UNITS = "Units_the_worst_first"
UNITS_OVER_TIME = "Compliance_over_time_of_the_twelve_worst_units"
ACCOUNTS = "Accounts_with_the_most_to_fix"
COVERAGE = "Coverage_by_account_the_least_seen_first"
FINDINGS = "Oldest_open_findings_waived_ones_last"
AGES = "Age_of_open_findings_in_weeks"
CHANGES = "New_and_fixed_week_by_week"

# How a table is sorted: the most urgent first.
ORDERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    UNITS: lambda row: _none_last(row["newest_compliance_with_waivers"]),
    ACCOUNTS: lambda row: -row["to_fix"],
    COVERAGE: lambda row: _none_last(row["coverage"]),
    FINDINGS: lambda row: (row["waived"] == "yes", -row["age"]),
}


def _none_last(percent: float | None) -> tuple[bool, float]:
    return percent is None, percent or 0.0


@pytest.fixture(scope="module")
def window(superset: Superset) -> Iterator[Dashboard]:
    """A Chromium that has logged in, for all tests of this file."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        page = browser.new_page(base_url=superset.address, viewport=WINDOW)
        page.set_default_timeout(PATIENCE * 1000)
        page.add_init_script(TEN_FRAMES_A_SECOND)
        _log_in(page, superset.password)
        yield Dashboard(page, superset.client)
        browser.close()


def _log_in(page: Page, password: str) -> None:
    """By the form, and on to a page that costs nothing to draw."""
    # Superset sometimes forgets a login that its event log was busy with, and asks again.
    while "/login/" in page.request.get(DASHBOARD_ADDRESS).url:
        page.goto("/login/?next=/health")
        page.locator("input#username").fill("admin")
        page.locator("input#password").fill(password)
        with page.expect_navigation():
            page.keyboard.press("Enter")


@pytest.fixture
def dashboard(window: Dashboard) -> Dashboard:
    """The dashboard with nothing chosen; a test that has reset its choices marks it, and saves an opening.

    To open it takes longer than most tests. After a click, the filters at the top cannot be found again: tests that
    begin with these come first, or follow an opening.
    """
    if not window.is_at_rest:
        window.open()
    window.is_at_rest = False
    return window


@pytest.fixture
def shows(dashboard: Dashboard, published: Path) -> Callable[[View, Iterable[str]], None]:
    """Asserts that charts show the figures of the published file, and that no chart is empty or faulty."""

    def shows(view: View, charts: Iterable[str]) -> None:
        for name in charts:
            expected = expected_rows(published, name, view)
            assert comparable(name, dashboard.rows(name)) == comparable(name, expected), f"{name} for {view}"
        assert dashboard.faults() == {}

    return shows


def scope_of_filter(name: str) -> set[str]:
    return scope_of(native_filters()[name]["scope"]["excluded"])


def test_each_chart_shows_the_published_figures(dashboard: Dashboard, shows: Callable[..., None]) -> None:
    shows(View(), CHARTS)
    assert len(dashboard.rows(UNITS)) > 50
    for name, order in ORDERS.items():
        keys = [order(row) for row in dashboard.rows(name)]
        assert keys == sorted(keys), name
    assert dashboard.cut_off() == {}
    dashboard.is_at_rest = True


def test_nights_and_waived_filter_their_charts(dashboard: Dashboard, shows: Callable[..., None]) -> None:
    scope = nights = scope_of_filter("Nights")
    assert dashboard.act(lambda: dashboard.choose_nights("2026-10-01", "2026-11-20"), scope) == scope
    shows(View(since="2026-10-01", until="2026-11-20"), scope)
    scope = scope_of_filter("Waived")
    for waived in ("yes", "no"):
        assert dashboard.act(partial(dashboard.choose, "NATIVE_FILTER-waived", waived), scope) == scope
        shows(View(waived=waived), scope)
    dashboard.act(dashboard.clear_all, nights | scope)
    dashboard.is_at_rest = True


def test_filters_and_a_click_go_together(dashboard: Dashboard, shows: Callable[..., None]) -> None:
    """A unit is one with all below it, for each policy; a click on one of these narrows it further."""
    scope = scope_of_filter("Unit")
    view = View(within="Root/Workloads")
    assert dashboard.act(lambda: dashboard.choose("NATIVE_FILTER-unit", "Root/Workloads"), scope) == scope
    shows(view, scope)

    scope = scope_of_filter("Policy")
    view = replace(view, policy=STRICT_POLICY)
    assert dashboard.act(lambda: dashboard.choose("NATIVE_FILTER-policy", STRICT_POLICY), scope) == scope
    shows(view, scope)

    scope = cross_filter_scope(UNITS)
    view = replace(view, unit="Root/Workloads/Production")
    below = dashboard.chart(UNITS).get_by_text("Root/Workloads/Production", exact=True)
    assert dashboard.act(below.click, scope) == scope
    shows(view, scope)
    dashboard.act(below.click, scope)

    # Superset then shows the default of a filter without applying it.
    scope = scope_of_filter("Unit") | scope_of_filter("Policy")
    assert dashboard.act(dashboard.clear_all, scope) == scope
    shows(View(), scope)
    dashboard.is_at_rest = True


# A click on a unit of UNITS is in the test of figures.
@pytest.mark.parametrize(("table", "columns"), [(ACCOUNTS, ("account", "unit")), (FINDINGS, ("owner", "repository"))])
def test_a_click_on_a_name_filters_other_charts_in_place_of_the_one_before(
    dashboard: Dashboard, shows: Callable[..., None], table: str, columns: tuple[str, ...]
) -> None:
    params = CHARTS[table]["params"]
    shown = [name.removesuffix("_name") for name in (*params["groupby"], *params["metrics"])]
    scope = cross_filter_scope(table)
    for column in columns:
        cell = dashboard.cells(table).nth(shown.index(column))
        view = View(**{column: cell.inner_text()})
        assert dashboard.act(cell.click, scope) == scope
        shows(view, scope)
    dashboard.act(cell.click, scope)
    dashboard.is_at_rest = True


def test_a_click_on_a_figure_filters_nothing(dashboard: Dashboard, shows: Callable[..., None]) -> None:
    """A figure, such as a percentage, is that of many rows by chance: no other chart can be about it."""
    for table, chart in CHARTS.items():
        if chart["viz_type"] == "table":
            metrics = {each["metric_name"]: each for each in DATASETS[chart["dataset_uuid"]]["metrics"]}
            for position, name in enumerate((*chart["params"]["groupby"], *chart["params"]["metrics"])):
                if not cross_filter_scope(table) or "d3format" in metrics.get(name, ()):
                    dashboard.cells(table).nth(position).click()
    dashboard.click_bar(CHANGES, "fixed")
    # With this click, their choice would be asked for.
    name = dashboard.cells(UNITS).first
    scope, unit = cross_filter_scope(UNITS), name.inner_text()
    assert dashboard.act(name.click, scope) == scope
    shows(View(unit=unit), scope)
    dashboard.act(name.click, scope)
    dashboard.is_at_rest = True


def test_a_click_on_a_bar_chooses_its_kind(dashboard: Dashboard, shows: Callable[..., None]) -> None:
    scope = cross_filter_scope(AGES)
    assert dashboard.act(lambda: dashboard.click_bar(AGES, "is waived"), scope) == scope
    shows(View(age_is="is waived"), scope)
    dashboard.act(lambda: dashboard.click_bar(AGES, "is waived"), scope)
    dashboard.is_at_rest = True


def test_a_click_on_a_line_chooses_its_unit(dashboard: Dashboard, shows: Callable[..., None]) -> None:
    scope = cross_filter_scope(UNITS_OVER_TIME)
    assert dashboard.act(lambda: dashboard.click_line(UNITS_OVER_TIME), scope) == scope
    [unit] = dashboard.filters_of(UNITS)["unit"]
    shows(View(unit=unit), scope)


def test_any_name_of_a_unit_can_be_chosen(dashboard: Dashboard, shows: Callable[..., None]) -> None:
    """One of what SQL, HTML and templates could take for their own, and one below it, as long as names can be."""
    scope = scope_of_filter("Unit")
    assert dashboard.act(lambda: dashboard.choose("NATIVE_FILTER-unit", HOSTILE_UNIT), scope) == scope
    shows(View(within=HOSTILE_UNIT), scope)
    assert dashboard.cut_off() == {}
    scope = cross_filter_scope(UNITS)
    row = dashboard.chart(UNITS).locator("td").get_by_text(LONG_UNIT, exact=True)
    assert dashboard.act(row.click, scope) == scope
    shows(View(within=HOSTILE_UNIT, unit=LONG_UNIT), scope)
