"""The findings that are due in a night, and the calls that import them."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_audit.publish.build import publish
from ecr_audit.publish.published_file import open_published
from ecr_audit.security_hub import due
from ecr_audit.security_hub.due import due_batches, inactive_accounts
from ecr_audit.settings import ExportSettings
from ecr_audit.vocabulary import ExportedRecords
from support import asff
from support.exported_nights import CLOSED, DARK, FIRST, NAMELESS, SECOND, SHOP, rows_of
from support.policies import MUTABILITY
from support.small_lake import SmallLake

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def second_night(tmp_path_factory: pytest.TempPathFactory, catalog: Any) -> Path:
    """The database of the second of two nights."""
    folder = tmp_path_factory.mktemp("due")
    lake = SmallLake(folder / "lake", catalog)
    for day in (FIRST, SECOND):
        lake.night(day, **rows_of(day))
    none = ExportSettings(exports=())
    return publish(lake.lake, lake.catalog, folder / "publish", owner_tags=(), options=none).database


@pytest.fixture
def database(second_night: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copyfile(second_night, tmp_path / "compliance.duckdb"))


def imported(database: Path, *rows: tuple[str, date | None]) -> None:
    """Note in a database when accounts took their findings last, all in one region."""
    with duckdb.connect(database) as connection:
        for account_id, night in rows:
            connection.execute(
                "INSERT INTO security_hub_imports (account_id, region, night, outcome, imported_night)"
                " VALUES ($account_id, $region, $night, 'IMPORTED', $night)",
                {"account_id": account_id, "region": REGION, "night": night},
            )


def findings(database: Path, records: ExportedRecords = ExportedRecords.FINDINGS) -> Iterator[dict[str, Any]]:
    with open_published(database) as connection:
        for batch in due_batches(connection, records):
            yield from batch.findings()


def names(database: Path) -> set[str]:
    """The repositories whose findings on mutability are due."""
    return {
        finding["Resources"][0]["Id"].rpartition("/")[2]
        for finding in findings(database)
        if finding["GeneratorId"] == MUTABILITY
    }


def test_all_is_due_where_nothing_was_imported(database: Path) -> None:
    assert names(database) == {"open", "waived", "fixed", "gone", "new", "app", "unseen"}
    imported(database, (SHOP, None))
    assert names(database) == {"open", "waived", "fixed", "gone", "new", "app", "unseen"}
    assert [fault for finding in findings(database, ExportedRecords.ALL) for fault in asff.faults(finding)] == []


def test_changes_of_tonight_and_of_missed_nights_are_due(database: Path) -> None:
    accounts = (SHOP, DARK, CLOSED, NAMELESS)
    imported(database, *((account, FIRST) for account in accounts))
    changed = {"fixed", "gone", "new", "unseen"}
    turns = names(database) - changed
    assert changed <= names(database), "what changed tonight"
    assert turns < {"open", "waived", "app"}, "unchanged ones in their turn"
    with duckdb.connect(database) as connection:
        # Two nights later, in which nothing has changed; the shop's findings were not imported since the first.
        connection.execute("UPDATE policy_output SET snapshot_date = snapshot_date + 2")
        connection.execute(
            "UPDATE security_hub_imports SET imported_night = $day WHERE account_id <> $shop",
            {"day": SECOND + timedelta(days=1), "shop": SHOP},
        )
    found = {
        (each["AwsAccountId"], each["Resources"][0]["Id"].rpartition("/")[2]): each
        for each in findings(database)
        if each["GeneratorId"] == MUTABILITY
    }
    assert {"fixed", "new"} <= {name for account, name in found if account == SHOP}
    assert found[SHOP, "fixed"]["Compliance"]["Status"] == "PASSED"


@pytest.mark.slow
def test_each_finding_has_one_turn_in_thirty_nights(database: Path) -> None:
    """Long after they were imported; so the longest time between two updates is 60 nights, if a turn is missed."""
    imported(database, *((account, SECOND) for account in (SHOP, DARK, CLOSED, NAMELESS)))
    everything = {finding["Id"] for finding in findings(database, ExportedRecords.ALL)}
    turns: Counter[str] = Counter()
    for number in range(1, 31):
        with duckdb.connect(database) as connection:
            connection.execute(
                "UPDATE policy_output SET snapshot_date = $day", {"day": SECOND + timedelta(days=number)}
            )
        turns.update(finding["Id"] for finding in findings(database, ExportedRecords.ALL))
    assert len(turns) > len(everything) / 2 and set(turns.values()) == {1}


def test_only_deleted_repositories_and_closed_accounts_are_archived(database: Path) -> None:
    archived = {
        (finding["AwsAccountId"], finding["Resources"][0]["Id"].rpartition("/")[2])
        for finding in findings(database)
        if finding["RecordState"] == "ARCHIVED"
    }
    # A deleted repository, and those of a closed account; not one that was not seen.
    assert archived == {(SHOP, "gone"), (CLOSED, "unseen")}
    with open_published(database) as connection:
        assert inactive_accounts(connection) == {CLOSED}


def test_findings_of_one_account_and_region_go_in_one_call(database: Path) -> None:
    with open_published(database) as connection:
        batches = due_batches(connection, ExportedRecords.ALL)
    registries = [batch.registry for batch in batches]
    assert sum(batch.count for batch in batches) > len(registries) == len(set(registries)) > 1


def test_calls_are_of_one_account_and_region_and_within_the_limits(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "MOST_FINDINGS", 4)
    monkeypatch.setattr(due, "MOST_BYTES", 9_000)
    with open_published(database) as connection:
        batches = due_batches(connection, ExportedRecords.ALL)
        # A run that is repeated makes the same calls.
        assert batches == due_batches(connection, ExportedRecords.ALL)
    sizes = Counter(batch.count for batch in batches)
    assert max(sizes) <= 4 and len(sizes) > 1
    for batch in batches:
        found = batch.findings()
        assert len(found) == batch.count
        assert {(each["AwsAccountId"], each["Resources"][0]["Region"]) for each in found} == {batch.registry}
        assert len(json.dumps({"Findings": found})) <= 9_000 or batch.count == 1
    ids = [finding["Id"] for batch in batches for finding in batch.findings()]
    assert len(ids) == len(set(ids))
