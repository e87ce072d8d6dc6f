"""A policy that is no longer there: its history stays, each page can be opened, and the summary names it once."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from rich.console import Console

from ecr_audit.catalog import Catalog
from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.summary import print_summary
from ecr_audit.settings import Settings
from support.pages import text_at
from support.policies import MUTABILITY
from support.small_lake import SmallLake

DAYS = [date(2026, 11, day) for day in (1, 2, 3, 4)]
ARN = "arn:aws:ecr:eu-west-1:111111111111:repository"


@pytest.fixture
def removed(once: Callable[..., None], small_lake: SmallLake, published: Callable[..., None]) -> str:
    """On the 2nd `fixed` was fixed; on the 3rd the policy, which was the first, is no longer there."""
    before, changed = ({"image_tag_mutability": value} for value in ("MUTABLE", "IMMUTABLE"))
    kept = [policy for policy in small_lake.catalog.policies if policy.id != MUTABILITY]
    without = Catalog(kept, small_lake.catalog.frameworks)

    def audit() -> None:
        for day, fixed in zip(DAYS, (before, changed, changed), strict=False):
            if day == DAYS[2]:
                small_lake.catalog = without
            published(day, repositories=[{"repository_name": "fixed"} | fixed, {"repository_name": "open"} | before])

    once(audit)
    small_lake.catalog = without
    return MUTABILITY


def summary(folder: Path) -> str:
    reported = io.StringIO()
    print_summary(Settings(data=folder, publish=str(folder)), Console(file=reported, width=200))
    return reported.getvalue()


def test_its_rows_of_past_nights_stay(removed: str, folder: Path) -> None:
    with open_published(PublicationStore(folder).newest().database) as database:

        def rows(query: str) -> list[tuple[object, ...]]:
            return database.execute(query, {"policy_id": removed}).fetchall()

        for table in ("policies", "policy_output", "findings", "account_compliance", "section_policies"):
            assert rows(f"SELECT count(*) FROM {table} WHERE policy_id = $policy_id") == [(0,)], table
        assert rows("SELECT snapshot_date FROM policy_run WHERE policy_id = $policy_id ORDER BY ALL") == [
            (day,) for day in DAYS[:2]
        ]
        daily = "SELECT DISTINCT snapshot_date FROM compliance_daily WHERE policy_id = $policy_id ORDER BY ALL"
        assert rows(daily) == [(day,) for day in DAYS[:2]]
        changes = "SELECT snapshot_date, repository_name, change FROM changes WHERE policy_id = $policy_id"
        assert rows(changes) == [(DAYS[1], "fixed", "fixed")]
        # The one that was open has no row: it has not ended, and is not open.
        stretches = "SELECT repository_name, ended, ended_by FROM findings_history WHERE policy_id = $policy_id"
        assert rows(stretches) == [("fixed", DAYS[1], "fixed")]


def test_pages_show_its_history_without_links_to_it(removed: str, client: TestClient) -> None:
    for address in ("/", "/policies", "/findings", "/organization", "/coverage", "/frameworks"):
        assert client.get(address).status_code == 200, address
    assert client.get("/accounts/111111111111").status_code == 200
    page = f"/repositories/{ARN}/fixed"
    assert f"{removed.rpartition('/')[2]} policy removed" in text_at(client, page)
    assert f'/policies{removed}"' not in client.get(page).text
    assert client.get(f"/policies{removed}").status_code == 404
    answer = client.get("/api/v1/compliance", params={"policy": removed})
    assert (answer.status_code, "No such name is published" in answer.text) == (422, True)


def test_the_summary_names_it_on_its_first_night_without_it(
    removed: str, small_lake: SmallLake, published: Callable[..., None], folder: Path
) -> None:
    assert f"No longer evaluated since tonight: {removed}" in summary(folder)
    published(DAYS[3], repositories=[{"repository_name": "open", "image_tag_mutability": "MUTABLE"}])
    assert "No longer evaluated since tonight" not in summary(folder)


def test_under_its_id_again_another_history_begins(
    removed: str, small_lake: SmallLake, published: Callable[..., None], folder: Path, catalog: Catalog
) -> None:
    small_lake.catalog = catalog
    published(DAYS[3], repositories=[{"repository_name": "open", "image_tag_mutability": "MUTABLE"}])
    with open_published(PublicationStore(folder).newest().database) as database:
        query = "SELECT incompliant_start_date, started_known FROM findings WHERE policy_id = $policy_id"
        assert database.execute(query, {"policy_id": removed}).fetchall() == [(DAYS[3], False)]
