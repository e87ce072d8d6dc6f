"""The demo's history: its events, and that it fits to the nights of `make audit`."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from demo import story as plot
from demo.emulated_aws.world import Repository, World
from demo.history import HistoryError, write_history
from demo.image_tags import BUILT_TWICE, moves_between, with_images
from demo.organization import demo_world
from demo.story import NIGHTS, Story
from ecr_audit.catalog import Catalog
from ecr_audit.compliance import evaluate, roll_up
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import ACCOUNTS, POLICY_OUTPUT, REGISTRIES, REPOSITORIES, SCAN_TARGETS, STAGES, TAG_MOVES
from ecr_audit.publish.build import publish
from support.lakes import committed
from support.small_lake import SmallLake

pytestmark = [pytest.mark.usefixtures("database_alone"), pytest.mark.slow]

TODAY = date(2026, 11, 23)
OWNER_TAGS = ("owner",)
POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
LAST = NIGHTS - 1
# Before, during and after what happened to the two accounts.
FEW = (plot.DARK_NIGHTS[0] - 1, plot.DARK_NIGHTS[0], plot.SUSPENSION_NIGHT - 1, LAST)


@pytest.fixture
def story() -> Story:
    return Story(date(2026, 8, 25))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def mutable_share(world: World, unit: str = "Root") -> float:
    found = Counter(
        repository.image_tag_mutability == "MUTABLE"
        for account_id, region in world.targets()
        if world.ou_path(account_id).startswith(unit)
        for repository in world.repositories(account_id, region)
    )
    return found[True] / found.total()


def rows(lake: Lake, day: date, stage: str, table: Any) -> list[dict[str, Any]]:
    commit = committed(lake, stage, day)
    return list(lake.read_table(commit, table).to_pylist())


def test_the_last_night_is_as_make_audit_finds_the_organization(story: Story) -> None:
    last, audited = story.world(LAST), demo_world(1)
    assert last.accounts == audited.accounts
    for target in audited.targets():
        assert list(last.repositories(*target)) == list(audited.repositories(*target))


def test_it_gets_better_but_for_one_week(story: Story) -> None:
    before, bad, after = plot.BAD_WEEK[0] - 1, plot.BAD_WEEK[-1], plot.BAD_WEEK[-1] + 25
    shares = [mutable_share(story.world(night)) for night in (0, before, after, LAST)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] - shares[-1] > 0.1
    assert mutable_share(story.world(bad)) > shares[1] + 0.05


def test_findings_of_that_week_are_fixed_after_varying_times(story: Story) -> None:
    """A quarter within a week, half within two, a tenth much later; no one length is the rule."""

    def mutable_on(night: int) -> set[tuple[str, str, str]]:
        world = story.world(night)
        return {
            (*target, each.name)
            for target in world.targets()
            for each in world.repositories(*target)
            if each.image_tag_mutability == "MUTABLE"
        }

    nights = [mutable_on(night) for night in range(plot.BAD_WEEK[0] - 1, plot.NIGHTS)]
    broke = {each for before, now in itertools.pairwise(nights[: len(plot.BAD_WEEK) + 1]) for each in now - before}
    broke -= nights[-1]
    lengths = sorted(sum(each in night for night in nights[1:]) for each in broke - nights[0])
    at = {share: lengths[int(share * len(lengths))] for share in (0.25, 0.5, 0.9)}
    assert at[0.25] < 7 < at[0.5] < 14 < at[0.9], at
    assert max(Counter(lengths).values()) < len(lengths) / 4


def test_one_unit_is_fixed_in_a_week(story: Story) -> None:
    before, after = (
        mutable_share(story.world(night), plot.FIXED_UNIT) for night in (plot.FIX_WEEK[0] - 1, plot.FIX_WEEK[-1] + 1)
    )
    assert before > 0.8
    assert after < 0.4


def test_some_repositories_are_deleted_and_created_again_under_their_name(story: Story) -> None:
    lives: dict[tuple[str, str, str], list[float]] = {}
    for night in range(NIGHTS):
        world = story.world(night)
        for target in plot.TRIALS:
            for repository in world.repositories(*target):
                seen = lives.setdefault((*target, repository.name), [])
                if repository.created_at not in seen:
                    seen.append(repository.created_at)
    assert Counter(map(len, lives.values()))[2] == 8


def test_accounts_go_dark_are_suspended_and_move(lake: Lake, catalog: Catalog) -> None:
    dates = write_history(lake, catalog, TODAY, owner_tags=OWNER_TAGS, nights=FEW)
    assert dates[-1] == TODAY - timedelta(days=2), "yesterday is where make audit begins"

    def statuses(day: date, account_id: str) -> set[str]:
        found = rows(lake, day, "compliance", POLICY_OUTPUT)
        return {row["status"] for row in found if (row["account_id"], row["policy_id"]) == (account_id, POLICY)}

    evaluated = {"COMPLIANT", "INCOMPLIANT"}
    assert [statuses(day, plot.DARK_ACCOUNT) for day in dates] == [evaluated, {"UNDETERMINED"}, evaluated, evaluated]
    assert [statuses(day, plot.SUSPENDED_ACCOUNT) for day in dates] == [evaluated] * 3 + [{"INAPPLICABLE"}]
    units = [
        next(
            row["ou_path"] for row in rows(lake, day, "inventory", ACCOUNTS) if row["account_id"] == plot.MOVED_ACCOUNT
        )
        for day in dates
    ]
    assert units == ["Root/Sandbox"] * 2 + ["Root/Workloads/Production/Storefront"] * 2


def test_a_night_is_missing_and_a_region_has_an_outage(lake: Lake, catalog: Catalog) -> None:
    dates = write_history(lake, catalog, TODAY, owner_tags=OWNER_TAGS, nights=(plot.NOT_AUDITED, plot.OUTAGE_NIGHT))
    assert lake.snapshot_dates("inventory") == lake.snapshot_dates("compliance") == dates
    [day] = dates
    failed = [row for row in rows(lake, day, "inventory", SCAN_TARGETS) if row["outcome"] == "FAILED"]
    assert {row["region"] for row in failed} == {plot.OUTAGE_REGION}
    assert all(row["error_code"] and row["repository_count"] is None for row in failed)


def test_written_again_it_is_the_same(lake: Lake, catalog: Catalog) -> None:
    days = write_history(lake, catalog, TODAY, owner_tags=OWNER_TAGS, nights=[LAST])
    tables = [("inventory", REPOSITORIES), ("inventory", SCAN_TARGETS), ("compliance", POLICY_OUTPUT)]
    before = [rows(lake, days[0], *table) for table in tables]
    assert write_history(lake, catalog, TODAY + timedelta(days=5), owner_tags=OWNER_TAGS, nights=[LAST]) == days
    assert [rows(lake, days[0], *table) for table in tables] == before


def test_an_audit_that_is_there_continues_it(small_lake: SmallLake, tmp_path: Path) -> None:
    lake, catalog = small_lake.lake, small_lake.catalog
    [audited] = write_history(lake, catalog, TODAY, owner_tags=OWNER_TAGS, nights=[LAST])
    forget_run_id(lake, audited)
    evaluate(lake, catalog, audited, owner_tags=OWNER_TAGS)
    roll_up(lake, catalog, audited)
    [day] = write_history(lake, catalog, TODAY, owner_tags=OWNER_TAGS, nights=[LAST])
    assert day == audited - timedelta(days=1)
    continued = rows(lake, audited, "compliance", POLICY_OUTPUT)
    assert {row["status_date"] for row in continued} == {day}
    assert publish(lake, catalog, tmp_path / "publish", owner_tags=OWNER_TAGS).snapshot_date == audited


def test_an_existing_audit_is_continued_as_a_later_scan_would(small_lake: SmallLake) -> None:
    """A scan carries over what it cannot read. The audit's own was before there was anything to carry over."""
    lake, catalog = small_lake.lake, small_lake.catalog
    before, last = plot.SUSPENSION_NIGHT - 1, LAST
    [audited] = write_history(lake, catalog, TODAY, owner_tags=OWNER_TAGS, nights=[last])
    forget_run_id(lake, audited)
    assert plot.SUSPENDED_ACCOUNT not in {row["account_id"] for row in rows(lake, audited, "inventory", REPOSITORIES)}
    for _ in range(2):  # Written again, nothing is added twice.
        dates = write_history(lake, catalog, TODAY, owner_tags=OWNER_TAGS, nights=[before, last])
        assert dates[-1] == audited - timedelta(days=1)
        night, now = (rows(lake, day, "inventory", REPOSITORIES) for day in (dates[-1], audited))
        assert [row["repository_arn"] for row in now] == [row["repository_arn"] for row in night]
        kept = [row for row in now if row["account_id"] == plot.SUSPENDED_ACCOUNT]
        assert len(kept) == 5
        kept += [
            row for row in rows(lake, audited, "inventory", REGISTRIES) if row["account_id"] == plot.SUSPENDED_ACCOUNT
        ]
        assert len(kept) == 6
        assert not any(row["observed"] for row in kept)
        verdicts = rows(lake, audited, "compliance", POLICY_OUTPUT)
        evaluated = {row["object_id"] for row in verdicts if row["status"] != "DISAPPEARED"}
        assert evaluated == {row["repository_arn"] for row in now}
    commit = committed(lake, "inventory", audited)
    assert commit.details["run_id"] == "scheduled"


def forget_run_id(lake: Lake, day: date, **details: Any) -> None:
    """Commit a night of the history again, as if an audit had scanned it."""
    commit = committed(lake, "inventory", day)
    with lake.writer("inventory", day) as writer:
        for table in STAGES["inventory"]:
            writer.write(table, lake.read_table(commit, table))
        writer.commit({**commit.details, "run_id": "scheduled", **details})


def test_a_lake_of_another_organization_is_refused_and_left_alone(lake: Lake, catalog: Catalog) -> None:
    [day] = write_history(lake, catalog, TODAY, owner_tags=OWNER_TAGS, nights=[LAST])
    forget_run_id(lake, day, organization_id="o-somebody-else")
    with pytest.raises(HistoryError, match="snapshots of organization o-somebody-else"):
        write_history(lake, catalog, TODAY, owner_tags=OWNER_TAGS)
    assert lake.snapshot_dates("inventory") == [day]


def with_tags(world: World, nights_ago: int) -> World:
    """The world with its images of some nights ago, which the story leaves out."""

    def repositories(account_id: str, region: str) -> list[Repository]:
        target = account_id, region
        return [with_images(target, each, nights_ago) for each in world.repositories(*target)]

    return replace(world, repository_source=repositories)


def test_image_tags_that_moved_are_those_of_the_story(lake: Lake, catalog: Catalog) -> None:
    """A release was built twice 22 nights before the demo's day, and put right two nights later."""
    nights = range(NIGHTS - 22, NIGHTS - 18)
    dates = write_history(lake, catalog, TODAY, owner_tags=OWNER_TAGS, nights=nights, image_tag_nights=len(nights))
    story = Story(dates[0] - timedelta(days=nights[0]))
    worlds = [with_tags(story.world(night), NIGHTS + 1 - night) for night in nights]
    kinds = []
    for (before, now), day in zip(itertools.pairwise(worlds), dates[1:], strict=True):
        found = rows(lake, day, "image_tags", TAG_MOVES)
        moves = {(row["repository_arn"], row["tag"], row["new_digest"]) for row in found}
        assert moves == {(move.repository_arn, move.tag, move.new_digest) for move in moves_between(before, now)}
        kinds.append([row["kind"] for row in found if row["tag"] == BUILT_TWICE.tag])
        assert committed(lake, "compliance", day).details["image_tags_date"] == day.isoformat()
    assert kinds == [["moved"], [], ["moved_back"]]
