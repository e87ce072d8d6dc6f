"""The longest target of yesterday begins first today, so that no thread is idle while one target goes on alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import boto3
import pytest

from ecr_audit.aws.access import AwsAccess
from ecr_audit.aws.accounts import Entry, HubIdentity
from ecr_audit.aws.connections import Connections
from ecr_audit.aws.dispatcher import Dispatcher, Effort, Flow
from ecr_audit.aws.ecr.facets import Wanted
from ecr_audit.aws.session import Hub
from ecr_audit.inventory import scan as scanning
from ecr_audit.inventory.plan_files import read_plan_table
from ecr_audit.inventory.scan import AccountScan
from ecr_audit.settings import Settings

from .conftest import FakeOrganization

HUB, SHOP = "100000000000", "200000000000"


class FakeDispatcher(Dispatcher):
    """Collects the submitted calls with their priority."""

    def __init__(self) -> None:
        self.priorities: list[float] = []

    def submit(
        self, flow: Flow, *, seconds: float, on_done: Callable[[Any, Effort], None], priority: float = 0.0
    ) -> None:
        flow.close()
        self.priorities.append(priority)


@pytest.fixture
def dispatcher() -> FakeDispatcher:
    return FakeDispatcher()


def priorities(dispatcher: FakeDispatcher, durations: list[int | None], *, entered: bool) -> list[float]:
    """By which priority an account is entered, or its targets are scanned, that took so long the last time."""
    targets = [
        {"region": f"region-{number}", "opt_in": False, "last_duration_ms": duration}
        for number, duration in enumerate(durations)
    ]
    hub = Hub(AwsAccess(boto3.Session()), HUB, "aws", "us-east-1")
    account = AccountScan(dispatcher, Settings(), Wanted((), date(2026, 3, 1), 1), HUB, targets, on_end=lambda *_: None)
    if entered:
        account.entered(Entry(HubIdentity(hub), enabled_regions=None), Effort())
    else:
        account.start(hub, Connections(hub.access, 1))
    result = list(dispatcher.priorities)
    dispatcher.priorities.clear()
    return result


def test_the_longest_target_of_an_account_begins_first(dispatcher: FakeDispatcher) -> None:
    short, long, unknown = priorities(dispatcher, [50, 60_000, None], entered=True)
    assert long < short < unknown


def test_the_account_with_the_longest_target_is_entered_first_but_after_open_targets(
    dispatcher: FakeDispatcher,
) -> None:
    [many_short] = priorities(dispatcher, [50] * 17, entered=False)
    [one_long] = priorities(dispatcher, [None, 60_000], entered=False)
    [unknown] = priorities(dispatcher, [None, None], entered=False)
    assert one_long < many_short < unknown
    assert max(priorities(dispatcher, [None, 5], entered=True)) < one_long


def test_a_plan_has_the_last_duration_of_each_target(
    organization: FakeOrganization, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization.run(date(2026, 3, 1))
    organization.add(SHOP)
    plan, _ = organization.plan(date(2026, 3, 2))
    rows = read_plan_table(organization.lake, plan, "targets.parquet").to_pylist()
    last = {(row["account_id"], row["region"]): row["last_duration_ms"] for row in rows}
    assert [last[SHOP, region] for region in ("eu-west-1", "us-east-1")] == [None, None]
    assert all(last[HUB, region] is not None for region in ("eu-west-1", "us-east-1"))
    assert scanning.last_duration({"last_duration_ms": None}) == 0
