"""A table of several files is evaluated, rolled up, published and thinned as one of a single file is."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from ecr_audit.lake import retention
from ecr_audit.lake.schemas import CHANGES, POLICY_OUTPUT, REPOSITORIES
from ecr_audit.lake.tables import LakeTable
from ecr_audit.publish.build import publish
from support.lakes import committed, cut_into_files
from support.small_lake import SmallLake

pytestmark = pytest.mark.slow

DAY, NEXT_DAY, LATER = date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 30)
NAMES = ("api", "app", "job", "web")
MARTS = ("policy_output", "changes", "ended_findings", "findings", "findings_history")


def night(small_lake: SmallLake, day: date) -> None:
    fixed = {"api"} if day == DAY else {"job", "web"}
    small_lake.scan(
        day,
        repositories=[
            {"repository_name": name, "image_tag_mutability": "IMMUTABLE" if name in fixed else "MUTABLE"}
            for name in NAMES
        ],
    )
    small_lake.evaluate(day)


def marts(small_lake: SmallLake) -> dict[str, list[str]]:
    return {mart: sorted(map(str, small_lake.rows(mart, NEXT_DAY))) for mart in MARTS}


@pytest.mark.parametrize(
    ("stage", "table"), [("inventory", REPOSITORIES), ("compliance", POLICY_OUTPUT), ("compliance", CHANGES)]
)
def test_in_files_of_a_row_each(small_lake: SmallLake, tmp_path: Path, stage: str, table: LakeTable) -> None:
    for day in (DAY, NEXT_DAY):
        night(small_lake, day)
    expected = marts(small_lake)

    for day in (DAY, NEXT_DAY):
        if stage == "compliance":
            small_lake.evaluate(day)
        cut = cut_into_files(small_lake.lake, stage, day, table)
        if stage == "inventory":
            small_lake.evaluate(day)
    assert len(cut.files[table.name]) == cut.rows[table.name] > 1
    assert marts(small_lake) == expected

    published = publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=("owner",))
    with duckdb.connect() as views:
        views.execute((tmp_path / "publish" / "lake.sql").read_text("utf-8"))
        [(rows,)] = views.execute(f"SELECT count(*) FROM lake_{table.name}").fetchall()
    kept = [committed(small_lake.lake, stage, day).rows[table.name] for day in (DAY, NEXT_DAY)]
    assert rows == sum(kept)
    assert published.rows["repositories"] == len(NAMES)

    night(small_lake, LATER)
    assert retention.thin(small_lake.lake, date(2027, 3, 1), 30, dry_run=False) == [DAY, NEXT_DAY]
    left = small_lake.lake.storage.files(table.name)
    is_kept = table.name == CHANGES.name
    assert bool([name for name in left if f"snapshot_date={NEXT_DAY}" in name]) == is_kept
