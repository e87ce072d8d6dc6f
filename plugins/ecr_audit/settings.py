"""The audit's settings: `ECR_AUDIT_*` variables of the environment, read into one frozen object.

All faults are reported together, each with the variable, its bad value and what is valid.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ecr_audit.errors import FinalError

PREFIX = "ECR_AUDIT_"

SQL_ROOT = Path(__file__).resolve().parents[2] / "sql"

ACCOUNT_ID = re.compile(r"[0-9]{12}")
# How objects on S3 are encrypted: with S3's own keys, the account's KMS key for S3, or a KMS key (or alias) by its ARN.
S3_ENCRYPTION = re.compile(r"AES256|aws:kms|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[^ ]+")
REGION_NAME = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}")
# A standard topic: a FIFO one, whose name ends with .fifo, takes only messages with a group.
SNS_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}")
EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+")


class SettingsError(FinalError):
    """One or more settings are wrong; the message has a line for each."""


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _all_or_split(value: Any) -> Any:
    """`all` is the empty tuple: no limit."""
    return () if isinstance(value, str) and value.strip().lower() == "all" else _split(value)


def _iso_date(value: Any) -> Any:
    """Stricter than pydantic, which takes a plain number for seconds since 1970."""
    return date.fromisoformat(value.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
NamesOrAll = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_all_or_split)]


def _valid(text: str) -> dict[str, Any]:
    """What a fault's message tells people to give instead."""
    return {"valid": text}


class AlertSettings(BaseSettings):
    """What sending an alert takes. It is read apart when another setting is wrong, for of that people are told, too."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    aws_conn_id: str | None = Field(
        default=None, json_schema_extra=_valid("the id of an Airflow connection of type aws; unset: boto3's own chain")
    )
    alert_slack_conn_id: str | None = Field(
        default=None,
        json_schema_extra=_valid("the id of an Airflow connection of type slackwebhook; unset: no Slack"),
    )
    alert_email_to: Names = Field(
        default=(),
        json_schema_extra=_valid("a list of addresses: security@example.com,owner@example.com; unset: no e-mail"),
    )
    alert_sns_topic_arn: str | None = Field(
        default=None,
        pattern=rf"^{SNS_TOPIC.pattern}$",
        json_schema_extra=_valid("the ARN of a standard topic, arn:aws:sns:<region>:<account>:<name>; unset: no SNS"),
    )

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        """`VARIABLE=` in an env file, or `${VARIABLE:-}` in a compose file, means that nothing is given."""
        return {name: value for name, value in values.items() if not isinstance(value, str) or value.strip()}

    @field_validator("alert_email_to")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [address for address in value if not EMAIL.fullmatch(address)]:
            raise ValueError(f"holds what is no e-mail address: {', '.join(wrong)}")
        return value


class Settings(AlertSettings):
    """What a run of the audit is told. Read it with `load_settings`, whose errors are made for people."""

    data: Path = Field(default=Path("data"), json_schema_extra=_valid("a folder, such as ./data"))
    lake: str | None = Field(
        default=None, json_schema_extra=_valid("a folder, or s3://bucket/prefix; unset: <ECR_AUDIT_DATA>/lake")
    )
    publish: str | None = Field(
        default=None, json_schema_extra=_valid("a folder, or s3://bucket/prefix; unset: <ECR_AUDIT_DATA>/publish")
    )
    s3_encryption: str | None = Field(
        default=None,
        pattern=rf"^({S3_ENCRYPTION.pattern})$",
        json_schema_extra=_valid("AES256, aws:kms, or the ARN of a KMS key; unset: the bucket's default encryption"),
    )
    role_name: str = Field(
        default="ecr-audit",
        max_length=64,
        pattern=r"^[A-Za-z0-9_+=,.@/-]+$",
        json_schema_extra=_valid("the name of the role in every account, without its ARN, such as ecr-audit"),
    )
    external_id: str | None = Field(
        default=None,
        min_length=2,
        max_length=1224,
        pattern=r"^[A-Za-z0-9_+=,.@:/-]+$",
        json_schema_extra=_valid("2 to 1,224 letters, digits or +=,.@:/- (AssumeRole's ExternalId)"),
    )
    regions: NamesOrAll = Field(
        default=(),
        json_schema_extra=_valid("'all', or a list such as 'us-east-1,eu-west-1' (unknown to AWS is told at planning)"),
    )
    accounts: NamesOrAll = Field(default=(), json_schema_extra=_valid("'all', or a list of 12-digit account ids"))
    postgres_conn_id: str | None = Field(
        default=None,
        json_schema_extra=_valid("the id of an Airflow connection of type postgres; unset: no PostgreSQL"),
    )
    postgres_schema: str = Field(
        default="ecr_audit",
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        json_schema_extra=_valid("a name of up to 63 lower-case letters, digits and _, such as ecr_audit"),
    )
    batch_accounts: int = Field(default=100, ge=1, le=10_000, json_schema_extra=_valid("accounts a batch, 1 to 10000"))
    concurrency: int = Field(default=64, ge=1, le=512, json_schema_extra=_valid("calls in flight a batch, 1 to 512"))
    target_seconds: float = Field(
        default=120, ge=1, le=3600, json_schema_extra=_valid("seconds a throttled target is retried for, 1 to 3600")
    )
    batch_seconds: float = Field(
        default=2400,
        ge=10,
        le=3300,
        json_schema_extra=_valid("seconds after which a batch writes what it has, 10 to 3300"),
    )
    min_coverage: float = Field(default=0.95, ge=0, le=1, json_schema_extra=_valid("a share from 0 to 1, such as 0.95"))
    collect_tags: bool = Field(default=True, json_schema_extra=_valid("true or false"))
    owner_tags: Names = Field(
        default=("owner", "team"),
        json_schema_extra=_valid("a list of repository tag keys, the first found wins: owner,team"),
    )
    retention_days: int = Field(
        default=400,
        ge=1,
        le=36_500,
        json_schema_extra=_valid("days after which snapshots are thinned to one a month, 1 to 36500"),
    )
    waivers: str | None = Field(
        default=None, json_schema_extra=_valid("the path of a YAML file, or s3://bucket/key; unset: no waivers")
    )
    waiver_max_days: int = Field(
        default=365, ge=1, le=3650, json_schema_extra=_valid("days that a waiver may last, 1 to 3650")
    )
    snapshot_date: Annotated[date | None, BeforeValidator(_iso_date)] = Field(
        default=None, json_schema_extra=_valid("a date as YYYY-MM-DD; unset: the day of the run, in UTC")
    )

    @field_validator("lake", "publish")
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        if value and re.match(r"\w+:/", value) and not re.match(r"s3://[a-z0-9][a-z0-9.-]+|file:///", value):
            raise ValueError("is no place that files can be at")
        return value

    @field_validator("accounts")
    @classmethod
    def _account_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [account for account in value if not ACCOUNT_ID.fullmatch(account)]:
            raise ValueError(f"holds what is no account id: {', '.join(wrong)}")
        return value

    @field_validator("regions")
    @classmethod
    def _region_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [region for region in value if not REGION_NAME.fullmatch(region)]:
            raise ValueError(f"holds what is no name of a region: {', '.join(wrong)}")
        return value

    @property
    def lake_root(self) -> str:
        """Where the lake is: a local folder, or s3://bucket/prefix."""
        return self.lake or str(self.data.absolute() / "lake")

    @property
    def publish_root(self) -> str:
        """Where publications are: a local folder, or s3://bucket/prefix."""
        return self.publish or str(self.data.absolute() / "publish")


def load_settings() -> Settings:
    """Read and check the settings of this process's environment.

    Raises SettingsError, which lists every fault: bad values, and `ECR_AUDIT_*` variables that no setting has.
    """
    # As pydantic-settings reads them: whatever their case.
    given = {name.upper(): value for name, value in os.environ.items() if name.upper().startswith(PREFIX)}
    names = sorted(variable.removeprefix(PREFIX).lower() for variable in given)
    faults = [_unknown(name) for name in names if name not in Settings.model_fields]
    try:
        settings = Settings()
    except ValidationError as fault:
        faults += [_describe(error, given) for error in fault.errors()]
    if faults:
        title = "1 setting is wrong:" if len(faults) == 1 else f"{len(faults)} settings are wrong:"
        raise SettingsError("\n  ".join([title, *faults]))
    return settings


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1)
    hint = (
        f"Did you mean {PREFIX}{near[0].upper()}?"
        if near
        else "Known are: " + ", ".join(f"{PREFIX}{field.upper()}" for field in Settings.model_fields)
    )
    return f"{PREFIX}{name.upper()}: no such setting. {hint}"


def _describe(error: ErrorDetails, given: Mapping[str, str]) -> str:
    name = str(error["loc"][0])
    variable = f"{PREFIX}{name.upper()}"
    extra = Settings.model_fields[name].json_schema_extra
    valid = extra["valid"] if isinstance(extra, dict) else ""
    what = error["msg"].removeprefix("Value error, ")
    return f"{variable}: '{given[variable]}': {what[0].lower()}{what[1:]}. Give {valid}."
