"""The lake: files that a commit makes visible, replaces, or refuses to write or read."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ecr_audit.errors import FinalError
from ecr_audit.lake.commits import SCHEMA_VERSION, Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import ACCOUNTS, POLICY_OUTPUT, REGISTRIES, REPOSITORIES, SCAN_TARGETS, STAGES
from ecr_audit.lake.storage import LakeError, Storage
from ecr_audit.lake.tables import LakeTable
from support.lakes import committed
from support.processes import PATIENCE

DAY, NEXT_DAY = date(2026, 3, 1), date(2026, 3, 2)
INVENTORY = STAGES["inventory"]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def rows(table: LakeTable, *account_ids: str) -> pa.Table:
    """One row an account; whatever else the table has is null."""
    return pa.Table.from_pylist([{"account_id": account_id} for account_id in account_ids], schema=table.schema)


def commit(lake: Lake, *account_ids: str, day: date = DAY) -> Commit:
    with lake.writer("inventory", day) as writer:
        for table in INVENTORY:
            writer.write(table, rows(table, *account_ids))
        return writer.commit({"run_id": "test"})


def seen(lake: Lake, day: date = DAY) -> list[list[str]] | None:
    """The account ids of every table of a committed inventory."""
    found = lake.read_commit("inventory", day)
    return [lake.read_table(found, table)["account_id"].to_pylist() for table in INVENTORY] if found else None


def sha256_of(lake: Lake, name: str) -> str:
    return hashlib.sha256((Path(lake.root) / name).read_bytes()).hexdigest()


def files(lake: Lake) -> list[str]:
    return sorted(str(path.relative_to(lake.root)) for path in Path(lake.root).rglob("*") if path.is_file())


def test_nothing_is_there_before_the_first_commit(lake: Lake) -> None:
    assert lake.snapshot_dates("inventory") == []
    assert lake.read_commit("inventory", DAY) is None
    assert lake.previous_commit("inventory", DAY) is None


def test_a_commit_makes_one_sorted_file_a_table_visible(lake: Lake) -> None:
    before = datetime.now(UTC)
    made = commit(lake, "2", "3", "1")
    assert seen(lake) == [["1", "2", "3"]] * len(INVENTORY)
    assert lake.read_commit("inventory", DAY) == made
    assert before <= made.committed_at <= datetime.now(UTC)
    assert made.rows == {table.name: 3 for table in INVENTORY}
    written = [name for name in files(lake) if name.endswith(".parquet")]
    assert made.details == {"run_id": "test", "sha256": {name: sha256_of(lake, name) for name in written}}
    assert files(lake) == [
        "_commits/.lock",
        "_commits/inventory/2026-03-01.json",
        *(f"{name}/snapshot_date=2026-03-01/{made.commit_id}.parquet" for name in sorted(made.files)),
    ]


def test_a_table_of_several_files_is_one_table(lake: Lake, tmp_path: Path) -> None:
    parts = [tmp_path / name for name in ("b", "a", "c")]
    for path, account_ids in zip(parts, (("1", "2"), (), ("3",)), strict=True):
        pq.write_table(rows(REPOSITORIES, *account_ids), path)
    commit(lake, "0")
    with lake.writer("inventory", DAY) as writer:
        for table in (ACCOUNTS, SCAN_TARGETS, REGISTRIES):
            writer.write(table, rows(table, "1"))
        writer.take(REPOSITORIES, parts)
        made = writer.commit({})
    assert lake.read_commit("inventory", DAY) == made
    folder = f"repositories/snapshot_date=2026-03-01/{made.commit_id}"
    assert made.files["repositories"] == tuple(f"{folder}-000{number}.parquet" for number in (1, 2, 3))
    assert made.rows["repositories"] == 3
    assert lake.read_table(made, REPOSITORIES, ["account_id"])["account_id"].to_pylist() == ["1", "2", "3"]
    assert all(part.exists() for part in parts), "who gave them may need them again"
    commit(lake, "4")
    assert seen(lake) == [["4"]] * len(INVENTORY)
    assert len(files(lake)) == 2 + len(INVENTORY)


@pytest.mark.parametrize("lacking", [0, 1, 2])
def test_a_table_that_lacks_one_of_its_files_is_not_read(lake: Lake, tmp_path: Path, lacking: int) -> None:
    """Whether a commit file no longer names it, or another file is in its place."""
    parts = [tmp_path / str(number) for number in range(3)]
    for number, path in enumerate(parts):
        pq.write_table(rows(REPOSITORIES, *["1"] * (number + 1)), path)
    with lake.writer("inventory", DAY) as writer:
        for table in (ACCOUNTS, SCAN_TARGETS, REGISTRIES):
            writer.write(table, rows(table, "1"))
        writer.take(REPOSITORIES, parts)
        made = writer.commit({})
    path = Path(lake.root, "_commits/inventory/2026-03-01.json")
    document = json.loads(path.read_text())
    del document["files"]["repositories"][lacking]
    path.write_text(json.dumps(document))
    with pytest.raises(LakeError, match=r"not a readable commit file|has 3 rows in 2 files, not the 6 that were"):
        damaged = committed(lake, "inventory", DAY)
        lake.read_table(damaged, REPOSITORIES)
    locations = lake.locations(made, REPOSITORIES)
    Path(locations[lacking]).write_bytes(Path(locations[lacking - 1]).read_bytes())
    with pytest.raises(LakeError, match=r"repositories/snapshot_date=2026-03-01: has \d rows in 3 files, not the 6"):
        lake.read_table(made, REPOSITORIES)


def test_a_table_without_rows_is_a_typed_file(lake: Lake) -> None:
    made = commit(lake)
    for table in INVENTORY:
        assert [pq.read_schema(each) for each in lake.locations(made, table)] == [table.schema]


def test_files_are_compressed_with_zstd(lake: Lake) -> None:
    made = commit(lake, "1")
    [path] = lake.locations(made, ACCOUNTS)
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"


def test_a_second_commit_of_a_date_replaces_the_first_and_leaves_no_second_copy(lake: Lake) -> None:
    commit(lake, "1")
    made = commit(lake, "2")
    assert seen(lake) == [["2"]] * len(INVENTORY)
    assert len(files(lake)) == 2 + len(INVENTORY)
    assert all(made.commit_id in name for name in files(lake) if name.endswith(".parquet"))


def test_a_date_that_was_fetched_is_read_on_when_it_is_committed_again(lake: Lake, tmp_path: Path) -> None:
    """As a policy does that is evaluated while the image tags of its night are read once more."""
    first = commit(lake, "111111111111")
    folder = tmp_path / "session"
    files = lake.fetch_table(first, ACCOUNTS, folder)
    commit(lake, "222222222222")
    assert not Path(*lake.locations(first, ACCOUNTS)).exists()
    [path] = files.paths
    assert pq.read_table(path, partitioning=None)["account_id"].to_pylist() == ["111111111111"]
    assert f"snapshot_date={DAY}" in path.parts, "a session finds the date there"


def test_files_that_cannot_be_linked_are_read_where_they_are(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = commit(lake, "111111111111")

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    files = lake.fetch_table(first, ACCOUNTS, tmp_path / "session")
    assert [str(path) for path in files.paths] == lake.locations(first, ACCOUNTS)


def test_dates_and_stages_do_not_touch_each_other(lake: Lake) -> None:
    commit(lake, "2", day=NEXT_DAY)
    commit(lake, "1", day=DAY)
    with lake.writer("compliance", DAY) as writer:
        for table in STAGES["compliance"]:
            writer.write(table, table.schema.empty_table())
        writer.commit({})
    assert (seen(lake, DAY), seen(lake, NEXT_DAY)) == ([["1"]] * len(INVENTORY), [["2"]] * len(INVENTORY))
    assert lake.snapshot_dates("inventory") == [DAY, NEXT_DAY]
    assert lake.snapshot_dates("compliance") == [DAY]
    previous = lake.previous_commit("inventory", NEXT_DAY)
    assert previous is not None and previous.snapshot_date == DAY
    assert lake.previous_commit("inventory", DAY) is None


def test_a_writer_that_gives_up_leaves_nothing(lake: Lake) -> None:
    commit(lake, "1")
    before = files(lake)
    with pytest.raises(ZeroDivisionError), lake.writer("inventory", DAY) as writer:
        writer.write(ACCOUNTS, rows(ACCOUNTS, "2"))
        raise ZeroDivisionError
    with lake.writer("inventory", DAY) as writer:
        writer.write(ACCOUNTS, rows(ACCOUNTS, "2"))
    assert files(lake) == before
    assert list(Path(lake.root, "_scratch").iterdir()) == []


def test_a_table_that_was_not_written_is_refused(lake: Lake) -> None:
    with lake.writer("inventory", DAY) as writer:
        writer.write(SCAN_TARGETS, rows(SCAN_TARGETS, "1"))
        with pytest.raises(LakeError, match="inventory of 2026-03-01: not written: accounts, repositories"):
            writer.commit({})
    assert seen(lake) is None


def mislabelled(schema: pa.Schema) -> pa.Schema:
    return schema.set(0, pa.field("account", pa.string()))


def mistyped(schema: pa.Schema) -> pa.Schema:
    return schema.set(schema.get_field_index("tags"), pa.field("tags", pa.map_(pa.string(), pa.int64())))


def widened(schema: pa.Schema) -> pa.Schema:
    return schema.append(pa.field("registry_id", pa.string()))


def narrowed(schema: pa.Schema) -> pa.Schema:
    return schema.remove(schema.get_field_index("observed"))


@pytest.mark.parametrize("spoil", [mislabelled, mistyped, widened, narrowed])
def test_a_table_of_another_shape_is_refused(lake: Lake, spoil: Callable[[pa.Schema], pa.Schema]) -> None:
    commit(lake, "1")
    with lake.writer("inventory", DAY) as writer:
        for table in INVENTORY:
            writer.write(table, rows(table, "2"))
        pq.write_table(spoil(REPOSITORIES.schema).empty_table(), writer.path(REPOSITORIES))
        with pytest.raises(LakeError, match="repositories: the columns to commit differ"):
            writer.commit({})
    assert seen(lake) == [["1"]] * len(INVENTORY)


def test_rows_that_do_not_fit_a_table_are_refused(lake: Lake) -> None:
    with lake.writer("inventory", DAY) as writer, pytest.raises(ValueError, match="account_id"):
        writer.write(ACCOUNTS, pa.table({"account_id": ["1"]}))


def test_element_names_of_lists_and_maps_do_not_change_the_shape(lake: Lake) -> None:
    made = commit(lake)
    columns = [
        pa.field("tags", pa.map_(pa.field("k", pa.string(), nullable=False), pa.field("v", pa.string())))
        if field.name == "tags"
        else pa.field(field.name, pa.list_(pa.field("element", field.type.value_type)))
        if pa.types.is_list(field.type)
        else field
        for field in REPOSITORIES.schema
    ]
    pq.write_table(pa.schema(columns).empty_table(), *lake.locations(made, REPOSITORIES))
    assert lake.read_table(made, REPOSITORIES).num_rows == 0


@pytest.mark.parametrize("left", [0, 1, 100, 0.5, -1])
def test_a_parquet_file_that_breaks_off_is_named(lake: Lake, left: float) -> None:
    made = commit(lake, "1", "2")
    [path] = map(Path, lake.locations(made, ACCOUNTS))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole)) if isinstance(left, float) else left])
    with pytest.raises(LakeError, match=f"{path}: cannot be read as Parquet"):
        lake.read_table(made, ACCOUNTS)


def test_a_parquet_file_that_is_missing_is_named(lake: Lake) -> None:
    made = commit(lake, "1")
    [location] = lake.locations(made, ACCOUNTS)
    Path(location).unlink()
    with pytest.raises(LakeError, match=f"{location}: cannot be read as Parquet .the file does not exist"):
        lake.read_table(made, ACCOUNTS)


def test_a_parquet_file_of_another_table_is_named(lake: Lake) -> None:
    made = commit(lake, "1")
    pq.write_table(POLICY_OUTPUT.schema.empty_table(), *lake.locations(made, ACCOUNTS))
    with pytest.raises(LakeError, match=r"columns differ from the table's: .*account_name.*policy_id"):
        lake.read_table(made, ACCOUNTS)


@pytest.mark.parametrize("content", ["", "{", '{"schema_version": 2}', "[]", "null", "\x00\xff"])
def test_a_commit_file_that_is_damaged_is_named(lake: Lake, content: str) -> None:
    commit(lake, "1")
    path = Path(lake.root, "_commits/inventory/2026-03-01.json")
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(LakeError, match=rf"{path}: not a readable commit file .*scan that date again"):
        lake.read_commit("inventory", DAY)
    # And scanning that date again fixes it.
    commit(lake, "2")
    assert seen(lake) == [["2"]] * len(INVENTORY)


def test_a_commit_file_that_breaks_off_anywhere_is_named(lake: Lake) -> None:
    commit(lake, "1")
    path = Path(lake.root, "_commits/inventory/2026-03-01.json")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(LakeError, match=f"{path}"):
            lake.read_commit("inventory", DAY)


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        (SCHEMA_VERSION + 1, "A newer version of the audit wrote it: upgrade this one"),
        (1, "No release of the audit wrote it: restore the lake, or set ECR_AUDIT_LAKE"),
        ("two", "No release of the audit wrote it"),
        (None, "No release of the audit wrote it"),
    ],
)
def test_an_unreadable_schema_version_is_reported_with_advice(lake: Lake, version: object, remedy: str) -> None:
    commit(lake, "1")
    path = Path(lake.root, "_commits/inventory/2026-03-01.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": version}))
    reported = f"{path}: of lake schema version {version!r}; this program reads 2 to {SCHEMA_VERSION}. {remedy}"
    # Final, too: a retry would not fix it.
    with pytest.raises(FinalError, match=re.escape(reported)):
        lake.read_commit("inventory", DAY)


def under_a_file(tmp_path: Path) -> str:
    (tmp_path / "file").write_text("")
    return str(tmp_path / "file" / "lake")


def where_nobody_can_write(_: Path) -> str:
    return "/proc/lake"


@pytest.mark.parametrize("place", [under_a_file, where_nobody_can_write])
def test_a_lake_that_cannot_be_written_names_the_setting_and_the_place(
    tmp_path: Path, place: Callable[[Path], str]
) -> None:
    root = place(tmp_path)
    with pytest.raises(LakeError, match=f"ECR_AUDIT_LAKE: '{root}' cannot be written"):
        commit(Lake(root), "1")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"needs leave to mount a small disk: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_reported_and_costs_no_earlier_snapshot(small_disk: Path) -> None:
    lake = Lake(str(small_disk / "lake"))
    commit(lake, "1")
    noise = [os.urandom(20_000).hex() for _ in range(100)]
    with pytest.raises(LakeError, match=f"ECR_AUDIT_LAKE: no space left at '{lake.root}"):
        commit(lake, *noise, day=NEXT_DAY)
    assert seen(lake) == [["1"]] * len(INVENTORY)
    assert lake.snapshot_dates("inventory") == [DAY]
    commit(lake, "2", day=NEXT_DAY)
    assert seen(lake, NEXT_DAY) == [["2"]] * len(INVENTORY)


def test_a_disk_that_is_full_to_the_last_byte_is_reported(small_disk: Path) -> None:
    lake = Lake(str(small_disk / "lake"))
    commit(lake, "1")
    with pytest.raises(OSError, match="No space left"), (small_disk / "hog").open("wb") as hog:
        while True:
            hog.write(bytes(4096))
            hog.flush()
    with pytest.raises(LakeError, match="ECR_AUDIT_LAKE: "):
        commit(lake, "2")
    assert seen(lake) == [["1"]] * len(INVENTORY)


def test_a_committer_waits_for_another_to_be_done(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the first, cleaning up, could remove what the second has moved in but not yet committed."""
    order: list[str] = []
    second_waits = threading.Event()
    second = threading.Thread(target=lambda: commit(lake, "2"), name="second")

    def say(what: str) -> None:
        order.append(f"{threading.current_thread().name} {what}")

    lock, move_in, list_files = fcntl.flock, Storage.move_in, Storage.files

    def watched_lock(*args: Any) -> None:
        if threading.current_thread() is second:
            second_waits.set()
        lock(*args)

    def watched_move_in(self: Storage, *args: Any) -> None:
        say("moves in")
        move_in(self, *args)

    def watched_files(self: Storage, *args: Any) -> list[str]:
        """A committer lists what is there to clean up."""
        if threading.current_thread() is not second and not second_waits.is_set():
            second.start()
            assert second_waits.wait(PATIENCE)
        say("cleans up")
        return list_files(self, *args)

    monkeypatch.setattr(fcntl, "flock", watched_lock)
    monkeypatch.setattr(Storage, "move_in", watched_move_in)
    monkeypatch.setattr(Storage, "files", watched_files)
    commit(lake, "1")
    second.join(PATIENCE)
    assert [each for each in order if each.startswith("second")] == order[1 + 2 * len(INVENTORY) :]
    assert seen(lake) == [["2"]] * len(INVENTORY)
    assert len(files(lake)) == 2 + len(INVENTORY)
