"""A night of which nearly all was read and complies: each place shows the same figures, and none claims all."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import openpyxl
from fastapi.testclient import TestClient
from rich.console import Console

from ecr_audit.alerts.night import night_messages
from ecr_audit.publish.publication import DATABASE
from ecr_audit.publish.summary import print_summary
from ecr_audit.settings import Settings
from ecr_audit.text import percent

ACCOUNTS, REGIONS = 125, 20
TARGETS = [
    {"account_id": f"{account:012}", "region": f"eu-west-{region}", "outcome": "COLLECTED"}
    for account in range(1, ACCOUNTS + 1)
    for region in range(1, REGIONS + 1)
]
FAILED = 126
REPOSITORIES = [
    {
        "account_id": "0" * 11 + "1",
        "region": "eu-west-1",
        "repository_name": f"app-{number}",
        "image_tag_mutability": "IMMUTABLE" if number else "MUTABLE",
    }
    for number in range(2_500)
]


def test_every_place_shows_the_same_figures(
    client: TestClient, published: Callable[..., None], folder: Path, tmp_path: Path
) -> None:
    targets = [*TARGETS[:-FAILED], *(each | {"outcome": "FAILED"} for each in TARGETS[-FAILED:])]
    accounts = [{"account_id": f"{number:012}", "account_name": f"n{number}"} for number in range(1, ACCOUNTS + 1)]
    published(accounts=accounts, scan_targets=targets, repositories=REPOSITORIES)
    summary = io.StringIO()
    print_summary(Settings(data=tmp_path, publish=str(folder)), Console(file=summary, width=120))
    [told] = night_messages(folder / DATABASE, 0.95, "")
    assert told.subject.endswith("coverage 94.96 % is under the minimum")
    assert any("read: 94.96 %" in line for line in told.lines)
    assert "The minimum is 95.00 % (ECR_AUDIT_MIN_COVERAGE)." in told.lines
    cover = openpyxl.load_workbook(folder / "compliance.xlsx")["Cover"]
    cells = [cell for row in cover for cell in row if isinstance(cell.value, float)]
    written = {percent(cell.value).removesuffix(" %"): cell.number_format for cell in cells}
    assert written == {"95.0": "0.0", "99.9": '"99.9"'}
    # 94.96 and 99.96. The page comes last: it keeps the file open, with limits of its own.
    for shown in (summary.getvalue(), client.get("/").text):
        assert "95.0 %" in shown and "99.9 %" in shown and "100.0 %" not in shown
