"""Reads the settings from the environment, and describes all faults in them together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ecr_audit import written
from ecr_audit.errors import FinalError
from ecr_audit.place import folder_of
from ecr_audit.service_links import is_service_link
from ecr_audit.settings.fields import AlertSettings, Settings
from ecr_audit.text import nearest, plural
from ecr_audit.vocabulary import Facet

PREFIX = "ECR_AUDIT_"


class SettingsError(FinalError):
    """One or more settings are invalid; the message has a line for each."""


def load_data_folder() -> Path:
    """The folder of ECR_AUDIT_DATA alone, whatever the other settings are. Raises SettingsError."""
    given = os.environ.get(f"{PREFIX}DATA", "").strip() or "data"
    try:
        return folder_of(written.plain(given))
    except ValueError as fault:
        raise SettingsError(_fault("data", given, str(fault))) from fault


def load_settings() -> Settings:
    """Read and check the settings of this process's environment.

    Raises SettingsError, which lists every fault: bad values, and unknown `ECR_AUDIT_*` variables. Those
    that Kubernetes sets for the Services of a release called ecr-audit are ignored.
    """
    given = _given()
    names = sorted(name for name, value in given.items() if not is_service_link(f"{PREFIX}{name.upper()}", value))
    faults = [_unknown(name) for name in names if name not in Settings.model_fields]
    try:
        settings = Settings(**_fields(Settings, given))
    except ValidationError as fault:
        faults += [_describe(error, given) for error in fault.errors()]
    if faults:
        title = f"{plural(len(faults), 'setting is', 'settings are')} invalid:"
        raise SettingsError("\n  ".join([title, *faults]))
    return settings


def load_alert_settings() -> AlertSettings:
    """Read the settings for alerts, also when other settings are invalid. An invalid alert setting counts as unset.

    So a fault in one channel's setting does not stop messages over the others.
    """
    given = _fields(AlertSettings, _given())
    try:
        return AlertSettings(**given)
    except ValidationError as fault:
        unset: dict[str, Any] = {str(error["loc"][0]): "" for error in fault.errors()}
        return AlertSettings(**given | unset)


def _given() -> dict[str, str]:
    """The `ECR_AUDIT_*` variables of the environment, in any case, by their names without the prefix, in lower case.

    pydantic-settings would take as long to import as Parquet and YAML together: every step's process would pay it.
    """
    variables = {name.lower(): value for name, value in os.environ.items()}
    prefix = PREFIX.lower()
    return {name.removeprefix(prefix): value for name, value in variables.items() if name.startswith(prefix)}


def _fields(model: type[BaseModel], given: Mapping[str, str]) -> dict[str, Any]:
    """Those of the variables that a model has."""
    return {name: value for name, value in given.items() if name in model.model_fields}


# Settings of earlier versions, and what replaces each.
_REPLACED = {
    "collect_tags": f"{PREFIX}COLLECT replaces it: a list out of {', '.join(Facet)}; without tags, none are read.",
}


def _unknown(name: str) -> str:
    if name in _REPLACED:
        return f"{PREFIX}{name.upper()}: no longer a setting. {_REPLACED[name]}"
    near = nearest(name, Settings.model_fields)
    hint = (
        f"Did you mean {PREFIX}{near.upper()}?"
        if near
        else "Known settings: " + ", ".join(f"{PREFIX}{field.upper()}" for field in Settings.model_fields)
    )
    return f"{PREFIX}{name.upper()}: unknown setting. {hint}"


def _describe(error: ErrorDetails, given: Mapping[str, str]) -> str:
    name = str(error["loc"][0])
    return _fault(name, given[name], error["msg"].removeprefix("Value error, "))


def _fault(name: str, given: str, what: str) -> str:
    extra = Settings.model_fields[name].json_schema_extra
    valid = extra["valid"] if isinstance(extra, dict) else ""
    stop = "" if what.endswith("?") else "."
    return f"{PREFIX}{name.upper()}: '{given}': {what[0].lower()}{what[1:]}{stop} Give {valid}."
