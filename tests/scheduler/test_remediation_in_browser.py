"""A plan that two people apply in Airflow's own UI, with a real Chromium."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from ecr_audit.lake.schemas import REMEDIATION_ACTIONS
from support.airflow import Airflow
from support.chromium import FLAGS, find_chromium
from support.processes import PATIENCE

from .remediation import DAG, Remediation

pytestmark = [pytest.mark.airflow, pytest.mark.scheduler]

# It has one change to make, as conftest.py has it.
ACCOUNT = "210000000023"


def window_of(browser: Browser, airflow: Airflow) -> Page:
    """A window of Airflow's UI, in which its user is logged in."""
    context = browser.new_context(base_url=airflow.url)
    context.add_cookies([{"name": "_token", "value": airflow.token, "url": airflow.url}])
    context.set_default_timeout(PATIENCE * 1000)
    return context.new_page()


def test_two_people_apply_a_plan_in_the_browser(remediation: Remediation) -> None:
    """One triggers the run with its form, the other approves it under Required Actions."""
    chromium, airflow = find_chromium(), remediation.airflow
    earlier = set(airflow.runs(DAG))
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE * 1000)
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        alice, bob = (window_of(browser, airflow.as_user(user)) for user in ("alice", "bob"))
        alice.goto(f"/dags/{DAG}")
        alice.get_by_role("button", name="Trigger").first.click()
        form = alice.get_by_role("dialog")
        form.locator("[name=element_accounts]").fill(ACCOUNT)
        form.locator("[id='switch:element_dry_run']").click()
        expect(form.locator("[name=element_dry_run]")).not_to_be_checked()
        form.get_by_role("button", name="Trigger").click()
        airflow.wait_for("the run", lambda: len(set(airflow.runs(DAG)) - earlier) == 1)
        [run_id] = set(airflow.runs(DAG)) - earlier
        remediation.wait_for_request(run_id)
        plan = remediation.plan(run_id)
        bob.goto("/required_actions")
        bob.get_by_role("link", name=f"Plan {plan.plan_id[:12]}").click()
        expect(bob.get_by_text(plan.plan_id).first).to_be_visible()
        [change] = plan.changes
        expect(bob.get_by_role("row", name=change.row["repository_name"])).to_contain_text(str(change.proposed))
        assert remediation.writes == []
        bob.get_by_role("button", name="Approve").click()
        # Airflow's own message of success is gone after some seconds; the run goes on.
        assert remediation.finish(run_id) == "success"
        bob.goto(f"/dags/{DAG}/runs/{quote(run_id)}")
        expect(bob.get_by_text("Success", exact=True).first).to_be_visible()
        browser.close()
    assert remediation.writes == [((*change.registry, change.row["repository_name"]), change.proposed)]
    [action] = remediation.recorded(REMEDIATION_ACTIONS, plan)
    assert (action["outcome"], action["approver"]) == ("DONE", "bob")
