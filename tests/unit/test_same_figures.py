"""A night of which 94.96 % was read and 99.96 % complies: page, alert, summary, workbook, doctor and log agree.

A figure that is compared with the minimum has enough digits to differ from it; elsewhere a percentage has one, and
claims neither that all was read nor that all complies.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from datetime import date
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace

import boto3
import openpyxl
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from rich.console import Console

from ecr_audit.alerts.night import night_messages
from ecr_audit.aws.access import AwsAccess
from ecr_audit.aws.ecr.target import TargetScan
from ecr_audit.aws.organization import Account
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.aws.regions import Region
from ecr_audit.aws.session import Hub
from ecr_audit.doctor import accounts as doctor
from ecr_audit.doctor.probe import Visit
from ecr_audit.inventory import steps
from ecr_audit.publish.build import publish
from ecr_audit.publish.completion import complete
from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.publication import DATABASE
from ecr_audit.publish.summary import print_summary
from ecr_audit.settings import Settings
from ecr_audit.text import percent
from ecr_audit.web.app import create_app
from ecr_audit.web.urls import PREFIX
from support.small_lake import SmallLake

DAY = date(2026, 11, 2)
MINIMUM = 0.95
# Coverage, and the minimum that it is compared with.
COMPARED = {"94.9", "95.0"}
# Coverage and compliance.
ALONE = {"94.9", "99.9"}

ACCOUNTS, REGIONS = 125, 20
FAILED = 126
TARGETS = [
    {
        "account_id": f"{account:012}",
        "region": f"eu-west-{region}",
        "outcome": "FAILED" if number >= ACCOUNTS * REGIONS - FAILED else "COLLECTED",
    }
    for number, (account, region) in enumerate(
        (account, region) for account in range(1, ACCOUNTS + 1) for region in range(1, REGIONS + 1)
    )
]
REPOSITORIES = [
    {
        "account_id": "0" * 11 + "1",
        "region": "eu-west-1",
        "repository_name": f"app-{number}",
        "image_tag_mutability": "IMMUTABLE" if number else "MUTABLE",
    }
    for number in range(2_500)
]


@pytest.fixture
def folder(small_lake: SmallLake, tmp_path: Path) -> Path:
    """Where the night is published."""
    accounts = [{"account_id": f"{number:012}", "account_name": f"n{number}"} for number in range(1, ACCOUNTS + 1)]
    small_lake.night(DAY, accounts=accounts, scan_targets=TARGETS, repositories=REPOSITORIES)
    publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=())
    complete(small_lake.lake, tmp_path / "publish")
    return tmp_path / "publish"


def figures(text: str) -> set[str]:
    """The percentages in a text: each number before a percent sign."""
    return set(re.findall(r"(\d+\.\d+) %", text))


def page(folder: Path) -> str:
    app = create_app(PublicationStore(folder).newest, login=[])
    outer = FastAPI()
    outer.mount(PREFIX, app)
    try:
        shown = TestClient(outer, base_url=f"http://testserver{PREFIX}").get("/")
        assert shown.status_code == 200
        return shown.text
    finally:
        app.state.published.close()


def terminal(folder: Path) -> str:
    summary = io.StringIO()
    print_summary(Settings(data=folder.parent, publish=str(folder)), Console(file=summary, width=120))
    return summary.getvalue()


def alert(folder: Path) -> str:
    [message] = night_messages(folder / DATABASE, MINIMUM, "")
    return f"{message.subject}\n{message.body}"


def workbook(folder: Path) -> str:
    """The percentages of the cover as a spreadsheet shows them."""
    cover = openpyxl.load_workbook(folder / "compliance.xlsx")["Cover"]
    cells = [cell for row in cover for cell in row if isinstance(cell.value, float)]
    assert len(cells) == 5
    # "0.0" is a number with one digit; in quotes is the text that is shown in its place.
    shown = [f"{cell.value:.1f}" if cell.number_format == "0.0" else cell.number_format.strip('"') for cell in cells]
    assert [f"{each} %" for each in shown] == [percent(cell.value) for cell in cells]
    return " ".join(f"{each} %" for each in shown)


def check(monkeypatch: pytest.MonkeyPatch) -> str:
    """The doctor on an organization of which a night would read as much."""

    def visited(*_: object) -> Iterator[Visit]:
        for account_id, targets in groupby(TARGETS, key=lambda target: target["account_id"]):
            scans = [TargetScan(account_id, each["region"], Outcome(each["outcome"])) for each in targets]
            yield Visit(Account(account_id, "", "ACTIVE", None, None, (), None), {}, (), scans)

    monkeypatch.setattr(doctor, "visit_accounts", lambda *given: list(visited(*given)))
    hub = Hub(AwsAccess(boto3.Session()), "000000000001", "aws", "eu-west-1")
    regions = [Region(f"eu-west-{number}", opt_in=False) for number in range(1, REGIONS + 1)]
    settings = Settings(min_coverage=MINIMUM, collect=())
    return "\n".join(
        f"{each.status} {each.found} {each.fix}" for each in doctor.check_accounts(hub, [], regions, settings)
    )


def log_line(lake: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The log of the task check_coverage."""
    monkeypatch.setenv("ECR_AUDIT_LAKE", lake)
    monkeypatch.setenv("ECR_AUDIT_MIN_COVERAGE", str(MINIMUM))
    monkeypatch.setattr(steps, "read_plan", lambda *_: SimpleNamespace(snapshot_date=DAY))
    with pytest.raises(steps.CoverageError) as fault:
        steps.check_coverage("plan")
    return str(fault.value)


def test_six_channels_show_the_same_figures(
    small_lake: SmallLake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: dict[str, Callable[[], str]] = {
        "workbook": lambda: workbook(folder),
        # It keeps the file open, with limits of its own.
        "page": lambda: page(folder),
    }
    compared: dict[str, Callable[[], str]] = {
        "alert": lambda: alert(folder),
        "doctor": lambda: check(monkeypatch),
        "terminal": lambda: terminal(folder),
        "log": lambda: log_line(small_lake.lake.root, monkeypatch),
    }
    reported = {name: tell() for name, tell in (compared | alone).items()}
    # The terminal shows compliance as well.
    assert {name: figures(reported[name]) - {"99.9"} for name in compared} == dict.fromkeys(compared, COMPARED)
    assert "99.9 %" in reported["terminal"]
    assert {
        name: figures(reported[name]) & (ALONE | COMPARED | {"100.0", "94.96", "99.96"}) for name in alone
    } == dict.fromkeys(alone, ALONE)
    assert "coverage 94.9 % is under the minimum" in reported["alert"]
    assert "FAIL a night would read 94.9 % (ECR_AUDIT_MIN_COVERAGE: 95.0 %)" in reported["doctor"]
    # No sentence has a figure that is under itself.
    for name, text in reported.items():
        assert not re.search(r"(\d+\.\d+ %)[^.\n]* under [^.\n]*\1", text), name
