"""The settings, as groups of one frozen object."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from ecr_audit import written
from ecr_audit.place import file_of, folder_of, trail_of
from ecr_audit.settings.evidence import EvidenceSettings
from ecr_audit.settings.group import SettingsGroup
from ecr_audit.settings.remediation import RemediationSettings
from ecr_audit.settings.values import (
    S3_ENCRYPTION,
    SNS_TOPIC,
    ExportFormats,
    Facets,
    Names,
    NamesOrAll,
    Place,
    each,
    if_text,
    valid,
)
from ecr_audit.vocabulary import ROTATED_FACETS, ExportedRecords, ExportFormat, Facet, ImageTags


class StorageSettings(SettingsGroup):
    """Lake and published files."""

    # Places are absolute, also the default's.
    data: Annotated[Path, BeforeValidator(lambda value: folder_of(str(value)))] = Field(
        description="Folder of the lake, the published files, the cache and the logs.",
        default=Path("data"),
        validate_default=True,
        json_schema_extra=valid("a folder, such as ./data"),
    )
    lake: Place | None = Field(
        description="The lake, if elsewhere.",
        default=None,
        json_schema_extra=valid("a folder, or s3://bucket/prefix; unset: <ECR_AUDIT_DATA>/lake"),
    )
    publish: Place | None = Field(
        description="The published files, if elsewhere.",
        default=None,
        json_schema_extra=valid("a folder, or s3://bucket/prefix; unset: <ECR_AUDIT_DATA>/publish"),
    )
    s3_encryption: str | None = Field(
        description="Server-side encryption of everything that is written to S3.",
        default=None,
        pattern=rf"^({S3_ENCRYPTION.pattern})$",
        json_schema_extra=valid("AES256, aws:kms, or the ARN of a KMS key; unset: the bucket's default encryption"),
    )
    postgres_conn_id: str | None = Field(
        description="Airflow connection for publishing to PostgreSQL as well.",
        default=None,
        json_schema_extra=valid("the id of an Airflow connection of type postgres; unset: no PostgreSQL"),
    )
    postgres_schema: str = Field(
        description="Schema of the tables in PostgreSQL.",
        default="ecr_audit",
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        json_schema_extra=valid("a name of up to 63 lower-case letters, digits and _, such as ecr_audit"),
    )
    retention_days: int = Field(
        description="Age at which snapshots are thinned, except the last of each month; what was rolled up stays.",
        default=400,
        ge=1,
        le=36_500,
        json_schema_extra=valid("days after which snapshots are thinned to one a month, 1 to 36500"),
    )

    @property
    def lake_root(self) -> str:
        """Where the lake is: an absolute path, or s3://bucket/prefix."""
        return self.lake or str(self.data / "lake")

    @property
    def publish_root(self) -> str:
        """Where publications are: an absolute path, or s3://bucket/prefix."""
        return self.publish or str(self.data / "publish")


class ScopeSettings(SettingsGroup):
    """Accounts, their role, and regions."""

    # With its path, as after `role/` in an ARN.
    role_name: Annotated[str, if_text(written.role_name)] = Field(
        description="Audit role to assume in every account.",
        default="ecr-audit",
        json_schema_extra=valid(
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
        json_schema_extra=valid("2 to 1,224 letters, digits or +=,.@:/- (AssumeRole's ExternalId)"),
    )
    accounts: NamesOrAll = Field(
        description="Accounts to audit. One that has left the organization is left out, and reported each night.",
        default=(),
        json_schema_extra=valid("'all', or a list of 12-digit account ids"),
    )
    regions: NamesOrAll = Field(
        description="Regions to audit. A name that AWS does not have is left out, and reported each night.",
        default=(),
        json_schema_extra=valid(
            "'all', or a list such as 'us-east-1,eu-west-1' (unknown ones are reported at planning)"
        ),
    )

    @field_validator("accounts")
    @classmethod
    def _account_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return each(value, written.account_id)

    @field_validator("regions")
    @classmethod
    def _region_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return each(value, written.region_name)


class ScanSettings(SettingsGroup):
    """Scan."""

    batch_accounts: int = Field(
        description="Accounts for each scan task; more in an organization that would need over 64 tasks.",
        default=100,
        ge=1,
        le=10_000,
        json_schema_extra=valid("accounts per batch, 1 to 10000"),
    )
    concurrency: int = Field(
        description="Calls in flight in each scan task.",
        default=64,
        ge=1,
        le=512,
        json_schema_extra=valid("calls in flight per batch, 1 to 512"),
    )
    target_seconds: float = Field(
        description="Time limit of a target that AWS throttles, and of each facet of it.",
        default=120,
        ge=1,
        le=3600,
        json_schema_extra=valid("seconds a throttled target is retried for, 1 to 3600"),
    )
    batch_seconds: float = Field(
        description="Time limit of a scan task: then it writes what it has.",
        default=2400,
        ge=10,
        le=3300,
        json_schema_extra=valid("seconds after which a batch writes its results, 10 to 3300"),
    )
    min_coverage: Annotated[float, if_text(written.share)] = Field(
        description="Lowest share of targets read. Below it the nightly run fails, after publishing what was seen.",
        default=0.95,
        ge=0,
        le=1,
        json_schema_extra=valid("a share from 0 to 1, such as 0.95"),
    )


class FacetSettings(SettingsGroup):
    """Facets and image tags."""

    collect: Facets = Field(
        description="Facets that are read by calls of their own: tags, and what policies need beyond the list of"
        " repositories (policies.md, Facets).",
        default=(Facet.TAGS, Facet.SCANNING, Facet.REGISTRIES),
        json_schema_extra=valid(f"'all', 'none', or a list out of {', '.join(Facet)}"),
    )
    collect_rotation_nights: int = Field(
        description=f"Nights over which {', '.join(ROTATED_FACETS[:-1])} and {ROTATED_FACETS[-1]} are read, a share"
        " each night.",
        default=7,
        ge=1,
        le=60,
        json_schema_extra=valid("nights, 1 to 60; 1 reads all each night"),
    )
    registry_concurrency: int = Field(
        description="Calls in flight for the facets, or the image tags, of one account in one region, whose limits AWS"
        " counts together; at most half of ECR_AUDIT_CONCURRENCY.",
        default=8,
        ge=1,
        le=64,
        json_schema_extra=valid("calls in flight per registry, 1 to 64"),
    )
    image_tags: Annotated[ImageTags, if_text(str.lower)] = Field(
        description="Repositories whose image tags are read each night, to find those that were overwritten: none,"
        " those whose setting lets a tag be overwritten, or all (image-tags.md).",
        default=ImageTags.OFF,
        json_schema_extra=valid(", ".join(ImageTags)),
    )
    cloudtrail: Annotated[str, if_text(trail_of)] | None = Field(
        description="Log files of the organization's trail, in which those who overwrote image tags are looked for"
        " (image-tags.md).",
        default=None,
        json_schema_extra=valid(
            "its place, s3://bucket, or s3://bucket/prefix if it has one; unset: moves lack actors"
        ),
    )


class EvaluationSettings(SettingsGroup):
    """Owners, waivers, and the date."""

    owner_tags: Names = Field(
        description="Tag keys that name an owner. Without one of them, the account's name counts.",
        default=("owner", "team"),
        json_schema_extra=valid("a list of repository tag keys, the first found wins: owner,team"),
    )
    waivers: Annotated[str, if_text(file_of)] | None = Field(
        description="File of waivers (concepts.md, Waivers).",
        default=None,
        json_schema_extra=valid("the path of a YAML file, or s3://bucket/key; unset: no waivers"),
    )
    waiver_max_days: int = Field(
        description="Longest time from a waiver's creation to its expiry.",
        default=365,
        ge=1,
        le=3650,
        json_schema_extra=valid("days that a waiver may last, 1 to 3650"),
    )
    snapshot_date: Annotated[date | None, if_text(written.iso_date)] = Field(
        description="Date of the snapshot, only to override.",
        default=None,
        json_schema_extra=valid("a date as YYYY-MM-DD; unset: the day of the run, in UTC"),
    )


class ExportSettings(SettingsGroup):
    """Files for other tools."""

    exports: ExportFormats = Field(
        description="Files for other tools in each publication: findings as OCSF and ASFF, assessment results as OSCAL,"
        " and the sections of all frameworks as CSV (exports.md).",
        default=(ExportFormat.OCSF, ExportFormat.OSCAL, ExportFormat.CONTROLS),
        json_schema_extra=valid(f"'all', 'none', or a list out of {', '.join(ExportFormat)}"),
    )
    export_records: Annotated[ExportedRecords, if_text(str.lower)] = Field(
        description="Records of OCSF and ASFF: findings, and those that ended in the night; or all verdicts.",
        default=ExportedRecords.FINDINGS,
        json_schema_extra=valid(", ".join(ExportedRecords)),
    )
    oscal_ap: str | None = Field(
        description="Assessment plan that OSCAL files name.",
        default=None,
        pattern=r"^[!-~]+$",
        json_schema_extra=valid("a URL, or a path beside the files, such as assessment-plan.json; unset: a stand-in"),
    )
    security_hub_role_name: Annotated[str, if_text(written.role_name)] | None = Field(
        description="Role to assume in an account to import its findings into its own Security Hub (exports.md).",
        default=None,
        json_schema_extra=valid(
            "the name of the role in every account, after its path if it has one, such as ecr-audit-security-hub;"
            " unset: nothing is imported"
        ),
    )


class AlertSettings(SettingsGroup):
    """Connection to AWS, and alerts."""

    # Loaded separately, so that an invalid setting elsewhere can still be reported.
    aws_conn_id: str | None = Field(
        description="Airflow connection for everything that calls AWS, in place of boto3's own chain.",
        default=None,
        json_schema_extra=valid("the id of an Airflow connection of type aws; unset: boto3's own chain"),
    )
    alert_slack_conn_id: str | None = Field(
        description="Airflow connection for alerts to Slack.",
        default=None,
        json_schema_extra=valid("the id of an Airflow connection of type slackwebhook; unset: no Slack"),
    )
    alert_email_to: Names = Field(
        description="Recipients of alerts by e-mail, which Airflow's connection smtp_default sends.",
        default=(),
        json_schema_extra=valid("a list of addresses: security@example.com,owner@example.com; unset: no e-mail"),
    )
    alert_sns_topic_arn: str | None = Field(
        description="Amazon SNS topic for alerts.",
        default=None,
        pattern=rf"^{SNS_TOPIC.pattern}$",
        json_schema_extra=valid("the ARN of a standard topic, arn:aws:sns:<region>:<account>:<name>; unset: no SNS"),
    )

    @field_validator("alert_email_to")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return each(value, written.email_address)


# pydantic takes the fields of the last base first.
class Settings(
    AlertSettings,
    ExportSettings,
    EvidenceSettings,
    RemediationSettings,
    EvaluationSettings,
    FacetSettings,
    ScanSettings,
    ScopeSettings,
    StorageSettings,
):
    """Settings of a run. Read them with `load_settings`, whose errors are written for people."""

    @property
    def calls_per_registry(self) -> int:
        """Calls in flight for one registry: so few that one that does not respond leaves others to the rest."""
        return min(self.registry_concurrency, max(1, self.concurrency // 2))
