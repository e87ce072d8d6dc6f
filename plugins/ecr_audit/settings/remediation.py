"""The settings of remediation."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ecr_audit import written
from ecr_audit.settings.group import SettingsGroup
from ecr_audit.settings.values import Names, if_text, valid


class RemediationSettings(SettingsGroup):
    """Remediation."""

    remediation_nights: int = Field(
        description="Nights in which a repository's image tags have to have been read before the remediation plan goes"
        " by them: a tag that moves once a month has to be seen to move.",
        default=30,
        ge=1,
        le=30,
        json_schema_extra=valid("nights, 1 to 30"),
    )
    code_tags: Names = Field(
        description="Tag keys that say that code owns a repository's settings: its changes go into that code.",
        default=("ManagedBy", "managed-by", "managed_by", "terraform"),
        json_schema_extra=valid("a list of repository tag keys: ManagedBy,terraform"),
    )
    remediation_role_name: Annotated[str, if_text(written.role_name)] | None = Field(
        description="Role to assume in an account to change its repositories, by plans that a person has approved.",
        default=None,
        json_schema_extra=valid(
            "the name of the role in every account, after its path if it has one, such as ecr-audit-remediation;"
            " unset: nothing is changed"
        ),
    )
    approvers: Names = Field(
        description="Airflow users who may approve a plan. Unset: whoever may edit its run.",
        default=(),
        json_schema_extra=valid("a list of ids of Airflow users, as text: 12,alice; unset: any"),
    )
    four_eyes: bool = Field(
        description="Whether another person than the one who triggered the run has to approve its plan.",
        default=False,
        json_schema_extra=valid("true or false"),
    )
    approval_hours: int = Field(
        description="Hours after which a plan that nobody answered fails.",
        default=72,
        ge=1,
        le=720,
        json_schema_extra=valid("hours, 1 to 720"),
    )
    remediation_canary_accounts: int = Field(
        description="Accounts that are changed first; the others wait until these are through.",
        default=1,
        ge=0,
        le=1000,
        json_schema_extra=valid("accounts, 0 to 1000; 0: no canary"),
    )
    remediation_max_failed: Annotated[float, if_text(written.share)] = Field(
        description="Highest share of the canary's changes that may fail. Above it the other accounts are not changed.",
        default=0.1,
        ge=0,
        le=1,
        json_schema_extra=valid("a share from 0 to 1, such as 0.1"),
    )
