"""A group of settings: what all of them have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from ecr_audit import written


class SettingsGroup(BaseModel):
    """Settings that belong together. Each group's docstring is its title in docs/settings.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        """`VARIABLE=` in an env file, or `${VARIABLE:-}` in a compose file, means that nothing is given."""
        return {name: value for name, value in values.items() if not isinstance(value, str) or value.strip()}

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return written.plain(value) if isinstance(value, str) else value
