"""Builds the published database from the tables of a session, and verifies its content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import duckdb

from ecr_audit.lake.commits import SCHEMA_VERSION, Commit
from ecr_audit.lake.schemas import (
    ACCOUNTS,
    CHANGES,
    COVERAGE,
    ENDED_FINDINGS,
    POLICY_OUTPUT,
    POLICY_RUN,
    REPOSITORIES,
    SCAN_TARGETS,
    SCOPE_COMPLIANCE,
    SECTION_COMPLIANCE,
    WAIVERS,
)
from ecr_audit.literals import literal
from ecr_audit.macros import create_published_macros
from ecr_audit.publish import remediation_plan
from ecr_audit.publish.dictionary import comment_on, load_dictionary
from ecr_audit.publish.publication import DATABASE, PublishError
from ecr_audit.publish.sealing import SealedNights
from ecr_audit.publish.tables import TABLES, VIEWS
from ecr_audit.settings import RemediationSettings
from ecr_audit.version import __version__
from ecr_audit.warehouse.session import Warehouse
from ecr_audit.warehouse.statements import parse_statement, read_statement

# DuckDB 1.2's format: drivers of the whole 1.x line open it.
STORAGE_VERSION = "v1.2.0"

# Read of every evaluated snapshot, not only of the newest.
HISTORIES = (POLICY_RUN, SCOPE_COMPLIANCE, SECTION_COMPLIANCE, CHANGES, ENDED_FINDINGS, COVERAGE)

# Noted in the commits; parameters of marts/unread_values.
READINGS = ("regions_read_at", "regions_error", "units_error", "waivers_read_at", "waivers_error")

# Published tables that have all rows of a history, and those that have all of the newest snapshot's.
_WHOLE_HISTORIES = {"policy_run": POLICY_RUN, "compliance_daily": SCOPE_COMPLIANCE, "changes": CHANGES}
_WHOLE_SNAPSHOT = (POLICY_OUTPUT, COVERAGE, WAIVERS)


def build_database(
    warehouse: Warehouse,
    path: Path,
    inventory: Commit,
    history: Sequence[Commit],
    published_at: datetime,
    plan_settings: RemediationSettings,
    sealed: SealedNights,
) -> None:
    """Build the database of a session's tables in a new file. `history`: the compliance commits, the newest last."""
    compliance, before = history[-1], history[-2] if len(history) > 1 else None
    warehouse.set_variable("sealed_nights", list(sealed.nights) or None)
    warehouse.connection.execute(f"ATTACH {literal(path)} AS published (STORAGE_VERSION '{STORAGE_VERSION}')")
    for table, source in TABLES.items():
        if table == remediation_plan.TABLE:
            remediation_plan.stage_plan(warehouse, plan_settings)
        statement = parse_statement(source, source) if source.startswith("FROM") else read_statement(source)
        warehouse.create_table(
            f"published.{table}",
            statement,
            snapshot_date=compliance.snapshot_date,
            published_at=published_at,
            inventory_commit=inventory.commit_id,
            inventory_run_id=inventory.details.get("run_id"),
            organization_id=inventory.details.get("organization_id"),
            hub_account_id=inventory.details.get("hub_account_id"),
            program_version=__version__,
            missing_accounts=inventory.details.get("missing_accounts"),
            missing_regions=inventory.details.get("missing_regions"),
            left_out_accounts=inventory.details.get("left_out_accounts"),
            left_out_regions=inventory.details.get("left_out_regions"),
            compliance_commit=compliance.commit_id,
            image_tags_date=compliance.image_tags_date,
            previous_image_tags_date=before.image_tags_date if before else None,
            lake_schema_version=SCHEMA_VERSION,
            **readings(inventory, compliance),
            **sealed.parameters,
        )
        if table == remediation_plan.TABLE:
            remediation_plan.drop_staged(warehouse)
    comment_on(warehouse.connection, "published", load_dictionary(TABLES))
    # Within the database, so that a view names its tables whatever the file is called where it is opened.
    warehouse.connection.execute("USE published")
    create_published_macros(warehouse.connection)
    for view, source in VIEWS.items():
        warehouse.create_view(view, read_statement(source))
    comment_on(warehouse.connection, "main", load_dictionary(VIEWS), "VIEW")
    warehouse.connection.execute("USE memory")
    # Large tables are in the file by now. To look for what texts share takes half of the time that the small ones take.
    warehouse.connection.execute("SET disabled_compression_methods = 'fsst'")
    warehouse.connection.execute("DETACH published")


def readings(inventory: Commit, compliance: Commit) -> dict[str, str | None]:
    """Details of readings in commits that no table has: their time, and why they failed. Older versions have none."""
    noted = {**inventory.details, **compliance.details}
    return {name: noted.get(name) for name in READINGS}


def verified_rows(
    database: duckdb.DuckDBPyConnection, inventory: Commit, history: Sequence[Commit], left_out: Mapping[str, int]
) -> dict[str, int]:
    """Rows of each table of the file, as it reads; those that come from the lake must be as many as were committed.

    `left_out`: how many rows of which table were not, see `Warehouse.register_input`.
    """
    rows = {table: database.table(table).shape[0] for table in TABLES}
    snapshot = {table.name: inventory.rows[table.name] for table in (ACCOUNTS, SCAN_TARGETS, REPOSITORIES)}
    snapshot |= {table.name: history[-1].rows[table.name] for table in _WHOLE_SNAPSHOT}
    expected = {name: count - left_out.get(name, 0) for name, count in snapshot.items()}
    expected |= {
        name: sum(commit.rows[table.name] for commit in history) - left_out.get(f"{table.name}_history", 0)
        for name, table in _WHOLE_HISTORIES.items()
    }
    if wrong := [
        f"{table} has {rows[table]} rows, not {count}" for table, count in expected.items() if rows[table] != count
    ]:
        raise PublishError(f"{DATABASE} has errors and is not published: {'; '.join(wrong)}")
    return rows
