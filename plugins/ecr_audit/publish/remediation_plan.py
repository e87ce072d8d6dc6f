"""Prepares a session for the mart of the remediation plan: what moved and what filters fit it, see sql/remediation/."""

from __future__ import annotations

from ecr_audit.settings import RemediationSettings
from ecr_audit.warehouse.session import Warehouse
from ecr_audit.warehouse.statements import read_statement

TABLE = "remediation_plan"

# In this order: one may read those before it.
STAGED = ("mutability_findings", "planned", "moved_tags", "seen_tags", "filters")


PLAN_BY_DEFAULT = RemediationSettings()


def stage_plan(warehouse: Warehouse, settings: RemediationSettings) -> None:
    """Make the tables that the plan reads. The session shows the image tags, and has published the tags that moved."""
    warehouse.set_variable("remediation_nights", settings.remediation_nights)
    warehouse.set_variable("code_tags", [key.lower() for key in settings.code_tags], "VARCHAR[]")
    for name in STAGED:
        warehouse.create_table(f"staging.{name}", read_statement(f"remediation/{name}"))


def drop_staged(warehouse: Warehouse) -> None:
    """Drop them: other tables need the memory."""
    for name in reversed(STAGED):
        warehouse.connection.execute(f"DROP TABLE staging.{name}")
