"""The longest target of yesterday begins first today, so that no thread is idle while one target goes on alone."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import pytest

from ecr_audit.aws.accounts import Entry
from ecr_audit.aws.dispatcher import Effort
from ecr_audit.inventory import scan as scanning
from ecr_audit.inventory.plan import read_plan_table
from ecr_audit.inventory.scan import AccountScan
from ecr_audit.settings import Settings

HUB, SHOP = "100000000000", "200000000000"


class FakeDispatcher:
    """Collects the submitted calls with their priority."""

    def __init__(self):
        self.priorities = []

    def submit(self, flow, *, seconds, on_done, priority):
        flow.close()
        self.priorities.append(priority)


@pytest.fixture
def dispatcher():
    return FakeDispatcher()


def priorities(dispatcher, durations, *, entered):
    """By which priority an account is entered, or its targets are scanned, that took so long the last time."""
    targets = [
        {"region": f"region-{number}", "opt_in": False, "last_duration_ms": duration}
        for number, duration in enumerate(durations)
    ]
    account = AccountScan(dispatcher, Settings(), HUB, targets, on_end=lambda *_: None)
    if entered:
        account.entered(Entry(identity=None, enabled_regions=None), Effort())
    else:
        account.start(SimpleNamespace(account_id=HUB), connections=None)
    result = list(dispatcher.priorities)
    dispatcher.priorities.clear()
    return result


def test_the_longest_target_of_an_account_begins_first(dispatcher):
    short, long, unknown = priorities(dispatcher, [50, 60_000, None], entered=True)
    assert long < short < unknown


def test_the_account_with_the_longest_target_is_entered_first_but_after_open_targets(dispatcher):
    [many_short] = priorities(dispatcher, [50] * 17, entered=False)
    [one_long] = priorities(dispatcher, [None, 60_000], entered=False)
    [unknown] = priorities(dispatcher, [None, None], entered=False)
    assert one_long < many_short < unknown
    assert max(priorities(dispatcher, [None, 5], entered=True)) < one_long


def test_a_plan_has_the_last_duration_of_each_target(organization, monkeypatch):
    organization.run(date(2026, 3, 1))
    organization.add(SHOP)
    plan, _ = organization.plan(date(2026, 3, 2))
    rows = read_plan_table(organization.lake, plan, "targets.parquet").to_pylist()
    last = {(row["account_id"], row["region"]): row["last_duration_ms"] for row in rows}
    assert [last[SHOP, region] for region in ("eu-west-1", "us-east-1")] == [None, None]
    assert all(last[HUB, region] is not None for region in ("eu-west-1", "us-east-1"))
    assert scanning.last_duration({"last_duration_ms": None}) == 0
