"""Commits how the imports of a night ended, as the lake's table security_hub_imports."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa

from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import SECURITY_HUB_IMPORTS
from ecr_audit.security_hub.due import Registry
from ecr_audit.security_hub.imports import Result
from ecr_audit.security_hub.outcomes import SETTLED

# Security Hub deletes a finding 90 days after its last update (AWS Security Hub User Guide, "Updating findings"): then
# it has none of the account and region any longer.
KEPT_DAYS = 90


def record(lake: Lake, snapshot_date: date, results: Mapping[Registry, Result], recorded_at: datetime) -> None:
    """Commit the newest state of each account and region: tonight's, or that of the last night with findings for it.

    `recorded_at`: counts as the time of those that were not tried.
    """
    before = {(row["account_id"], row["region"]): row for row in _rows_before(lake, snapshot_date)}
    oldest = snapshot_date - timedelta(days=KEPT_DAYS)
    rows = {key: row for key, row in before.items() if row["night"] > oldest}
    for key, result in results.items():
        rows[key] = _row(key, result, snapshot_date, before.get(key, {}), recorded_at)
    with lake.writer("security_hub", snapshot_date) as writer:
        writer.write(
            SECURITY_HUB_IMPORTS, pa.Table.from_pylist(list(rows.values()), schema=SECURITY_HUB_IMPORTS.schema)
        )
        writer.commit({})


def _rows_before(lake: Lake, snapshot_date: date) -> list[dict[str, Any]]:
    """The state before this run: that of an earlier run for the same night, or of the night before."""
    days = [day for day in lake.snapshot_dates("security_hub") if day <= snapshot_date]
    commit = lake.read_commit("security_hub", days[-1]) if days else None
    return list(lake.read_table(commit, SECURITY_HUB_IMPORTS).to_pylist()) if commit else []


def _row(
    key: Registry, result: Result, night: date, before: Mapping[str, Any], recorded_at: datetime
) -> dict[str, Any]:
    account_id, region = key
    return {
        "account_id": account_id,
        "region": region,
        "night": night,
        "outcome": result.outcome,
        "findings": result.findings,
        "imported": result.imported,
        "refused": result.refused,
        "error_code": result.error_code,
        "error_message": result.error_message,
        "tried_at": result.tried_at or recorded_at,
        "imported_night": night if result.outcome in SETTLED else before.get("imported_night"),
    }
