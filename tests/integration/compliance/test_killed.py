"""Evaluating, rolling up and publishing, killed with SIGKILL: what was there stays whole, the next try ends well."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_audit.compliance import evaluate, roll_up
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import STAGES
from ecr_audit.publish import exports
from ecr_audit.publish.build import publish
from ecr_audit.publish.completion import complete
from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.publication import CHECKSUMS
from support.policies import mutability_catalog
from support.small_lake import SmallLake

DAY, NEXT_DAY = date(2026, 3, 1), date(2026, 3, 2)
OWNER_TAGS = ("owner",)
LATE_FILE = "night.txt"
# Loaded once, here: the disk is looked at at every call of the library's, and loading makes thousands.
CATALOG = mutability_catalog()


def evaluate_night(root: Path, day: date) -> None:
    run_time = datetime(day.year, day.month, day.day, 3, tzinfo=UTC)
    evaluate(Lake(str(root / "lake")), CATALOG, day, owner_tags=OWNER_TAGS, run_time=run_time)


def sum_up(root: Path) -> None:
    roll_up(Lake(str(root / "lake")), CATALOG, NEXT_DAY)


def put_out(root: Path) -> None:
    publish(Lake(str(root / "lake")), CATALOG, root / "publish", owner_tags=OWNER_TAGS)


def add_late_files(root: Path) -> None:
    complete(Lake(str(root / "lake")), root / "publish")


STEPS: dict[str, Callable[[Path], None]] = {
    "evaluate": lambda root: evaluate_night(root, NEXT_DAY),
    "roll_up": sum_up,
    "publish": put_out,
    "complete": add_late_files,
}


@pytest.fixture(autouse=True)
def csv_and_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text in place of the workbook: watched at every call, that takes longer than all else together."""

    def write_text(source: exports.Source, folder: Path) -> None:
        [(day,)] = source.database.execute("SELECT snapshot_date FROM publication").fetchall()
        (folder / LATE_FILE).write_text(str(day), encoding="utf-8")

    monkeypatch.setattr(exports, "EXPORTS", {"CSV": exports.EXPORTS["CSV"], "text": write_text})
    monkeypatch.setattr(exports, "LATE", ("text",))


@pytest.fixture
def second_night(small_lake: SmallLake, tmp_path: Path) -> Path:
    """A folder whose first night is published, and whose second is scanned: a repository was fixed, one is gone."""
    root = tmp_path / "start"
    small_lake.lake = Lake(str(root / "lake"))
    names = [{"repository_name": name} for name in ("app", "api", "job")]
    small_lake.scan(DAY, repositories=names)
    evaluate_night(root, DAY)
    roll_up(small_lake.lake, CATALOG, DAY)
    put_out(root)
    add_late_files(root)
    small_lake.scan(NEXT_DAY, repositories=[names[0], {**names[1], "image_tag_mutability": "IMMUTABLE"}])
    return root


def lake_rows(root: Path) -> list[Any]:
    """All that is committed of the second night's evaluation; None before."""
    lake = Lake(str(root / "lake"))
    commit = lake.read_commit("compliance", NEXT_DAY)
    if commit is None:
        return []
    return [lake.read_table(commit, table).to_pylist() for table in STAGES["compliance"]]


def published_rows(root: Path) -> list[Any]:
    """All that is published, but for the time of publishing and the ids of commits."""
    with duckdb.connect(str(root / "publish/compliance.duckdb"), read_only=True) as published:
        tables = [name for (name,) in published.sql("SHOW TABLES").fetchall() if name != "publication"]
        return [(table, published.sql(f"FROM {table} ORDER BY ALL").fetchall()) for table in tables]


def late_file(root: Path) -> str | None:
    """The content of the late file, None without it. What latest.json says of it, and the checksums, have to agree."""
    folder = root / "publish"
    latest = PublicationStore(folder).newest()
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", CHECKSUMS], cwd=latest.folder, check=True)
    sums = (latest.folder / CHECKSUMS).read_text("utf-8")
    if not latest.missing_exports:
        assert LATE_FILE in sums
        assert (latest.folder / LATE_FILE).exists()
    return (folder / LATE_FILE).read_text("utf-8") if (folder / LATE_FILE).exists() else None


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_is_killed_and_run_again_ends_as_if_undisturbed(
    second_night: Path, is_killed_after: Callable[..., bool], tmp_path: Path, step: str
) -> None:
    names = list(STEPS)
    for before in names[: names.index(step)]:
        STEPS[before](second_night)
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(second_night, undisturbed)
    for name in names[names.index(step) :]:
        STEPS[name](undisturbed)
    yesterday, tonight, evaluated = published_rows(second_night), published_rows(undisturbed), lake_rows(undisturbed)
    assert (yesterday != tonight) == (step != "complete")

    killed, changes, kills = True, 0, 0
    while killed:
        # Closer together at first; each step makes dozens of changes, and each try costs seconds.
        changes = 4 * changes + 1
        root = tmp_path / f"{changes}"
        shutil.copytree(second_night, root)
        killed = is_killed_after(changes, root, lambda root=root: STEPS[step](root))
        assert lake_rows(root) in ([], evaluated)
        assert published_rows(root) in (yesterday, tonight)
        assert late_file(root) in (str(DAY), str(NEXT_DAY), None)
        kills += killed
        for name in names[names.index(step) :]:
            STEPS[name](root)
        assert lake_rows(root) == evaluated
        assert published_rows(root) == tonight
        assert late_file(root) == str(NEXT_DAY)
        assert [path for path in (root / "publish").iterdir() if path.name.startswith(".publishing")] == []
        shutil.rmtree(root)
    assert kills >= 2
