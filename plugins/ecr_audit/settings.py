"""The audit's settings: `ECR_AUDIT_*` environment variables, read into one frozen object.

All faults are reported together, each with the variable, its bad value and the valid ones.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from ecr_audit import written
from ecr_audit.errors import FinalError
from ecr_audit.place import file_of, folder_of, place_of
from ecr_audit.service_links import is_service_link
from ecr_audit.text import nearest, plural
from ecr_audit.vocabulary import ROTATED_FACETS, Facet, ImageTags

PREFIX = "ECR_AUDIT_"

SQL_ROOT = Path(__file__).resolve().parents[2] / "sql"

# How objects on S3 are encrypted: with S3's own keys, the account's KMS key for S3, or a KMS key (or alias) by its ARN.
S3_ENCRYPTION = re.compile(r"AES256|aws:kms|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[^ ]+")
# A standard topic: a FIFO one, whose name ends with .fifo, takes only messages with a group.
SNS_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}")


class SettingsError(FinalError):
    """One or more settings are invalid; the message has a line for each."""


# Separators of the entries of a list. Names of tags and people contain blanks; account ids and regions do not.
_SEPARATORS = re.compile(r"[,;]")
_SEPARATORS_OR_BLANKS = re.compile(r"[,;\s]")


def _split(value: Any, separators: re.Pattern[str] = _SEPARATORS) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(entry for part in separators.split(value) if (entry := part.strip()))


def _all_or_split(value: Any) -> Any:
    """`all` is the empty tuple: no limit."""
    return () if isinstance(value, str) and value.lower() == "all" else _split(value, _SEPARATORS_OR_BLANKS)


def _facets(value: Any) -> Any:
    """The facets that are named, in the order of their declaration; `all`, or `none`."""
    if not isinstance(value, str):
        return value
    words = _split(value.lower(), _SEPARATORS_OR_BLANKS)
    if words in (("all",), ("none",)):
        return tuple(Facet) if words == ("all",) else ()
    if unknown := [word for word in words if word not in set(Facet)]:
        near = nearest(unknown[0], Facet)
        hint = f" Did you mean {near}?" if near else ""
        raise ValueError(f"{', '.join(unknown)}: not among the facets.{hint}")
    return tuple(facet for facet in Facet if facet in words)


def _each(entries: tuple[str, ...], read: Callable[[str], str]) -> tuple[str, ...]:
    """Every entry as `read` returns it. Raises one ValueError with all its messages."""
    taken, faults = [], []
    for entry in entries:
        try:
            taken.append(read(entry))
        except ValueError as fault:
            faults.append(str(fault))
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(taken)


def _if_text(read: Callable[[str], Any]) -> BeforeValidator:
    """Parses the text of a variable; values given by a program are not changed."""
    return BeforeValidator(lambda value: read(value) if isinstance(value, str) else value)


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
NamesOrAll = Annotated[tuple[str, ...], BeforeValidator(_all_or_split)]
Place = Annotated[str, _if_text(place_of)]


def _valid(text: str) -> dict[str, Any]:
    """The valid values, for the message of a fault."""
    return {"valid": text}


class AlertSettings(BaseModel):
    """Settings for sending alerts. Loaded separately so that an invalid setting elsewhere can still be reported."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    aws_conn_id: str | None = Field(
        description="Airflow connection for everything that calls AWS, in place of boto3's own chain.",
        default=None,
        json_schema_extra=_valid("the id of an Airflow connection of type aws; unset: boto3's own chain"),
    )
    alert_slack_conn_id: str | None = Field(
        description="Airflow connection for alerts to Slack.",
        default=None,
        json_schema_extra=_valid("the id of an Airflow connection of type slackwebhook; unset: no Slack"),
    )
    alert_email_to: Names = Field(
        description="Recipients of alerts by e-mail, which Airflow's connection smtp_default sends.",
        default=(),
        json_schema_extra=_valid("a list of addresses: security@example.com,owner@example.com; unset: no e-mail"),
    )
    alert_sns_topic_arn: str | None = Field(
        description="Amazon SNS topic for alerts.",
        default=None,
        pattern=rf"^{SNS_TOPIC.pattern}$",
        json_schema_extra=_valid("the ARN of a standard topic, arn:aws:sns:<region>:<account>:<name>; unset: no SNS"),
    )

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        """`VARIABLE=` in an env file, or `${VARIABLE:-}` in a compose file, means that nothing is given."""
        return {name: value for name, value in values.items() if not isinstance(value, str) or value.strip()}

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return written.plain(value) if isinstance(value, str) else value

    @field_validator("alert_email_to")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _each(value, written.email_address)


class Settings(AlertSettings):
    """Settings of a run. Read them with `load_settings`, whose errors are written for people."""

    # Places are absolute, also the default's.
    data: Annotated[Path, BeforeValidator(lambda value: folder_of(str(value)))] = Field(
        description="Folder of the lake, the published files, the cache and the logs.",
        default=Path("data"),
        validate_default=True,
        json_schema_extra=_valid("a folder, such as ./data"),
    )
    lake: Place | None = Field(
        description="The lake, if elsewhere.",
        default=None,
        json_schema_extra=_valid("a folder, or s3://bucket/prefix; unset: <ECR_AUDIT_DATA>/lake"),
    )
    publish: Place | None = Field(
        description="The published files, if elsewhere.",
        default=None,
        json_schema_extra=_valid("a folder, or s3://bucket/prefix; unset: <ECR_AUDIT_DATA>/publish"),
    )
    s3_encryption: str | None = Field(
        description="Server-side encryption of everything that is written to S3.",
        default=None,
        pattern=rf"^({S3_ENCRYPTION.pattern})$",
        json_schema_extra=_valid("AES256, aws:kms, or the ARN of a KMS key; unset: the bucket's default encryption"),
    )
    # With its path, as after `role/` in an ARN.
    role_name: Annotated[str, _if_text(written.role_name)] = Field(
        description="Audit role to assume in every account.",
        default="ecr-audit",
        json_schema_extra=_valid(
            "the name of the role in every account, after its path if it has one, such as ecr-audit or"
            " /security/ecr-audit"
        ),
    )
    external_id: str | None = Field(
        description="External id that the audit role's trust policy asks for.",
        default=None,
        min_length=2,
        max_length=1224,
        pattern=r"^[A-Za-z0-9_+=,.@:/-]+$",
        json_schema_extra=_valid("2 to 1,224 letters, digits or +=,.@:/- (AssumeRole's ExternalId)"),
    )
    regions: NamesOrAll = Field(
        description="Regions to audit. A name that AWS does not have is left out, and reported each night.",
        default=(),
        json_schema_extra=_valid(
            "'all', or a list such as 'us-east-1,eu-west-1' (unknown ones are reported at planning)"
        ),
    )
    accounts: NamesOrAll = Field(
        description="Accounts to audit. One that has left the organization is left out, and reported each night.",
        default=(),
        json_schema_extra=_valid("'all', or a list of 12-digit account ids"),
    )
    postgres_conn_id: str | None = Field(
        description="Airflow connection for publishing to PostgreSQL as well.",
        default=None,
        json_schema_extra=_valid("the id of an Airflow connection of type postgres; unset: no PostgreSQL"),
    )
    postgres_schema: str = Field(
        description="Schema of the tables in PostgreSQL.",
        default="ecr_audit",
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        json_schema_extra=_valid("a name of up to 63 lower-case letters, digits and _, such as ecr_audit"),
    )
    batch_accounts: int = Field(
        description="Accounts for each scan task; more in an organization that would need over 64 tasks.",
        default=100,
        ge=1,
        le=10_000,
        json_schema_extra=_valid("accounts per batch, 1 to 10000"),
    )
    concurrency: int = Field(
        description="Calls in flight in each scan task.",
        default=64,
        ge=1,
        le=512,
        json_schema_extra=_valid("calls in flight per batch, 1 to 512"),
    )
    target_seconds: float = Field(
        description="Time limit of a target that AWS throttles.",
        default=120,
        ge=1,
        le=3600,
        json_schema_extra=_valid("seconds a throttled target is retried for, 1 to 3600"),
    )
    batch_seconds: float = Field(
        description="Time limit of a scan task: then it writes what it has.",
        default=2400,
        ge=10,
        le=3300,
        json_schema_extra=_valid("seconds after which a batch writes its results, 10 to 3300"),
    )
    min_coverage: Annotated[float, _if_text(written.share)] = Field(
        description="Lowest share of targets read. Below it the nightly run fails, after publishing what was seen.",
        default=0.95,
        ge=0,
        le=1,
        json_schema_extra=_valid("a share from 0 to 1, such as 0.95"),
    )
    collect: Annotated[tuple[Facet, ...], BeforeValidator(_facets)] = Field(
        description="Facets that are read by calls of their own: tags, and what policies need beyond the list of"
        " repositories (policies.md, Facets).",
        default=(Facet.TAGS, Facet.SCANNING, Facet.REGISTRIES),
        json_schema_extra=_valid(f"'all', 'none', or a list out of {', '.join(Facet)}"),
    )
    collect_rotation_nights: int = Field(
        description=f"Nights over which {', '.join(ROTATED_FACETS[:-1])} and {ROTATED_FACETS[-1]} are read, a share"
        " each night.",
        default=7,
        ge=1,
        le=60,
        json_schema_extra=_valid("nights, 1 to 60; 1 reads all each night"),
    )
    registry_concurrency: int = Field(
        description="Calls in flight for the facets, or the image tags, of one account in one region, whose limits AWS"
        " counts together.",
        default=8,
        ge=1,
        le=64,
        json_schema_extra=_valid("calls in flight per registry, 1 to 64"),
    )
    image_tags: Annotated[ImageTags, _if_text(str.lower)] = Field(
        description="Repositories whose image tags are read each night, to find those that were overwritten: none,"
        " those whose setting lets a tag be overwritten, or all.",
        default=ImageTags.OFF,
        json_schema_extra=_valid(", ".join(ImageTags)),
    )
    owner_tags: Names = Field(
        description="Tag keys that name an owner. Without one of them, the account's name counts.",
        default=("owner", "team"),
        json_schema_extra=_valid("a list of repository tag keys, the first found wins: owner,team"),
    )
    retention_days: int = Field(
        description="Age at which snapshots are thinned, except the last of each month; what was rolled up stays.",
        default=400,
        ge=1,
        le=36_500,
        json_schema_extra=_valid("days after which snapshots are thinned to one a month, 1 to 36500"),
    )
    waivers: Annotated[str, _if_text(file_of)] | None = Field(
        description="File of waivers (accepted risks).",
        default=None,
        json_schema_extra=_valid("the path of a YAML file, or s3://bucket/key; unset: no waivers"),
    )
    waiver_max_days: int = Field(
        description="Longest time from a waiver's creation to its expiry.",
        default=365,
        ge=1,
        le=3650,
        json_schema_extra=_valid("days that a waiver may last, 1 to 3650"),
    )
    snapshot_date: Annotated[date | None, _if_text(written.iso_date)] = Field(
        description="Date of the snapshot, only to override.",
        default=None,
        json_schema_extra=_valid("a date as YYYY-MM-DD; unset: the day of the run, in UTC"),
    )

    @field_validator("accounts")
    @classmethod
    def _account_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _each(value, written.account_id)

    @field_validator("regions")
    @classmethod
    def _region_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _each(value, written.region_name)

    @property
    def lake_root(self) -> str:
        """Where the lake is: an absolute path, or s3://bucket/prefix."""
        return self.lake or str(self.data / "lake")

    @property
    def publish_root(self) -> str:
        """Where publications are: an absolute path, or s3://bucket/prefix."""
        return self.publish or str(self.data / "publish")


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
