"""Alerts of a published night: their reasons and texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest

from ecr_audit.alerts.message import Message
from ecr_audit.alerts.night import night_messages
from ecr_audit.catalog.waivers import SCHEMA as WAIVERS
from ecr_audit.compliance import KnownWaivers
from ecr_audit.publish.build import publish
from ecr_audit.settings import SQL_ROOT
from support.policies import LIFECYCLE, MOVED_THOUGH_IMMUTABLE, facet_catalog, image_tags_catalog
from support.small_lake import SmallLake

pytestmark = pytest.mark.usefixtures("database_alone")

QUERIES = sorted((SQL_ROOT / "alerts").glob("*.sql"))
POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
FIRST, SECOND = date(2026, 11, 1), date(2026, 11, 2)

Night = Callable[..., list[Message]]


@pytest.fixture
def night(small_lake: SmallLake, tmp_path: Path) -> Night:
    """Scans, evaluates and publishes a night of the given rows; returns its messages."""

    def messages(day: date, *, min_coverage: float = 0, **rows: Any) -> list[Message]:
        small_lake.night(day, **rows)
        published = publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=("owner",))
        return night_messages(published.database, min_coverage, "https://airflow/ecr-audit")

    return messages


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_query_describes_its_rows(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(f"-- {path.stem}: ")
    assert any("from: " in line for line in lines if line.startswith("--"))


def test_a_quiet_night_is_not_reported(night: Night) -> None:
    """Nor the first one, which has nothing to be compared with."""
    assert night(FIRST, repositories=[{}]) == []
    assert night(SECOND, repositories=[{}]) == []


# A waiver in force, but for its id and where it holds.
WAIVER: dict[str, Any] = {
    "policy_id": POLICY,
    "reason": "r",
    "owner": "o",
    "ticket": "RISK-1",
    "approved_by": "a",
    "created": date(2026, 1, 1),
    "expires": date(2027, 1, 1),
}


def waivers_of(*waivers: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([WAIVER | waiver for waiver in waivers], schema=WAIVERS)


def account(number: int, **more: Any) -> dict[str, Any]:
    return {"account_id": f"{number:012}", "account_name": f"n{number}", "state": "ACTIVE", "ou_path": "Root/A"} | more


def target(number: int, region: str, outcome: str, **more: Any) -> dict[str, Any]:
    return {"account_id": f"{number:012}", "region": region, "outcome": outcome, "repository_count": None} | more


def test_accounts_that_are_no_longer_read(night: Night, small_lake: SmallLake) -> None:
    """Of five: 1 never could be entered, 2 is lost in one of two regions, 3 altogether, 4 is closed, 5 is new."""
    regions = [target(1, region, "ACCESS_DENIED") for region in ("eu-west-1", "us-east-1")]
    small_lake.night(FIRST, accounts=[account(n) for n in (1, 2, 3, 4)], scan_targets=regions)
    denied = "ASSUME_ROLE_DENIED"
    [reported] = night(
        SECOND,
        accounts=[*(account(n) for n in (1, 2, 3, 5)), account(4, state="SUSPENDED")],
        scan_targets=[
            *regions,
            target(2, "us-east-1", "FAILED"),
            *(target(3, region, denied, error_code="AccessDenied") for region in ("eu-west-1", "us-east-1")),
            *(target(5, region, denied) for region in ("eu-west-1", "us-east-1")),
        ],
    )
    assert reported.subject == "ECR audit, night of 2026-11-02: 2 accounts with lower coverage"
    assert [line for line in reported.lines if line.startswith("- ")] == [
        "- 000000000003 n3 (Root/A): 0 of 2 regions read; ASSUME_ROLE_DENIED (AccessDenied)",
        "- 000000000002 n2 (Root/A): 1 of 2 regions read; FAILED",
    ]
    assert reported.lines[0] == "1 of 8 account-regions were read: 12.5 %; in the night of 2026-11-01 it was 75.0 %."
    # The reasons of the lost ones, not earlier ones.
    advice = reported.lines[reported.lines.index("What to do:") + 1 :]
    assert [line.partition(":")[0] for line in advice][:3] == [denied, "FAILED", ""]


def test_coverage_under_the_minimum(night: Night) -> None:
    rows = {"accounts": [account(1), account(2)], "scan_targets": [target(1, "eu-west-1", "ACCESS_DENIED")]}
    assert night(FIRST, **rows, min_coverage=0.5) == []
    [reported] = night(SECOND, **rows, min_coverage=0.51)
    assert reported.subject == "ECR audit, night of 2026-11-02: coverage 50.0 % is under the minimum"
    assert "The minimum is 51.0 % (ECR_AUDIT_MIN_COVERAGE)." in reported.lines
    assert "ACCESS_DENIED: Allow ecr:DescribeRepositories to the audit role" in reported.body


def test_settings_that_name_missing_things(night: Night) -> None:
    """Each night until they are corrected: an account that is not audited must not be forgotten."""
    missing = {"missing_accounts": ["999999999999"], "missing_regions": []}
    [reported] = night(FIRST, repositories=[{}], details=missing)
    assert reported.subject == "ECR audit, night of 2026-11-01: settings name unknown accounts or regions"
    assert "ECR_AUDIT_ACCOUNTS names 1 account that the organization does not have: 999999999999." in reported.body
    assert "What to do:" not in reported.lines
    assert len(night(SECOND, repositories=[{}], details=missing)) == 1
    assert night(date(2026, 11, 3), repositories=[{}], details={name: [] for name in missing}) == []


def test_many_lost_accounts_are_counted(night: Night, small_lake: SmallLake) -> None:
    accounts = [account(n) for n in range(1, 14)]
    small_lake.night(FIRST, accounts=accounts)
    [reported] = night(SECOND, accounts=accounts, scan_targets=[target(n, "eu-west-1", "FAILED") for n in range(1, 14)])
    assert "13 accounts with lower coverage" in reported.subject
    assert len([line for line in reported.lines if line.startswith("- ")]) == 10
    assert "… and 3 more accounts" in reported.lines


TAGS_DENIED = {"error_code": "Tags.AccessDeniedException", "error_message": "denied"}


def tagged(day: date, read_on: date | None = None) -> dict[str, Any]:
    """A night of a repository in each of two accounts; the tags of the first, if unread, are those of `read_on`."""
    tags = {"account_id": "000000000001", "tags": {"owner": "team"}}
    unread = {"tags_read_at": datetime.combine(read_on, time(2), UTC)} if read_on else {}
    return {
        "accounts": [account(1), account(2)],
        "repositories": [tags | unread, {"account_id": "000000000002", "tags": {}}],
        "scan_targets": [target(1, "eu-west-1", "COLLECTED", repository_count=1, **TAGS_DENIED)] if read_on else [],
    }


@pytest.mark.slow
def test_tags_that_can_no_longer_be_read(night: Night, small_lake: SmallLake) -> None:
    """Reported when it begins, and not every night."""
    third, fourth, fifth = (SECOND + timedelta(days=n) for n in (1, 2, 3))
    small_lake.night(FIRST, **tagged(FIRST))
    [reported] = night(SECOND, **tagged(SECOND, FIRST))
    assert reported.subject == "ECR audit, night of 2026-11-02: values that could not be read"
    assert reported.lines == (
        "The tags of 1 repository in 1 account could not be read (AccessDeniedException). The owners and waivers of 1"
        " are based on tags last read on 2026-11-01.",
        "",
        "Read the night before, but not tonight:",
        "- 000000000001 n1 (Root/A): tags; Tags.AccessDeniedException",
        "",
        "The last known values count until they are read again.",
        "",
        "https://airflow/ecr-audit/coverage",
    )
    assert night(third, **tagged(third, FIRST)) == []
    assert night(fourth, **tagged(fourth)) == []
    [reported] = night(fifth, **tagged(fifth, fourth))
    assert "last read on 2026-11-04." in reported.lines[0]


def test_a_facet_that_can_no_longer_be_read(night: Night, small_lake: SmallLake) -> None:
    """With the policies that lack it, and the permission."""
    small_lake.catalog = facet_catalog()
    read = {"repository_name": "app", "lifecycle_read_at": datetime(2026, 10, 1, 2, tzinfo=UTC)}
    details = {"facets": ["lifecycle", "registries"], "rotation_nights": 7}
    small_lake.night(FIRST, repositories=[read], details=details)
    denied = {"facets_failed": [{"facet": "lifecycle", "error_code": "AccessDeniedException"}]}
    [reported] = night(SECOND, repositories=[read | denied], details=details)
    assert reported.lines[:5] == (
        "Not evaluated: Repository has no Lifecycle Policy, for 1 repository in 1 account. Not read there: lifecycle"
        " policy (AccessDeniedException). The audit role needs ecr:GetLifecyclePolicy.",
        "",
        "Read the night before, but not tonight:",
        "- 111111111111 shop (Root/Prod): lifecycle policy; AccessDeniedException",
        "",
    )


def test_regions_and_waivers_that_cannot_be_read_are_of_no_account(night: Night, small_lake: SmallLake) -> None:
    small_lake.waivers = waivers_of({"waiver_id": "W", "repository": "*:repository/app"})
    read = {"regions_read_at": "2026-11-01T01:00:00+00:00", "regions_error": None}
    small_lake.night(FIRST, repositories=[{}], details=read)
    read_at = datetime.combine(FIRST, time(4), UTC)
    small_lake.waivers_unread = KnownWaivers(small_lake.waivers, read_at, "s3://bucket/waivers.yaml cannot be read")
    [reported] = night(SECOND, repositories=[{}], details=read | {"regions_error": "UnauthorizedOperation"})
    assert reported.lines[:6] == (
        "The file of waivers (ECR_AUDIT_WAIVERS) could not be read: the waivers last read on 2026-11-01 count, for 1"
        " repository.",
        "EC2 did not return the regions (ec2:DescribeRegions in the hub account): those that it returned on 2026-11-01"
        " were used.",
        "",
        "Read the night before, but not tonight:",
        "- file of waivers, list of regions; UnauthorizedOperation, s3://bucket/waivers.yaml cannot be read",
        "",
    )


def test_an_account_whose_unit_cannot_be_read(night: Night, small_lake: SmallLake) -> None:
    def read(day: date, read_on: date | None) -> dict[str, Any]:
        moment = datetime.combine(day, time(1), UTC)
        details = read_on and datetime.combine(read_on, time(1), UTC)
        return {"collected_at": moment, "details_read_at": details}

    small_lake.night(FIRST, accounts=[account(1, **read(FIRST, FIRST))], repositories=[])
    unread = [account(1, **read(SECOND, FIRST)), account(2, ou_path=None, **read(SECOND, None))]
    [reported] = night(
        SECOND, accounts=unread, repositories=[{"account_id": "000000000001", "image_tag_mutability": ""}]
    )
    assert reported.lines[0] == (
        "The name or unit of 2 accounts could not be read. For 1, with 1 repository, those last read on 2026-11-01"
        " count. The unit of 1 is unknown."
    )
    assert reported.lines[3:5] == ("- 000000000001 n1 (Root/A): name or unit", "- 000000000002 n2: name or unit")


def test_new_findings_by_owner_and_unit_with_the_omitted_ones_counted(night: Night, small_lake: SmallLake) -> None:
    """Owner 0 has five, the others one each: 12 owners, of which 10 are listed."""

    def repository(name: str, owner: int) -> dict[str, Any]:
        return {"repository_name": name, "tags": [("owner", f"team-{owner:02}")]}

    old = [{"repository_name": "old"}, {"repository_name": "good", "image_tag_mutability": "IMMUTABLE"}]
    small_lake.night(FIRST, repositories=old)
    new = [repository(f"r{n}", 0) for n in range(5)] + [repository(f"o{n}", n) for n in range(1, 12)]
    [reported] = night(SECOND, repositories=[*old, *new])
    assert reported.subject == "ECR audit, night of 2026-11-02: 16 new findings"
    assert reported.lines[1:7] == (
        "",
        "team-00 (Root/Prod): 5",
        "- r0, eu-west-1, 111111111111 shop",
        "- r1, eu-west-1, 111111111111 shop",
        "- r2, eu-west-1, 111111111111 shop",
        "… and 2 more repositories",
    )
    assert len([line for line in reported.lines if re.fullmatch(r"team-\d\d \(.*\): \d", line)]) == 10
    link = f"https://airflow/ecr-audit/findings?policy={quote(POLICY, safe='')}"
    assert reported.lines[-3:] == ("… and 2 findings more, of 2 other owners", "", link)


def test_several_policies_are_one_message_with_the_most_severe_first(night: Night, small_lake: SmallLake) -> None:
    """Each with its own link, and with three owners. What is read for the first time is not new."""
    small_lake.catalog = facet_catalog()
    details = {"facets": ["lifecycle", "registries"], "rotation_nights": 7}

    def read(day: date, **more: Any) -> dict[str, Any]:
        return {"lifecycle_read_at": datetime.combine(day, time(2), UTC)} | more

    small_lake.night(
        FIRST,
        repositories=[{"repository_name": "unread"}, read(FIRST, repository_name="kept", lifecycle_policy="{}")],
        registries=[{}],
        details=details,
    )
    templates = [{"prefix": "ROOT", "image_tag_mutability": "MUTABLE"}]
    new = [
        read(
            SECOND,
            repository_name=f"r{n}",
            tags={"owner": f"team-{n}"},
            created_at=datetime(2026, 11, 1, 12, tzinfo=UTC),
        )
        for n in range(5)
    ]
    [reported] = night(
        SECOND,
        repositories=[read(SECOND, repository_name="unread"), read(SECOND, repository_name="kept"), *new],
        registries=[{"registries_read_at": datetime.combine(SECOND, time(2), UTC), "creation_templates": templates}],
        details=details,
    )
    assert reported.subject == "ECR audit, night of 2026-11-02: 11 new findings under 2 policies"
    headings = [line for line in reported.lines if "New or reopened" in line]
    assert [line.partition(" (")[0] for line in headings] == [
        "Repository has no Lifecycle Policy",
        "Repository Image Tag Mutability is set to Mutable",
    ]
    assert "- kept, eu-west-1, 111111111111 shop" in reported.lines
    assert not any("unread" in line or "registry" in line for line in reported.lines)
    assert reported.lines.count("… and 3 findings more, of 3 other owners") == 1
    links = [line for line in reported.lines if line.startswith("https://")]
    assert links == [
        f"https://airflow/ecr-audit/findings?policy={quote(each, safe='')}" for each in (LIFECYCLE, POLICY)
    ]


def test_reopened_findings_are_new_and_waived_ones_are_not(night: Night, small_lake: SmallLake) -> None:
    small_lake.waivers = waivers_of({"waiver_id": "W", "repository": "*:repository/accepted"})
    back = {"repository_name": "back"}
    small_lake.night(FIRST, repositories=[back])
    small_lake.night(SECOND, repositories=[back | {"image_tag_mutability": "IMMUTABLE"}])
    [reported] = night(date(2026, 11, 3), repositories=[back, {"repository_name": "accepted"}])
    assert [line for line in reported.lines if line.startswith("- ")] == ["- back, eu-west-1, 111111111111 shop"]


def test_a_waiver_is_reported_three_times(night: Night, small_lake: SmallLake) -> None:
    """30 and 7 days before its end, and after it; one that covers nothing never. By the days that are left of it."""
    reported = {
        31: None,
        30: "ends on 2026-12-02, in 30 days; covers 1 finding",
        29: None,  # reported the night before
        8: None,
        7: "ends on 2026-11-09, in 7 days; covers 1 finding",
        1: None,
        0: "ended on 2026-11-02; 1 finding no longer waived",
        -1: None,
    }
    waivers = [
        {"waiver_id": f"W{days_left}{kind}", "repository": f"*:repository/{kind}{days_left}"}
        | {"expires": SECOND + timedelta(days=days_left)}
        for days_left in reported
        for kind in ("app", "none")
    ]
    small_lake.waivers = waivers_of(*waivers)
    repositories = [{"repository_name": f"app{days_left}"} for days_left in reported]
    small_lake.night(FIRST, repositories=repositories)
    lines = [line for each in night(SECOND, repositories=repositories) for line in each.lines]
    assert sorted(line for line in lines if line.startswith("- ")) == sorted(
        f"- W{days_left}app (RISK-1, o): {line}" for days_left, line in reported.items() if line
    )


def test_owners_of_one_name_are_distinguished(night: Night, small_lake: SmallLake) -> None:
    """A team that tags name, and two accounts in one unit, all called n1."""
    accounts = [account(1), account(2, account_name="n1")]
    small_lake.night(FIRST, accounts=accounts)
    [reported] = night(
        SECOND,
        accounts=accounts,
        repositories=[
            {"account_id": "000000000001", "repository_name": "tagged", "tags": [("owner", "n1")]},
            {"account_id": "000000000001", "repository_name": "untagged"},
            {"account_id": "000000000002", "repository_name": "other"},
        ],
    )
    headings = [line for line in reported.lines if line.endswith(" (Root/A): 1")]
    assert sorted(headings) == ["000000000001 n1 (Root/A): 1", "000000000002 n1 (Root/A): 1", "n1 (Root/A): 1"]


def test_a_waiver_whose_unit_was_renamed_or_replaced_is_reported_once(night: Night, small_lake: SmallLake) -> None:
    """A is renamed, B's path goes to another unit, C's waiver names it by its id, D is as it was, E's ended."""
    ids = {name: f"ou-test-0000000{name.lower()}" for name in "ABCDE"}
    small_lake.waivers = waivers_of(
        *({"waiver_id": name, "ou_path": f"Root/{name}"} for name in "ABD"),
        {"waiver_id": "C", "ou_id": ids["C"]},
        {"waiver_id": "E", "ou_path": "Root/E", "expires": FIRST},
    )

    def accounts(**renamed: str) -> list[dict[str, Any]]:
        return [
            account(number, ou_path=f"Root/{renamed.get(name, name)}", unit_ids=["r-test", ids[name]])
            for number, name in enumerate("ABCDE", 1)
        ]

    small_lake.night(FIRST, accounts=accounts())
    changed = {"accounts": accounts(A="F", B="G", C="B", E="H")}
    [reported] = night(SECOND, **changed)
    assert reported.subject == "ECR audit, night of 2026-11-02: 2 waivers whose unit changed"
    assert [line for line in reported.lines if line.startswith("- ")] == [
        "- A (RISK-1, o): Root/A has no accounts now",
        "- B (RISK-1, o): Root/B is another unit now, ou-test-0000000c",
    ]
    assert night(date(2026, 11, 3), **changed) == []


def test_names_are_shown_and_do_nothing(night: Night, small_lake: SmallLake) -> None:
    """An owner's tag and an account's name, with a line break that would make a line of its own."""
    small_lake.night(FIRST, repositories=[])
    hostile = {"account_name": "shop\n- 999999999999 forged", "ou_path": "Root/<!channel>\u202e"}
    [reported] = night(
        SECOND,
        accounts=[account(1, **hostile)],
        repositories=[{"account_id": "000000000001", "tags": [("owner", "me\r\nSubject: forged")]}],
    )
    assert "me Subject: forged (Root/<!channel>): 1" in reported.lines
    assert "- app, eu-west-1, 000000000001 shop - 999999999999 forged" in reported.lines


@pytest.mark.slow
def test_overwritten_tags_are_reported_once(night: Night, small_lake: SmallLake) -> None:
    """By the first publication with the image tags of their night; a tag that is meant to move is not."""
    small_lake.catalog = image_tags_catalog()
    open_one = {"repository_name": "team/app", "tags": {"owner": "web"}, "image_tag_mutability": "MUTABLE"}
    sealed = {"repository_name": "team/sealed", "image_tag_mutability": "IMMUTABLE"}
    rows = {"repositories": [open_one, sealed], "details": {"image_tags": "all"}}

    def image_tags(app: dict[str, str], prod: str) -> list[dict[str, Any]]:
        app_tags = {"repository_name": "team/app", "tags": app}
        return [app_tags, {"repository_name": "team/sealed", "tags": {"prod": prod}}]

    old, new = (f"sha256:{letter * 64}" for letter in "ab")
    releases = [f"1.4.{number}" for number in range(5)]
    days = [FIRST + timedelta(days=number) for number in range(5)]
    before = image_tags({"latest": old} | dict.fromkeys(releases, old), old)
    assert night(days[0], **rows, image_tags=before) == []
    after = image_tags({"latest": new} | dict.fromkeys(releases, new), new)
    assert night(days[1], **rows, image_tags=after) == []
    [reported] = night(days[2], **rows)
    assert reported.subject == (
        "ECR audit, night of 2026-11-03: 5 release tags overwritten, 1 tag overwritten though immutable"
    )
    assert reported.lines == (
        "They point to another image than at the last complete read of their repository.",
        "",
        "team/app, eu-west-1, 111111111111 shop (Root/Prod); owner web",
        "- 1.4.0: sha256:aaaaaaaaaaaa to sha256:bbbbbbbbbbbb",
        "- 1.4.1: sha256:aaaaaaaaaaaa to sha256:bbbbbbbbbbbb",
        "- 1.4.2: sha256:aaaaaaaaaaaa to sha256:bbbbbbbbbbbb",
        "… and 2 more tags",
        "",
        "team/sealed, eu-west-1, 111111111111 shop (Root/Prod); owner shop",
        "- prod: sha256:aaaaaaaaaaaa to sha256:bbbbbbbbbbbb, though immutable",
        "",
        "https://airflow/ecr-audit/",
    )
    # No newer night was read: nothing new. And what moves back is reported, unless it is waived.
    assert night(days[3], **rows, image_tags=before) == []
    small_lake.waivers = waivers_of(
        {"waiver_id": "w", "policy_id": MOVED_THOUGH_IMMUTABLE, "repository": "*/team/sealed"}
    )
    [reported] = night(days[4], **rows)
    assert reported.subject == "ECR audit, night of 2026-11-05: 5 release tags overwritten"
    assert "- 1.4.0: sha256:bbbbbbbbbbbb to sha256:aaaaaaaaaaaa, back to an earlier image" in reported.lines
    assert not any("sealed" in line for line in reported.lines)
