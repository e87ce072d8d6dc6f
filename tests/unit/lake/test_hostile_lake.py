"""A lake into which somebody else has written: nothing outside is read or written, and each error names the file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ecr_audit.compliance import evaluate, roll_up
from ecr_audit.inventory.parts import REPOSITORIES_FILE, read_part, targets_name
from ecr_audit.inventory.plan_files import Plan, PlanError, read_plan, read_plan_table, write_plan_table
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import ACCOUNTS, REPOSITORIES, SCAN_TARGETS
from ecr_audit.lake.storage import LakeError
from support.small_lake import SmallLake

DAY = date(2026, 11, 1)
PLAN_ID = "20261101T020000000000-abcdef"

Document = dict[str, Any]


def changed(**values: Any) -> Callable[[Path], None]:
    """Changes fields of a JSON file."""

    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def changed_evaluation(**values: Any) -> Callable[[Path], None]:
    """Changes fields of the evaluation that a note vouches for."""

    def change(path: Path) -> None:
        document = json.loads(path.read_text())
        path.write_text(json.dumps(document | {"evaluation": document["evaluation"] | values}))

    return change


def naming(*names: str) -> Callable[[Path], None]:
    """Makes a commit name other files for one of its tables."""

    def change(path: Path) -> None:
        files = json.loads(path.read_text())["files"]
        table = "repositories" if "repositories" in files else "policy_output"
        changed(files=files | {table: names})(path)

    return change


def replaced(make: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Puts something else in a file's place."""

    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


NOT_A_DOCUMENT: dict[str, Callable[[Path], object]] = {
    "a list": lambda path: path.write_text("[]"),
    "deep": lambda path: path.write_bytes(b'{"schema_version":' + b"[" * 100_000),
    "huge": lambda path: path.write_bytes(b" " * (17 << 20)),
    "not UTF-8": lambda path: path.write_bytes(b'{"schema_version": "\xff"}'),
    "a pipe": replaced(os.mkfifo),
    "a folder": replaced(Path.mkdir),
}
# As the second file of a table would be called, by another commit.
NUMBERED = "repositories/snapshot_date=2026-11-01/0123456789ab"
COMMITS = NOT_A_DOCUMENT | {
    "an absolute path": naming("/etc/x.parquet"),
    "a path upwards": naming("repositories/snapshot_date=2026-11-01/../../../x.pth"),
    "a file of another date": naming("repositories/snapshot_date=2026-10-31/0123456789ab.parquet"),
    "a NUL": naming("repositories/snapshot_date=2026-11-01/\0.parquet"),
    "an address": naming("http://127.0.0.1/x.parquet"),
    "a path among several": naming(f"{NUMBERED}-0001.parquet", "repositories/snapshot_date=2026-11-01/../x.parquet"),
    "a number left out": naming(f"{NUMBERED}-0001.parquet", f"{NUMBERED}-0003.parquet"),
    "no file of a table": naming(),
    "one name as text": changed(files={"repositories": "/etc/x.parquet"}),
    "a number for a name": changed(files={"repositories": [1]}),
    "a table without a count of rows": changed(rows={}),
    "an unknown table": changed(files={"../x": "../x/snapshot_date=2026-11-01/0123456789ab.parquet"}),
    "files as a list": changed(files=["repositories"]),
    "rows as text": changed(rows={"repositories": "many"}),
    "another date": changed(snapshot_date="2026-10-31"),
    "no date": changed(snapshot_date="today"),
    "another stage": changed(stage="compliance"),
    "an id that is a path": changed(commit_id="../0123456789"),
    "details as text": changed(details="none"),
}
NOTES = NOT_A_DOCUMENT | {
    "no run time": changed_evaluation(run_time=None),
    "policies as a list": changed_evaluation(policies=[]),
    "no parts": changed(parts=0),
    "too many parts": changed(parts=10**12),
    "parts as a path": changed(parts="../x"),
}
PLANS = NOT_A_DOCUMENT | {
    "another plan": changed(plan_id="../../outside"),
    "no date": changed(snapshot_date="today"),
    "a limit as text": changed(limited="no"),
}


@pytest.mark.parametrize("damage", COMMITS)
def test_a_commit_names_its_own_files_and_nothing_else(small_lake: SmallLake, damage: str) -> None:
    small_lake.scan(DAY, repositories=[{}])
    path = Path(small_lake.lake.root, "_commits/inventory/2026-11-01.json")
    COMMITS[damage](path)
    with pytest.raises(LakeError, match=rf"{path}(: not a readable commit file|' cannot be read)") as refused:
        small_lake.lake.read_commit("inventory", DAY)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("name", ["2026-11-01 (copy).json", "20261101.json", "2026-02-31.json", "\u202e.json"])
def test_a_name_that_is_not_a_date_is_named(small_lake: SmallLake, name: str) -> None:
    small_lake.scan(DAY, repositories=[{}])
    Path(small_lake.lake.root, "_commits/inventory", name).touch()
    with pytest.raises(LakeError, match="is not a name that the audit uses") as refused:
        small_lake.lake.snapshot_dates("inventory")
    assert str(refused.value).isprintable()


def test_a_folder_that_is_not_a_date_is_named(small_lake: SmallLake) -> None:
    Path(small_lake.lake.root, "repositories/snapshot_date=..").mkdir(parents=True)
    with pytest.raises(LakeError, match=r"repositories: 'snapshot_date=\.\.' is not a name"):
        small_lake.lake.unthinned_dates()


@pytest.mark.parametrize("relative", ["../x", "a/../../x", "/etc/x", "linked/x", "linked", "a\0b"])
def test_nothing_is_read_or_written_outside_of_the_lake(tmp_path: Path, relative: str) -> None:
    lake = Lake(str(tmp_path / "lake"))
    outside = tmp_path / "outside"
    for folder in (outside, tmp_path / "lake"):
        folder.mkdir()
    (outside / "x").write_text("untouched")
    (tmp_path / "lake" / "linked").symlink_to(outside)
    # An absolute name is below the lake, too: then there is nothing there.
    given = str(outside / "x") if relative.startswith("/") else relative
    new = tmp_path / "new"
    new.write_text("new")
    for act in (
        lambda: lake.storage.absolute(given),
        lambda: lake.storage.exists(given),
        lambda: lake.storage.fetch(given, tmp_path / "copy"),
        lambda: lake.storage.move_in(new, given),
        lambda: lake.storage.fetched(given, tmp_path / "copies"),
        lambda: lake.storage.remove_file(given),
        lambda: lake.storage.remove_folder(given),
    ):
        try:
            act()
        except (LakeError, FileNotFoundError):
            continue
    assert (outside / "x").read_text() == "untouched"
    assert not (tmp_path / "copy").exists()


def test_a_pipe_in_place_of_a_table_is_not_waited_for(small_lake: SmallLake) -> None:
    made = small_lake.scan(DAY, repositories=[{}])
    [path] = map(Path, small_lake.lake.locations(made, ACCOUNTS))
    replaced(os.mkfifo)(path)
    with pytest.raises(LakeError, match=r"accounts/.*: cannot be read as Parquet"):
        small_lake.evaluate(DAY)


@pytest.mark.parametrize("damage", NOTES)
def test_the_note_of_an_evaluation_is_checked(small_lake: SmallLake, damage: str) -> None:
    small_lake.scan(DAY, repositories=[{}])
    evaluate(small_lake.lake, small_lake.catalog, DAY, owner_tags=())
    path = Path(small_lake.lake.root, "_parts/compliance/2026-11-01/evaluation.json")
    NOTES[damage](path)
    # Only a file counts as a note.
    with pytest.raises(Exception, match=r"evaluation\.json(: not readable|' cannot be read)|have not been evaluated"):
        roll_up(small_lake.lake, small_lake.catalog, DAY)


@pytest.fixture
def plan(small_lake: SmallLake) -> Plan:
    """A plan in the lake."""
    made = Plan(PLAN_ID, DAY, "run", "o-organization", "111111111111", "aws", False)
    folder = Path(small_lake.lake.root, made.folder)
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(vars(made), default=str))
    return made


def test_a_plan_is_read_as_it_was_written(small_lake: SmallLake, plan: Plan) -> None:
    assert read_plan(small_lake.lake, PLAN_ID) == plan


@pytest.mark.parametrize("damage", PLANS)
def test_a_plan_is_checked(small_lake: SmallLake, plan: Plan, damage: str) -> None:
    PLANS[damage](Path(small_lake.lake.root, plan.folder, "plan.json"))
    with pytest.raises(LakeError, match=r"plan\.json"):
        read_plan(small_lake.lake, PLAN_ID)


@pytest.mark.parametrize("plan_id", ["../../etc", "x", f"{PLAN_ID}/../x", f"{PLAN_ID}\n", ""])
def test_the_id_of_a_plan_is_not_a_path(small_lake: SmallLake, plan_id: str) -> None:
    with pytest.raises(PlanError, match="is not the id of a plan"):
        read_plan(small_lake.lake, plan_id)


@pytest.mark.parametrize(
    "name",
    ["", "../../secret.parquet", "repositories-0002-0123abcd.parquet", "repositories-0001-0123abcd.parquet/../x"],
)
def test_a_part_names_its_own_repositories(small_lake: SmallLake, plan: Plan, name: str) -> None:
    lake, part, own = small_lake.lake, SCAN_TARGETS.schema.empty_table(), "repositories-0001-0123abcd.parquet"
    write_plan_table(lake, plan, own, REPOSITORIES.schema.empty_table())
    write_plan_table(lake, plan, targets_name(1), part.replace_schema_metadata({REPOSITORIES_FILE: own}))
    assert read_part(lake, plan, 1) is not None
    write_plan_table(lake, plan, targets_name(1), part.replace_schema_metadata({REPOSITORIES_FILE: name}))
    with pytest.raises(LakeError, match="is not the name of its repositories' file"):
        read_part(lake, plan, 1)


def test_a_damaged_part_is_named(small_lake: SmallLake, plan: Plan) -> None:
    path = Path(small_lake.lake.root, plan.folder, "targets.parquet")
    path.write_bytes(b"PAR1")
    with pytest.raises(LakeError, match=f"{path}: cannot be read as Parquet"):
        read_plan_table(small_lake.lake, plan, "targets.parquet")
    replaced(os.mkfifo)(path)
    with pytest.raises(PlanError, match=r"has no targets\.parquet"):
        read_plan_table(small_lake.lake, plan, "targets.parquet")
