"""The audit's settings: `ECR_AUDIT_*` environment variables, read into one frozen object.

All faults are reported together, each with the variable, its bad value and the valid ones.
"""

from __future__ import annotations

from pathlib import Path

from ecr_audit.settings.environment import (
    PREFIX,
    SettingsError,
    load_alert_settings,
    load_data_folder,
    load_settings,
)
from ecr_audit.settings.fields import AlertSettings, ExportSettings, Settings
from ecr_audit.settings.remediation import RemediationSettings

__all__ = [
    "PREFIX",
    "SQL_ROOT",
    "AlertSettings",
    "ExportSettings",
    "RemediationSettings",
    "Settings",
    "SettingsError",
    "load_alert_settings",
    "load_data_folder",
    "load_settings",
]

SQL_ROOT = Path(__file__).resolve().parents[3] / "sql"
