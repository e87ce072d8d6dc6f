"""The dashboard in a real browser: choices and clicks on it, and what each of its charts then asks and shows."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, Request, TimeoutError

from support.processes import PATIENCE
from support.superset import CHARTS, DASHBOARD, Row

ADDRESS = "/superset/dashboard/ecr-audit/"

# Seconds in which a value of an open list can be clicked, mostly; otherwise the list is opened again.
_LIST_STAYS = 15

# A point of a chart's canvas within an area of one colour, below its legend: [x, y].
_POINT_OF_COLOUR = """(chart, [red, green, blue]) => {
    const canvas = chart.querySelector("canvas"), {width, height} = canvas, scale = width / canvas.clientWidth;
    const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    const has = (x, y) => [red, green, blue].every((part, i) => Math.abs(pixels[4 * (y * width + x) + i] - part) < 3);
    for (let y = Math.floor(height * 0.15); y < height - 6; y++)
        for (let x = 6; x < width - 6; x++)
            if (has(x, y) && has(x + 4, y) && has(x - 4, y) && has(x, y + 4)) return [x / scale, (y + 2) / scale];
    return null;
}"""

# A point on a line of a chart, 2 pixels thick, whatever its colour is.
_POINT_OF_LINE = """chart => {
    const canvas = chart.querySelector("canvas"), {width, height} = canvas, scale = width / canvas.clientWidth;
    const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    const colour = (x, y) => pixels.slice(4 * (y * width + x), 4 * (y * width + x) + 3);
    const bright = ([red, green, blue]) => Math.max(red, green, blue) - Math.min(red, green, blue) > 60;
    for (let x = Math.floor(width * 0.3); x < width * 0.6; x++)
        for (let y = Math.floor(height * 0.1); y < height * 0.85; y++)
            if (bright(colour(x, y)) && bright(colour(x, y + 1)) && bright(colour(x + 8, y)))
                return [x / scale, y / scale];
    return null;
}"""

# Whatever of a chart shows that it has nothing to show, or could not.
_FAULT = """chart => {
    const fault = chart.querySelector(".ant-empty, [role=alert], [data-test=error-alert]");
    const text = chart.querySelector(".slice_container, .chart-container").innerText;
    return fault ? fault.innerText : /No results|error/i.test(text) ? text : null;
}"""

# The elements of a chart that are wider than what is shown of them.
_CUT_OFF = """chart => [...chart.querySelectorAll(".slice_container, .slice_container *")]
    .filter(each => getComputedStyle(each).overflowX !== "visible" && each.clientWidth > 1)
    .filter(each => each.scrollWidth > each.clientWidth + 1 && !each.closest(".ant-select, svg"))
    .map(each => `${each.tagName} ${each.className}: ${each.scrollWidth} > ${each.clientWidth}`)"""


class Dashboard:
    """One window with the dashboard. Whatever is done to it returns when all charts concerned have been answered."""

    def __init__(self, page: Page, client: httpx.Client) -> None:
        self.page = page
        # Whether nothing is chosen but the defaults.
        self.is_at_rest = False
        charts = client.get("/api/v1/chart/?q=(page_size:100)").raise_for_status().json()["result"]
        stems = {chart["uuid"]: stem for stem, chart in CHARTS.items()}
        self._names = {chart["id"]: stems[chart["uuid"]] for chart in charts if chart["uuid"] in stems}
        self._open_requests: set[Request] = set()
        self._asked: dict[str, Request] = {}
        page.on("request", self._begin)
        page.on("requestfinished", self._end)
        page.on("requestfailed", self._end)

    def _end(self, request: Request) -> None:
        self._open_requests.discard(request)

    def _begin(self, request: Request) -> None:
        if "/api/v1/chart/data" in request.url:
            self._open_requests.add(request)
            chart_id = json.loads(request.post_data or "{}").get("form_data", {}).get("slice_id")
            if chart_id in self._names:
                self._asked[self._names[chart_id]] = request

    def open(self) -> None:
        """Open the dashboard as it is when nobody has chosen anything yet."""
        self.act(lambda: self.page.goto(ADDRESS), CHARTS)

    def _wait_for(self, charts: Iterable[str]) -> set[str]:
        """Wait until each of some charts has been asked for since, and all that were are drawn; returns those."""
        deadline = time.monotonic() + PATIENCE
        loading = self.page.locator("[data-test=loading-indicator], .loading")
        while not set(charts) <= self._asked.keys() or self._open_requests or loading.count():
            assert time.monotonic() < deadline, f"not asked again: {sorted(set(charts) - self._asked.keys())}"
            self.page.wait_for_timeout(250)
        return set(self._asked)

    def act(self, action: Any, charts: Iterable[str]) -> set[str]:
        """Do something that charts have to be asked again for; returns those that were."""
        self._asked.clear()
        action()
        return self._wait_for(charts)

    def rows(self, name: str) -> list[Row]:
        """The last answer of Superset to a chart."""
        answer = self._asked[name].response()
        assert answer is not None and answer.status == 200, name
        [result] = answer.json()["result"]
        assert (result["error"], result["rejected_filters"]) == (None, []), f"{name}: {result['rejected_filters']}"
        return list(result["data"])

    def filters_of(self, name: str) -> dict[str, Any]:
        """The filters that a chart was last asked with: column to values."""
        [query] = json.loads(self._asked[name].post_data or "")["queries"]
        return {each["col"]: each["val"] for each in query["filters"] if "val" in each}

    def chart(self, name: str) -> Locator:
        """The box of a chart."""
        return self.page.locator(f'[data-test-chart-name="{CHARTS[name]["slice_name"]}"]')

    def faults(self) -> dict[str, str]:
        """The charts that show an error, or that there is nothing to show, and its text."""
        found = {name: self.chart(name).evaluate(_FAULT) for name in CHARTS}
        return {name: fault for name, fault in found.items() if fault}

    def cut_off(self) -> dict[str, list[str]]:
        """The charts of which not the whole width is seen."""
        found = {name: self.chart(name).evaluate(_CUT_OFF) for name in CHARTS}
        return {name: parts for name, parts in found.items() if parts}

    def choose(self, filter_id: str, value: str) -> None:
        """Choose a value of a filter at the top, and apply it."""
        box = self.page.get_by_role("combobox", name=filter_id, exact=True)

        def search() -> None:
            # The list has what is in sight only: typing narrows it. A comma or semicolon would end what is typed.
            box.fill("")
            box.fill(re.split("[,;]", value)[0])

        self._pick(search, value)
        self.apply()

    def _pick(self, open_list: Callable[[], None], value: str) -> None:
        """Pick a value of a list, which is opened again where an answer that came late closed it."""
        option = self.page.locator(".ant-select-dropdown:visible").get_by_title(value, exact=True).last
        deadline = time.monotonic() + PATIENCE
        while True:
            open_list()
            try:
                return option.click(timeout=_LIST_STAYS * 1000)
            except TimeoutError:
                assert time.monotonic() < deadline, f"{value!r} cannot be picked"

    def choose_nights(self, since: str, until: str) -> None:
        """Choose nights, as dates, and apply them."""
        self.page.locator("[data-test=filter-bar]").get_by_text("No filter", exact=True).last.click()
        popover = self.page.locator(".ant-popover:visible")
        self._pick(popover.locator(".ant-select").first.click, "Advanced")
        popover.locator("input.ant-input").nth(0).fill(since)
        popover.locator("input.ant-input").nth(1).fill(until)
        self.page.locator("[data-test='date-filter-control__apply-button']:enabled").click()
        self.apply()

    def apply(self) -> None:
        """Apply what has been chosen."""
        self.page.locator("[data-test='filter-bar__apply-button']").click()

    def clear_all(self) -> None:
        """Take back all that was chosen at the top."""
        self.page.locator("[data-test='filter-bar__clear-button']").click()

    def cells(self, name: str) -> Locator:
        """The cells of the first row of a table."""
        return self.chart(name).locator("tbody tr").first.locator("td")

    def click_bar(self, name: str, series: str) -> None:
        """Click a bar of a chart, of a series that the dashboard gives a colour."""
        colour = DASHBOARD["metadata"]["label_colors"][series]
        self._click_at(name, _POINT_OF_COLOUR, [int(colour[at : at + 2], 16) for at in (1, 3, 5)])

    def click_line(self, name: str) -> None:
        """Click some line of a chart."""
        self._click_at(name, _POINT_OF_LINE)

    def _click_at(self, name: str, script: str, argument: Any = None) -> None:
        """Click the point that a script finds, once the chart has stopped moving."""
        chart = self.chart(name)
        chart.scroll_into_view_if_needed()
        deadline, point = time.monotonic() + PATIENCE, None
        while point is None or point != (point := chart.evaluate(script, argument)):
            assert time.monotonic() < deadline, name
            point = chart.evaluate(script, argument)
            self.page.wait_for_timeout(200)
        chart.locator("canvas").first.click(position={"x": point[0], "y": point[1]})
