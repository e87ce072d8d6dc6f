"""The commits of a lake, and lakes whose tables are cut into many files."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import STAGES
from ecr_audit.lake.tables import LakeTable


def committed(lake: Lake, stage: str, day: date) -> Commit:
    """The commit of a stage and a day, which must be there."""
    commit = lake.read_commit(stage, day)
    assert commit is not None, f"nothing committed: {stage} of {day}"
    return commit


def cut_into_files(lake: Lake, stage: str, day: date, table: LakeTable) -> Commit:
    """Commit a stage again as it is, but with a file for each row of a table, and at least one."""
    commit = committed(lake, stage, day)
    rows = lake.read_table(commit, table)
    with lake.writer(stage, day) as writer:
        for each in STAGES[stage]:
            parts = [Path(path) for path in lake.locations(commit, each)]
            if each.name == table.name:
                parts = [writer.folder / f"row-{number}.parquet" for number in range(max(1, rows.num_rows))]
                for number, part in enumerate(parts):
                    pq.write_table(rows.slice(number, 1), part)
            writer.take(each, parts)
        return writer.commit(commit.details)
