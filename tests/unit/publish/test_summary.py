"""The summary in the terminal shows the newest night, and waivers if there are any."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from rich.console import Console

from ecr_audit.catalog import waivers
from ecr_audit.publish.build import publish
from ecr_audit.publish.completion import complete
from ecr_audit.publish.sealing import SealedNights
from ecr_audit.publish.store import publication_store
from ecr_audit.publish.summary import print_summary
from ecr_audit.settings import Settings
from support.policies import facet_catalog, image_tags_catalog
from support.small_lake import SmallLake

DAYS = [date(2026, 11, day) for day in (1, 2, 3)]

POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
STRICT = "/ce/ca/aws/ecr/repository-image-tag-immutability-strict"
WAIVER = {"waiver_id": "W-1", "policy_id": POLICY, "created": DAYS[0], "expires": date(2027, 1, 1)}


# The summary names only the database and the workbook of a publication.
alone = pytest.mark.usefixtures("database_alone")


@pytest.fixture
def summary(small_lake: SmallLake, tmp_path: Path) -> Callable[..., str]:
    """The summaries of three nights: a finding of the first is fixed on the second; nothing changes on the third."""

    def tell(**rows: Any) -> str:
        for day, mutability in zip(DAYS, ("MUTABLE", "IMMUTABLE", "IMMUTABLE"), strict=True):
            repositories = [
                {"repository_name": "a"},
                {"repository_name": "b", "image_tag_mutability": mutability},
            ]
            small_lake.night(day, repositories=repositories, **rows)
        settings = Settings(data=tmp_path)
        sealed = SealedNights(head="e" * 64)
        publish(small_lake.lake, small_lake.catalog, publication_store(settings), owner_tags=(), sealed=sealed)
        reported = io.StringIO()
        print_summary(settings, Console(file=reported, width=110))
        return reported.getvalue()

    return tell


@alone
def test_only_the_newest_nights_changes_are_reported(summary: Callable[..., str]) -> None:
    reported = summary()
    assert "Since the night before  nothing changed" in reported
    assert f"Evidence           newest entry {'e' * 64}\n" in reported
    assert [word for word in ("Waivers", "Left out", "Missing") if word in reported] == []


@alone
def test_waivers_are_reported(small_lake: SmallLake, summary: Callable[..., str]) -> None:
    rows = [WAIVER, WAIVER | {"waiver_id": "W-2", "region": "us-east-1"}]
    small_lake.waivers = pa.Table.from_pylist(rows, schema=waivers.SCHEMA)
    reported = summary()
    assert "Waivers  2 waivers: 2 in force (1 without a finding in its scope)" in reported
    assert "Waived findings  1 incompliant under Repository Image Tag Mutability" in reported


@alone
def test_findings_that_a_waiver_covers_are_counted_as_verdicts_are(small_lake: SmallLake, tmp_path: Path) -> None:
    """For each policy, undetermined ones apart: all other counts of what is waived are of INCOMPLIANT."""
    strict = {"waiver_id": "W-2", "policy_id": STRICT}
    small_lake.waivers = pa.Table.from_pylist([WAIVER, WAIVER | strict], schema=waivers.SCHEMA)
    repositories = [{"repository_name": "a"}, {"repository_name": "b", "region": "us-east-1"}]
    lost = {"account_id": "111111111111", "region": "us-east-1", "outcome": "FAILED"}
    for day, targets in zip(DAYS, ([], [lost]), strict=False):
        unseen = {"observed": not targets}
        small_lake.night(day, repositories=[repositories[0], repositories[1] | unseen], scan_targets=targets)
    settings = Settings(data=tmp_path)
    publish(small_lake.lake, small_lake.catalog, publication_store(settings), owner_tags=())
    reported = io.StringIO()
    print_summary(settings, Console(file=reported, width=200))
    counted = (
        "1 incompliant and 1 undetermined under Repository Image Tag Mutability is set to Mutable;"
        " 1 incompliant and 1 undetermined under Repository Image Tags are not all Immutable"
    )
    assert f"Waived findings  {counted}" in reported.getvalue()


@alone
def test_undetermined_verdicts_without_a_finding_are_explained_without_zeros(
    small_lake: SmallLake, tmp_path: Path
) -> None:
    small_lake.scan(DAYS[0], repositories=[{"image_tag_mutability": "NEW"}])
    small_lake.evaluate(DAYS[0])
    settings = Settings(data=tmp_path)
    publish(small_lake.lake, small_lake.catalog, publication_store(settings), owner_tags=())
    console = io.StringIO()
    print_summary(settings, Console(file=console, width=300))
    assert "1 undetermined (1 with a value that the policy does not know). 0 findings.\n" in console.getvalue()


@alone
def test_each_count_is_explained_by_the_others(small_lake: SmallLake, tmp_path: Path) -> None:
    """The verdicts, the findings, the accounts and the owners: what is not seen or unknown is named where it counts."""
    small_lake.waivers = pa.Table.from_pylist([WAIVER | {"repository": "*:repository/a"}], schema=waivers.SCHEMA)
    lost = {"account_id": "111111111111", "region": "us-east-1", "outcome": "FAILED"}
    for day, unknown, targets in zip(DAYS, ("MUTABLE", "NEW"), ([], [lost]), strict=False):
        repositories: list[dict[str, Any]] = [
            {"repository_name": "a", "tags": {"owner": "team"}},
            {"repository_name": "b", "tags": {"owner": "team"}},
            {"repository_name": "c", "image_tag_mutability": unknown},
            {"repository_name": "d", "region": "us-east-1", "observed": not targets},
        ]
        small_lake.scan(day, repositories=repositories, scan_targets=targets)
        small_lake.evaluate(day)
    settings = Settings(data=tmp_path)
    publish(small_lake.lake, small_lake.catalog, publication_store(settings), owner_tags=("owner",))
    console = io.StringIO()
    print_summary(settings, Console(file=console, width=300))
    reported = " ".join(console.getvalue().split())
    assert "Below 95.0 % (ECR_AUDIT_MIN_COVERAGE) the run fails, after publishing." in reported
    assert (
        "Mutable: 2 undetermined (1 not seen, 1 with a value that the policy does not know). 4 findings: 2 incompliant,"
        " and 2 undetermined that were incompliant when last evaluated." in reported
    )
    assert "The rest is under the first policy: Repository Image Tag Mut" in reported
    rows = [line.split() for line in console.getvalue().splitlines()]
    assert ["team", "1", "1", "2"] in rows


def test_older_values_are_reported_and_nothing_is_claimed_to_be_unchanged(
    small_lake: SmallLake, tmp_path: Path
) -> None:
    denied = {"account_id": "111111111111", "region": "eu-west-1", "error_code": "Tags.AccessDeniedException"}
    first = {"repository_name": "a", "tags": {"owner": "team"}}
    for day in DAYS[:2]:
        unread = {"tags_read_at": datetime.combine(DAYS[0], time(2), UTC)} if day == DAYS[1] else {}
        targets = [{**denied, "repository_count": 1}] if unread else []
        small_lake.scan(day, repositories=[first | unread], scan_targets=targets)
        _, warnings = small_lake.evaluate(day)
        assert [warning.check for warning in warnings] == ["sql/checks/every_facet_read.sql"] * bool(unread)
    settings = Settings(data=tmp_path)
    store = publication_store(settings)
    publish(small_lake.lake, small_lake.catalog, store, owner_tags=("owner",), sealed=SealedNights(head="e" * 64))
    reported = io.StringIO()
    print_summary(settings, Console(file=reported, width=300))
    assert "\nNot written        workbook: not written yet; the task complete_publication" in reported.getvalue()
    published = complete(small_lake.lake, store)
    reported = io.StringIO()
    print_summary(settings, Console(file=reported, width=300))
    assert "Not written" not in reported.getvalue()
    assert (
        "Last known    The tags of 1 repository in 1 account could not be read (AccessDeniedException). The owners and"
        " waivers of 1 are based on tags last read on 2026-11-01." in reported.getvalue()
    )
    assert "Since the night before  nothing changed in what was read" in reported.getvalue()
    cover = openpyxl.load_workbook(published.database.with_name("compliance.xlsx"))["Cover"]
    assert any("are based on tags last read on 2026-11-01" in str(cell.value) for row in cover for cell in row)
    assert dict(row[:2] for row in cover.iter_rows(values_only=True))["Evidence, newest entry (SHA-256)"] == "e" * 64


@alone
def test_nothing_is_claimed_to_be_unchanged_where_nobody_could_look(small_lake: SmallLake, tmp_path: Path) -> None:
    dark = {"account_id": "111111111111", "region": "us-east-1", "outcome": "ACCESS_DENIED", "repository_count": None}
    for day in DAYS[:2]:
        small_lake.night(day, repositories=[{}], scan_targets=[dark])
    settings = Settings(data=tmp_path)
    publish(small_lake.lake, small_lake.catalog, publication_store(settings), owner_tags=())
    reported = io.StringIO()
    print_summary(settings, Console(file=reported, width=110))
    assert "Since the night before  nothing changed in what was read" in reported.getvalue()


@alone
def test_unread_targets_are_reported_with_advice_on_each_error(summary: Callable[..., str]) -> None:
    errors = [("us-east-1", "InvalidURL"), ("us-west-1", "SomethingNew"), ("us-west-2", "InvalidURL")]
    targets = [
        {"account_id": "111111111111", "region": region, "outcome": "FAILED", "error_code": code}
        for region, code in errors
    ]
    reported = summary(scan_targets=targets)
    assert re.search(rf"us-east-1, us-west-2 +{DAYS[0]} +InvalidURL", reported)
    assert "FAILED (InvalidURL): Write AWS_ENDPOINT_URL" in reported
    assert "FAILED (SomethingNew): Fix the cause that the error names." in reported


@alone
def test_since_when_an_account_cannot_be_entered(small_lake: SmallLake, tmp_path: Path) -> None:
    never = {"account_id": "222222222222", "region": "eu-west-1", "outcome": "ASSUME_ROLE_DENIED"}
    accounts = [{}, {"account_id": "222222222222", "account_name": "courier"}]
    for day, dark in zip(DAYS, ([never], [never, never | {"account_id": "111111111111"}]), strict=False):
        seen = {"observed": len(dark) == 1}
        small_lake.night(day, accounts=accounts, repositories=[seen], scan_targets=dark)
    settings = Settings(data=tmp_path)
    publish(small_lake.lake, small_lake.catalog, publication_store(settings), owner_tags=())
    reported = io.StringIO()
    print_summary(settings, Console(file=reported, width=200))
    rows = [line.split() for line in reported.getvalue().splitlines() if line.startswith("ASSUME_ROLE_DENIED")]
    assert [" ".join(row[2:7]).removesuffix(" AccessDenied") for row in rows[:2]] == [
        f"shop eu-west-1 {DAYS[1]}",
        f"courier eu-west-1 {DAYS[0]}, never read",
    ]


@alone
def test_missing_and_left_out_accounts_and_regions_are_in_the_summary(summary: Callable[..., str]) -> None:
    accounts = [f"{number:012}" for number in range(14)]
    left_out = {"left_out_accounts": accounts, "left_out_regions": ["eu-west-3"]}
    missing = {"missing_accounts": ["999999999999", "888888888888"], "missing_regions": ["eu-west-9"]}
    reported = " ".join(summary(details=left_out | missing).split())
    first = ", ".join(accounts[:12])
    assert f"Left out ECR_AUDIT_ACCOUNTS leaves out 14 accounts: {first} and 2 more. Not read, and" in reported
    assert "Left out ECR_AUDIT_REGIONS leaves out 1 region: eu-west-3. Not read, and not part of coverage." in reported
    assert (
        "ECR_AUDIT_ACCOUNTS names 2 accounts that the organization does not have: 999999999999, 888888888888"
        in reported
    )
    assert "ECR_AUDIT_REGIONS names 1 region that ECR in this partition does not have: eu-west-9" in reported


@alone
def test_policies_without_their_facets_are_named(summary: Callable[..., str], small_lake: SmallLake) -> None:
    """With the reason, and apart from what was not seen."""
    small_lake.catalog = facet_catalog()
    reported = " ".join(summary(details={"facets": ["registries"], "rotation_nights": 1}).split())
    assert (
        "Not evaluated Repository has no Lifecycle Policy, for 2 repositories in 1 account. Not read there: lifecycle"
        " policy (ECR_AUDIT_COLLECT leaves out lifecycle)."
    ) in reported
    assert "Repository has no Lifecycle Policy: 2 undetermined (2 with a value that was not read)." in reported


@pytest.mark.slow
def test_overwritten_tags_and_policies_without_image_tags_are_reported(
    summary: Callable[..., str], small_lake: SmallLake
) -> None:
    """The nights are read after they are evaluated: the third shows the second."""
    small_lake.catalog = image_tags_catalog()
    off = summary()
    assert "Overwritten last night" not in off
    assert "Not read there: image tags (ECR_AUDIT_IMAGE_TAGS is off)." in " ".join(off.split())
    tags = {DAYS[0]: {"1.0.0": "a", "latest": "a"}, DAYS[1]: {"1.0.0": "b", "latest": "b"}}
    details, denied = {"image_tags": "all"}, {"repository_name": "b", "outcome": "ACCESS_DENIED"}
    for day, image_tags in tags.items():
        small_lake.night(
            day,
            repositories=[{"repository_name": "a", "image_tag_mutability": "MUTABLE"}, {"repository_name": "b"}],
            image_tags=[{"repository_name": "a", "tags": image_tags}, denied],
            details=details,
        )
    reported = " ".join(summary(details=details).split())
    assert (
        "Overwritten last night 2 tags in 1 repository (1 release tag). Image tags of 2026-11-02: 1 of 2 repositories"
        " read, 1 compared."
    ) in reported
