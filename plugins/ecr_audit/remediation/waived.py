"""The repositories that a waiver covers by now, though the plan may have been made before it."""

from __future__ import annotations

from datetime import date

from ecr_audit.catalog import load_catalog
from ecr_audit.catalog.waivers import load_waivers
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.snapshot import fetch_stage
from ecr_audit.lake.tables import SnapshotFiles
from ecr_audit.settings import SQL_ROOT, Settings
from ecr_audit.warehouse.session import Resources, open_session
from ecr_audit.warehouse.statements import parse_statement, read_statement


def waived_repositories(lake: Lake, settings: Settings, policy_id: str, today: date) -> set[str]:
    """ARNs of the repositories whose finding a waiver of the file covers today, by the newest evaluated snapshot.

    Raises WaiverError when the file cannot be read, or has faults: whether a repository is waived is then unknown.
    """
    waivers = load_waivers(settings.waivers, load_catalog(SQL_ROOT), settings.waiver_max_days)
    dates = lake.snapshot_dates("compliance")
    if not waivers.num_rows or not dates:
        return set()
    inventory, compliance = (lake.read_commit(stage, dates[-1]) for stage in ("inventory", "compliance"))
    with lake.storage.scratch(f"waived-{dates[-1]}") as folder:
        inputs = [
            *fetch_stage(lake, inventory, "inventory", folder),
            # Waivers are those of the file, not those of the night.
            *(each for each in fetch_stage(lake, compliance, "compliance", folder) if each.name == "policy_output"),
        ]
        with open_session(SnapshotFiles(dates[-1], inputs, 0, folder), resources=Resources()) as warehouse:
            warehouse.add_arrow("catalog.waivers", waivers)
            matches = read_statement("staging/waiver_matches")
            statement = parse_statement(
                "waived",
                f"SELECT DISTINCT object_id FROM (\n{matches.text}\n) WHERE expires > $snapshot_date"
                " AND policy_id = $policy_id",
            )
            found = warehouse.query(statement, snapshot_date=today, policy_id=policy_id)
    return set(found["object_id"].to_pylist())
