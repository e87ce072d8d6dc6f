"""Airflow's own web server with the pages in it, over the demo's nights, and a real Chromium that looks at them.

SCREENSHOTS=docs/pages makes the tests photograph each page into that folder, over more nights of the demo.
"""

from __future__ import annotations

import contextlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect, sync_playwright

from demo.history import write_history
from demo.story import NIGHTS
from ecr_audit.catalog import Catalog, load_catalog
from ecr_audit.lake.lake import Lake
from ecr_audit.publish.build import publish
from ecr_audit.publish.completion import complete
from ecr_audit.publish.sealing import seal_nights
from ecr_audit.settings import SQL_ROOT, RemediationSettings, Settings
from ecr_audit.web.urls import PREFIX
from support.airflow import Airflow, on_sqlite
from support.chromium import FLAGS, find_chromium
from support.demo_tags import read_image_tags
from support.processes import PATIENCE
from support.remediation import approve_changes

SCREENSHOTS = os.environ.get("SCREENSHOTS")

# The least that may see the pages, and somebody who may log in but see nothing.
VIEWER, NOBODY = "viewer", "nobody"
LOGIN_COOKIE = "_token"
PASSWORDS = {VIEWER: "a-password-of-this-test", NOBODY: "another-password-of-this-test"}

# Playwright counts in milliseconds; its own 5 s to see something is short on a machine that is busy.
PATIENCE_MS = PATIENCE * 1000

OWNER_TAGS = ("owner", "team")
TODAY = date(2026, 11, 23)


@dataclass
class Demo:
    """The demo, published; its last night is still to come."""

    folder: Path
    catalog: Catalog
    # The plan that somebody approved before its newest night.
    plan_id: str = ""

    def audit(self, *nights: int) -> date:
        """Write, evaluate and seal nights of the story, in a lake of their own, and publish; returns the newest one's
        date."""
        lake = Lake(str(self.folder / f"lake-{nights[-1]}"))
        write_history(lake, self.catalog, TODAY, owner_tags=OWNER_TAGS, nights=nights)
        read_image_tags(lake, self.catalog, owner_tags=OWNER_TAGS, nights=len(nights))
        newest = max(lake.snapshot_dates("compliance"))
        self.plan_id = approve_changes(lake, newest).plan_id
        plan = RemediationSettings(remediation_nights=2)
        evidence = Settings.model_construct(data=str(self.folder), evidence=str(self.folder / f"evidence-{nights[-1]}"))
        sealed = seal_nights(lake, evidence)
        publish(lake, self.catalog, self.folder / "publish", owner_tags=OWNER_TAGS, plan_settings=plan, sealed=sealed)
        complete(lake, self.folder / "publish")
        return newest


@pytest.fixture(scope="package")
def chromium() -> str:
    """The path of a Chromium."""
    return find_chromium()


@pytest.fixture(scope="package")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The audit's data folder; nothing is in it before `demo`."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="package")
def airflow(
    chromium: str, data: Path, airflow_tables: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    """An Airflow whose api-server has just been started; `site` is one that answers."""
    home = tmp_path_factory.mktemp("airflow")
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps(PASSWORDS))
    settings = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        # A user without a role may log in, and no more.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{VIEWER}:viewer,{NOBODY}:",
        "ECR_AUDIT_DATA": str(data),
    }
    airflow = on_sqlite(Airflow(home, settings), airflow_tables)
    try:
        airflow.run("dags", "reserialize")
        airflow.start_part("api-server")
        yield airflow
    finally:
        airflow.processes.kill_all()


@pytest.fixture(scope="package")
def demo(airflow: Airflow, data: Path, catalog: Catalog) -> Demo:
    """The demo, published while Airflow starts."""
    # The pictures show the policies that the demo has; figures of the tests are of two of them.
    demo = Demo(data, load_catalog(SQL_ROOT) if SCREENSHOTS else catalog)
    demo.audit(*(range(0, NIGHTS - 2, 6) if SCREENSHOTS else (0, 43, 60)), NIGHTS - 2)
    return demo


@pytest.fixture(scope="package")
def site(airflow: Airflow, demo: Demo) -> str:
    """The address of Airflow, which answers, and has the demo's pages."""
    airflow.wait_for("the api-server", lambda: _answers(f"{airflow.url}{PREFIX}/"))
    return airflow.url


def _answers(address: str) -> bool:
    # Refused, for want of a login, is an answer.
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(address, timeout=PATIENCE).close()
    return True


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """A headless Chromium, for as long as it is needed: with it runs an event loop, and other tests run their own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def logins(browser: Browser, site: str) -> dict[str, str]:
    """The value of each user's login cookie, as Airflow's own form gives it."""
    return {user: _log_in(browser, site, user) for user in PASSWORDS}


def _log_in(browser: Browser, site: str, user: str) -> str:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(site)
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(PASSWORDS[user])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda address: "/auth/login" not in address)
    [value] = [cookie["value"] for cookie in context.cookies() if cookie["name"] == LOGIN_COOKIE]
    context.close()
    return value


@pytest.fixture
def open_browser(browser: Browser, logins: dict[str, str], site: str) -> Iterator[Callable[..., Page]]:
    """Opens a window: `open_browser(theme="dark", width=360, user=VIEWER)`.

    At the end, nothing that any of them showed of ours may have asked for anything outside this machine, or have
    written an error to its console.
    """
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def open_window(theme: str = "light", width: int = 1280, user: str | None = VIEWER) -> Page:
        kept: StorageState = {
            "cookies": [],
            "origins": [{"origin": site, "localStorage": [{"name": "theme", "value": theme}]}],
        }
        context = browser.new_context(
            base_url=site,
            storage_state=kept,
            viewport={"width": width, "height": 900},
            permissions=["clipboard-read", "clipboard-write"],
        )
        if user:
            context.add_cookies([{"name": LOGIN_COOKIE, "value": logins[user], "url": site}])
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: _note_foreign(request.url, site, wrong))
        page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
        if user == VIEWER:  # others are refused, which a browser reports as an error
            page.on("console", lambda line: wrong.append(f"{page.url}: {line.text}") if line.type == "error" else None)
        return page

    yield open_window
    for context in contexts:
        context.close()
    assert wrong == []


def _note_foreign(address: str, site: str, wrong: list[str]) -> None:
    if urlsplit(address).scheme in ("http", "https") and not address.startswith(f"{site}/"):
        wrong.append(f"A request left the machine: {address}")
