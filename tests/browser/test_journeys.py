"""Journeys through the pages: find them in Airflow, filter findings, download them."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import openpyxl
import pytest
from playwright.sync_api import Page, expect

from ecr_audit.web.urls import PREFIX
from support.processes import PATIENCE

from .conftest import PASSWORDS, VIEWER

pytestmark = pytest.mark.browser

DOCUMENT = Path(__file__).parents[2] / "docs" / "pages.md"


def test_the_navigation_leads_to_the_pages_whose_theme_follows_that_of_airflow(
    open_browser: Callable[..., Page],
) -> None:
    page = open_browser()
    page.goto("/")
    page.get_by_role("link", name="ECR audit").click()
    inner = page.frame_locator("iframe")
    expect(inner.get_by_role("heading", level=1)).to_be_visible()
    expect(inner.locator("html")).to_have_attribute("data-theme", "light")
    page.evaluate("""() => {
        localStorage.setItem("theme", "dark");
        dispatchEvent(new StorageEvent("storage", {key: "theme", newValue: "dark", storageArea: localStorage}));
    }""")
    expect(inner.locator("html")).to_have_attribute("data-theme", "dark")
    # Other pages open in the same frame, below Airflow's own navigation.
    # Its group opens with it.
    inner.get_by_role("navigation", name="Pages").get_by_role("link", name="Policies", exact=True).click()
    expect(inner.get_by_role("heading", level=1, name="Policies", exact=True)).to_be_visible()
    expect(inner.get_by_role("navigation", name="Policies").get_by_role("link", name="Frameworks")).to_be_visible()
    expect(page.get_by_role("link", name="ECR audit")).to_be_visible()


def test_the_page_of_the_dag_leads_to_the_pages(open_browser: Callable[..., Page]) -> None:
    page = open_browser()
    page.goto("/dags/ecr_compliance")
    page.locator("a[href*='plugin/ecr-audit-of-dag']").click()
    expect(page.frame_locator("iframe").get_by_role("heading", level=1)).to_be_visible()


# Clicks each link of a page within a frame, goes nowhere, and returns the addresses: those that the frame itself would
# have followed, and those that were followed in the page around it.
CLICK_ALL = """() => {
    const inFrame = [], inOuter = [];
    const Anchor = window.parent.HTMLAnchorElement.prototype;
    Anchor.click = function () { inOuter.push(this.href); };
    const stop = event => {
        if (!event.defaultPrevented) inFrame.push(event.target.href);
        event.preventDefault();
    };
    addEventListener("click", stop);
    document.querySelectorAll("a[href]").forEach(
        each => each.dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true})));
    removeEventListener("click", stop);
    return [inFrame, inOuter];
}"""


def test_every_link_out_of_the_pages_leads_the_page_around_the_frame(open_browser: Callable[..., Page]) -> None:
    """Crawls the pages, at most a few of a kind, such as repositories, in a frame of Airflow's own page."""
    page = open_browser()
    page.goto("/plugin/ecr-audit")
    expect(page.frame_locator("iframe").get_by_role("heading", level=1)).to_be_visible()
    [frame] = page.frames[1:]
    root = frame.url
    kinds: Counter[tuple[str, int]] = Counter()
    left, outside = [root], set[str]()
    while left:
        address = left.pop()
        first, *rest = urlsplit(address).path.removeprefix(PREFIX).strip("/").split("/")
        kinds[first, len(rest)] += 1
        is_download = (
            urlsplit(address).path.endswith((".csv", ".xlsx"))
            or (first == "exports" and rest)
            or rest[-1:] == ["openapi.json"]
        )
        if is_download or kinds[first, len(rest)] > 3:
            continue
        frame.goto(address)
        in_frame, in_outer = frame.evaluate(CLICK_ALL)
        assert [link for link in in_frame if not link.startswith(root)] == [], address
        assert [link for link in in_outer if link.startswith(root)] == [], address
        outside.update(urlsplit(link).path.split("/")[1] for link in in_outer)
        left += {link.partition("#")[0] for link in in_frame} - {address}
    assert len(kinds) > 12
    # To DAGs and their runs, and to a repository in AWS.
    assert outside >= {"dags", "ecr"}


def test_without_a_login_the_pages_show_how_to_log_in(open_browser: Callable[..., Page]) -> None:
    page = open_browser(user=None)
    answer = page.goto(f"{PREFIX}/findings")
    assert answer is not None
    assert answer.status == 401
    expect(page.get_by_role("heading", level=1)).to_have_text("You are not logged in")


@pytest.mark.parametrize("path", ["/", "/auth/login", "/api/v2/version", f"{PREFIX}/"])
def test_a_server_of_this_machine_answers_no_other_name(site: str, path: str) -> None:
    """As `make up` and `make pages` are: a name of the internet that leads here is refused, by all of Airflow."""
    request = urllib.request.Request(f"{site}{path}", headers={"Host": "evil.example:8080"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=PATIENCE)


def test_a_user_without_a_role_sees_nothing(open_browser: Callable[..., Page]) -> None:
    page = open_browser(user="nobody")
    for address in ("/", "/findings", "/findings.csv", "/api/v1/findings", "/static/pages.css"):
        answer = page.request.get(PREFIX + address)
        assert answer.status == 403
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "preview" not in answer.text()


def test_filters_of_findings_are_in_the_address(open_browser: Callable[..., Page]) -> None:
    page = open_browser()
    page.goto(f"{PREFIX}/findings")
    everything = _count(page)
    page.get_by_label("Region").select_option("eu-central-1")
    page.get_by_label("Words in").fill("scheduler")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**region=eu-central-1**")
    assert 0 < _count(page) < everything
    rows = page.locator("table.findings tbody tr")
    for row in rows.all_inner_texts():
        assert "scheduler" in row
        assert "eu-central-1" in row
    assert parse_qs(urlsplit(page.url).query) == {"region": ["eu-central-1"], "search": ["scheduler"]}
    page.get_by_role("link", name="Without region eu-central-1").click()
    page.wait_for_url(lambda address: "region" not in address)
    expect(page.get_by_label("Words in")).to_have_value("scheduler")


def test_findings_are_sorted_and_paged(open_browser: Callable[..., Page]) -> None:
    page = open_browser()
    page.goto(f"{PREFIX}/findings")
    page.get_by_role("link", name="Repository", exact=True).click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Repository")
    names = page.locator("table.findings tbody th a")
    first = names.all_inner_texts()
    assert first == sorted(first, key=str.lower)
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**page=2**")
    second = names.all_inner_texts()
    assert [*first, *second] == sorted([*first, *second], key=str.lower)
    page.get_by_role("link", name="Previous").click()
    page.wait_for_url(lambda address: "page=2" not in address)
    assert names.all_inner_texts() == first


def test_filtered_findings_are_downloaded(open_browser: Callable[..., Page], tmp_path: Path) -> None:
    page = open_browser()
    page.goto(f"{PREFIX}/findings?region=eu-west-1")
    count = _count(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    download.value.save_as(tmp_path / "findings.csv")
    with (tmp_path / "findings.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count
    assert {row["region"] for row in rows} == {"eu-west-1"}
    with page.expect_download() as download:
        page.get_by_role("link", name="Excel").click()
    download.value.save_as(tmp_path / "findings.xlsx")
    assert "Findings" in openpyxl.load_workbook(tmp_path / "findings.xlsx", read_only=True).sheetnames


def test_the_commands_of_the_document_ask_the_api(site: str) -> None:
    """As docs/pages.md has them: a token, then a list as NDJSON, which curl hands to DuckDB."""
    commands = re.search(r"^## The JSON API$.*?^```sh\n(.*?)^```", DOCUMENT.read_text("utf-8"), flags=re.M | re.S)
    assert commands
    login = json.dumps({"username": VIEWER, "password": PASSWORDS[VIEWER]})
    script = commands[1].replace("https://<airflow>", site)
    script = script.replace('{"username": "…", "password": "…"}', login).replace("duckdb -c", "duckdb -csv -c")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(script: str) -> subprocess.CompletedProcess[str]:
        shell = ["bash", "-e", "-c", script]
        return subprocess.run(shell, capture_output=True, text=True, env=environment, timeout=PATIENCE)

    done = run(script)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [*rows[0]] == ["region", "findings"]
    assert len(rows) > 3
    refused = run(script.replace("Bearer $TOKEN", "Bearer x"))
    assert refused.returncode != 0
    assert "401" in refused.stderr


def test_the_command_that_fixes_is_copied(open_browser: Callable[..., Page]) -> None:
    page = open_browser()
    page.goto(f"{PREFIX}/findings?status=INCOMPLIANT")
    page.get_by_role("button", name="Copy the command").first.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("aws ecr put-image-tag-mutability --region ")


def test_from_a_policy_to_a_section_to_a_repository(open_browser: Callable[..., Page]) -> None:
    page = open_browser()
    page.goto(f"{PREFIX}/policies")
    page.get_by_role("link", name="Repository Image Tag Mutability is set to Mutable").click()
    expect(page.get_by_role("heading", name="Rationale")).to_be_visible()
    page.get_by_text("The SQL").click()
    expect(page.get_by_text("WITH conditions AS")).to_be_visible()
    page.get_by_role("link", name="CM-2 Baseline Configuration", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("CM-2 Baseline Configuration")
    page.locator("section[aria-labelledby=findings] tbody th a").first.click()
    expect(page.get_by_role("heading", name="Overwritable tags")).to_be_visible()


def _count(page: Page) -> int:
    """The number of findings on the page: '1,234 findings'."""
    return int(page.locator("#found").inner_text().split()[0].replace(",", ""))
