"""The lake in a folder and on S3: the same commits, the same recovery; and what only S3 has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ecr_audit.aws.access import use_access
from ecr_audit.lake import retention
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.s3 import S3
from ecr_audit.lake.schemas import ACCOUNTS, STAGES
from ecr_audit.lake.storage import LakeError
from ecr_audit.publish.build import publish
from support.small_lake import SmallLake

from .conftest import BUCKET, KEY, DyingPuts, EmulatedS3, Killed

DAY, NEXT_DAY, LATER = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
TABLES = len(STAGES["inventory"])
INVENTORY = STAGES["inventory"]

Opener = Callable[..., Lake]


@pytest.fixture(params=["folder", "s3"])
def open_lake(request: pytest.FixtureRequest, tmp_path: Path, s3: EmulatedS3) -> Opener:
    """Opens the same lake again and again, as each task does."""
    root = str(tmp_path / "lake") if request.param == "folder" else f"s3://{BUCKET}/ecr/lake"
    return lambda: Lake(root)


@pytest.fixture
def open_on_s3(s3: EmulatedS3) -> Opener:
    return lambda encryption=None: Lake(f"s3://{BUCKET}/ecr/lake", encryption)


def commit(lake: Lake, *account_ids: str, day: date = DAY) -> Commit:
    with lake.writer("inventory", day) as writer:
        for table in INVENTORY:
            rows = [{"account_id": account_id} for account_id in account_ids]
            writer.write(table, pa.Table.from_pylist(rows, schema=table.schema))
        return writer.commit({"run_id": "test"})


def seen(lake: Lake, day: date = DAY) -> list[list[str]] | None:
    """The account ids of every table of a committed inventory."""
    found = lake.read_commit("inventory", day)
    return [lake.read_table(found, table)["account_id"].to_pylist() for table in INVENTORY] if found else None


def test_a_commit_is_seen_by_whoever_opens_the_lake(open_lake: Opener) -> None:
    assert open_lake().snapshot_dates("inventory") == []
    assert open_lake().read_commit("inventory", DAY) is None
    made = commit(open_lake(), "2", "1")
    assert open_lake().read_commit("inventory", DAY) == made
    assert seen(open_lake()) == [["1", "2"]] * TABLES
    assert open_lake().snapshot_dates("inventory") == [DAY]


def test_a_second_commit_replaces_the_first_and_leaves_no_second_copy(open_lake: Opener) -> None:
    commit(open_lake(), "1")
    commit(open_lake(), "2")
    lake = open_lake()
    assert seen(lake) == [["2"]] * TABLES
    for table in INVENTORY:
        assert len(lake.storage.files(f"{table.name}/snapshot_date={DAY}")) == 1


def test_the_one_before_a_date(open_lake: Opener) -> None:
    first = commit(open_lake(), "1", day=DAY)
    commit(open_lake(), "2", day=NEXT_DAY)
    assert open_lake().previous_commit("inventory", NEXT_DAY) == first
    assert open_lake().previous_commit("inventory", DAY) is None


def test_a_damaged_file_is_named(open_lake: Opener, tmp_path: Path) -> None:
    made = commit(open_lake(), "1")
    (tmp_path / "half").write_bytes(b"PAR1")
    open_lake().storage.move_in(tmp_path / "half", made.files["accounts"][0])
    with pytest.raises(LakeError, match=r"accounts/snapshot_date=2026-03-01/\w+.parquet: cannot be read as Parquet"):
        open_lake().read_table(made, ACCOUNTS)


def test_files_come_back_as_they_were_and_go(open_lake: Opener, tmp_path: Path) -> None:
    lake = open_lake()
    for name in ("a/b/one", "a/two"):
        (tmp_path / "file").write_text(name)
        lake.storage.move_in(tmp_path / "file", name)
    assert (lake.storage.files("a"), lake.storage.folders("a")) == (["a/b/one", "a/two"], ["b"])
    lake.storage.fetch("a/two", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "a/two"
    assert [lake.storage.exists(name) for name in ("a/two", "a/b", "a/three")] == [True, False, False]
    lake.storage.remove_file("a/two")
    lake.storage.remove_folder("a/b")
    assert (lake.storage.files("a"), lake.storage.exists("a/two")) == ([], False)


def test_thinned_and_published(open_lake: Opener, small_lake: SmallLake, tmp_path: Path) -> None:
    for day in (DAY, NEXT_DAY, LATER):
        small_lake.lake = open_lake()
        small_lake.night(day, repositories=[{}])
    assert retention.thin(open_lake(), date(2026, 6, 1), 30, dry_run=False) == [DAY, NEXT_DAY]
    assert open_lake().snapshot_dates("inventory") == [LATER]
    assert open_lake().unthinned_dates() == [LATER]
    publication = publish(open_lake(), small_lake.catalog, tmp_path / "publish", owner_tags=())
    assert publication.rows["policy_run"] == 6


def test_a_writer_that_dies_between_two_puts_costs_no_earlier_snapshot(
    open_on_s3: Opener, s3: EmulatedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each table and the commit file: readers see the old files until the last is put, then the new ones."""
    commit(open_on_s3(), "1")
    before = s3.all_keys()
    puts = DyingPuts(monkeypatch)
    for allowed in range(TABLES + 1):
        puts.left = allowed
        with pytest.raises(Killed):
            commit(open_on_s3(), "2")
        assert seen(open_on_s3()) == [["1"]] * TABLES
    puts.left = TABLES + 1
    commit(open_on_s3(), "2")
    assert seen(open_on_s3()) == [["2"]] * TABLES
    assert len(s3.all_keys()) == len(before), "what the dead left is gone"


def test_a_writer_that_dies_before_it_has_removed_the_old_files(
    open_on_s3: Opener, s3: EmulatedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(open_on_s3(), "1")
    before = len(s3.all_keys())

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(S3, "delete", die)
        with pytest.raises(Killed):
            commit(open_on_s3(), "2")
    assert seen(open_on_s3()) == [["2"]] * TABLES
    commit(open_on_s3(), "3")
    assert (seen(open_on_s3()), len(s3.all_keys())) == ([["3"]] * TABLES, before)


def test_a_night_is_evaluated_and_published_though_listings_are_late(
    open_on_s3: Opener, s3: EmulatedS3, small_lake: SmallLake, tmp_path: Path
) -> None:
    """Each step gets the date from the one before it, and asks for what it needs by name."""
    small_lake.lake = open_on_s3()
    small_lake.night(DAY, repositories=[{}])
    s3.stop_listing()
    small_lake.lake = open_on_s3()
    small_lake.scan(NEXT_DAY, repositories=[{"image_tag_mutability": "IMMUTABLE"}])
    small_lake.lake = open_on_s3()
    small_lake.evaluate(NEXT_DAY)
    assert open_on_s3().snapshot_dates("compliance") == [DAY], "the listing is late indeed"
    publication = publish(open_on_s3(), small_lake.catalog, tmp_path / "publish", owner_tags=(), rolled_up=NEXT_DAY)
    assert (publication.snapshot_date, publication.rows["policy_run"]) == (NEXT_DAY, 4)


def test_a_writer_sees_its_commit_although_listings_are_late(open_on_s3: Opener, s3: EmulatedS3) -> None:
    """As when a task evaluates one night after another."""
    lake = open_on_s3()
    first = commit(lake, "1", day=DAY)
    s3.stop_listing()
    second = commit(lake, "2", day=NEXT_DAY)
    assert lake.snapshot_dates("inventory") == [DAY, NEXT_DAY]
    assert lake.previous_commit("inventory", LATER) == second
    assert open_on_s3().previous_commit("inventory", LATER) == first


@pytest.mark.parametrize(
    ("setting", "reported"),
    [
        (None, (None, None)),
        ("AES256", ("AES256", None)),
        ("aws:kms", ("aws:kms", None)),
        (KEY, ("aws:kms", KEY)),
    ],
)
def test_every_object_is_encrypted_as_set(
    open_on_s3: Opener, s3: EmulatedS3, setting: str | None, reported: tuple[str | None, str | None]
) -> None:
    """Also where nothing but removal is done, for which other clients write objects that stand for folders."""
    s3.asks_for_encryption = setting is not None
    lake = open_on_s3(setting)
    commit(lake, "1")
    commit(lake, "2")
    lake.storage.remove_folder(f"{ACCOUNTS.name}/snapshot_date={DAY}")
    assert set(s3.encryption.values()) == {reported}
    assert len(s3.encryption) == 2 * TABLES + 1


def test_refusals_of_the_bucket_are_named(open_on_s3: Opener, s3: EmulatedS3) -> None:
    s3.asks_for_encryption = True
    with pytest.raises(LakeError, match=r"audit-store/ecr/lake/accounts/.* cannot be written .*AccessDenied"):
        commit(open_on_s3(), "1")


def test_a_lake_may_be_the_whole_bucket(s3: EmulatedS3) -> None:
    made = commit(Lake(f"s3://{BUCKET}"), "1")
    assert s3.all_keys() == {*chain.from_iterable(made.files.values()), f"_commits/inventory/{DAY}.json"}
    assert seen(Lake(f"s3://{BUCKET}/")) == [["1"]] * TABLES


def test_without_credentials_the_setting_is_named(s3: EmulatedS3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    use_access(None)
    with pytest.raises(LakeError, match=r"ECR_AUDIT_LAKE: 's3://audit-store/_commits/.* cannot be read .*credentials"):
        Lake(f"s3://{BUCKET}").read_commit("inventory", DAY)
