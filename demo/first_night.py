"""The first night of `make audit`, which is read on the day of the second: its times are put on its own day."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import STAGES
from ecr_audit.lake.tables import TIMESTAMP

# Details of an inventory's commit that are times.
_TIMES = ("regions_read_at",)


def date_back(lake: Lake, day: date, stage: str) -> None:
    """Put the times of a night's stage on its day: those after it move back by whole days, to its time of day.

    Otherwise what the second night no longer sees would be last known on the day of the second.
    """
    commit = lake.read_commit(stage, day)
    if commit is None:
        raise ValueError(f"{lake.root}: no {stage} of {day}.")
    tables = [(table, lake.read_table(commit, table)) for table in STAGES[stage]]
    times = {name: _earlier(commit.details[name], day) for name in _TIMES if name in commit.details}
    with lake.writer(stage, day) as writer:
        for table, rows in tables:
            writer.write(table, _dated_back(rows, day))
        writer.commit({**commit.details, **times})


def _dated_back(rows: pa.Table, day: date) -> pa.Table:
    midnight = pa.scalar(datetime.combine(day, time(), UTC), TIMESTAMP)
    # Dates of creation and of joining are facts of the organization, not of the scan.
    facts = ("created_at", "joined_at")
    for index, field in enumerate(rows.schema):
        if field.type == TIMESTAMP and field.name not in facts:
            late = pc.subtract(pc.floor_temporal(rows[field.name], unit="day"), midnight)
            is_late = pc.greater(late, pa.scalar(0, late.type))
            rows = rows.set_column(
                index, field, pc.if_else(is_late, pc.subtract(rows[field.name], late), rows[field.name])
            )
    return rows


def _earlier(moment: Any, day: date) -> Any:
    if moment is None or (read := datetime.fromisoformat(moment)).date() <= day:
        return moment
    return read.replace(year=day.year, month=day.month, day=day.day).isoformat()
