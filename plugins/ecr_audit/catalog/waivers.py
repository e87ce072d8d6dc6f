"""Waivers: risks accepted for a limited time. They are data, in one YAML file (`ECR_AUDIT_WAIVERS`).

docs/concepts.md has an example, with the meaning of each key.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from ecr_audit.catalog import Catalog
from ecr_audit.errors import FinalError
from ecr_audit.lake.s3 import S3Error, local_file
from ecr_audit.lake.schemas import WAIVER_COLUMNS
from ecr_audit.text import plural
from ecr_audit.unit_paths import UNIT_ID
from ecr_audit.written import account_id, iso_date, region_name
from ecr_audit.yaml_files.faults import Faults, nearest
from ecr_audit.yaml_files.located_yaml import MAX_BYTES, Located, read_located

SCHEMA = pa.schema(WAIVER_COLUMNS)


class WaiverError(FinalError):
    """The file of waivers cannot be used; the message has every fault in it, with line and field."""


class WaiversUnreadError(WaiverError):
    """The file of waivers could not be read at all, so its content is unknown."""


Text = Annotated[str, Field(min_length=1)]
Day = Annotated[date, BeforeValidator(lambda value: iso_date(str(value)))]


class _Model(BaseModel):
    # Built when a file is read: most steps read none.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class TagYaml(_Model):
    """A tag that a repository has, letter for letter."""

    key: Text
    value: str


class ScopeYaml(_Model):
    """Which findings a waiver covers: those that fit all that is given."""

    # A pattern without brackets, which SQL's GLOB would take for a set of characters.
    repository: Annotated[str, Field(pattern=r"^arn:[A-Za-z0-9:/._*?-]+$")] | None = None
    account: Annotated[str, AfterValidator(account_id)] | None = None
    ou: Annotated[str, Field(pattern=r"^[^/]+(/[^/]+)*$")] | None = None
    region: Annotated[str, AfterValidator(region_name)] | None = None
    tag: TagYaml | None = None


class WaiverYaml(_Model):
    """One entry of `waivers`."""

    id: Text
    policy: Text
    scope: ScopeYaml
    reason: Text
    owner: Text
    ticket: Text
    approved_by: Text
    created: Day
    expires: Day


class WaiversYaml(_Model):
    """The keys of the file."""

    waivers: list[WaiverYaml]


def load_waivers(location: str | None, catalog: Catalog, max_days: int) -> pa.Table:
    """The waivers of a file, an absolute path or s3://bucket/key, as rows of `SCHEMA`; none without a location.

    A waiver may last `max_days` from the day it was created.
    Raises WaiverError, which lists every fault found; WaiversUnreadError when there was nothing to look at.
    """
    if location is None:
        return SCHEMA.empty_table()
    try:
        with local_file(location, MAX_BYTES + 1) as path:
            faults = Faults(path.parent)
            located = read_located(path, WaiversYaml, faults)
    except (OSError, S3Error) as fault:
        raise WaiversUnreadError(
            f"ECR_AUDIT_WAIVERS: '{location}' cannot be read ({fault}). Give the path of a YAML file, or"
            " s3://bucket/key; unset: no waivers"
        ) from fault
    if located is not None:
        _check(located, catalog, max_days, faults)
    if found := faults.listed():
        raise WaiverError("\n".join([f"ECR_AUDIT_WAIVERS: '{location}' has {plural(len(faults), 'fault')}:", *found]))
    return _as_arrow(located.model.waivers if located else [])


def _check(located: Located[WaiversYaml], catalog: Catalog, max_days: int, faults: Faults) -> None:
    policies = [policy.id for policy in catalog.policies]
    first: dict[str, str] = {}
    for index, waiver in enumerate(located.model.waivers):

        def add(field: str, what: str, index: int = index) -> None:
            faults.add(located.path, located.line("waivers", index, field), f"waivers.{index}.{field}: {what}")

        if waiver.id in first:
            add("id", f"'{waiver.id}' is already used at {first[waiver.id]}")
        first.setdefault(waiver.id, faults.at(located.path, located.line("waivers", index, "id")))
        if waiver.policy not in policies:
            add("policy", f"Unknown policy '{waiver.policy}'. {nearest(waiver.policy, policies)}")
        if not waiver.scope.model_dump(exclude_none=True):
            add("scope", f"Is empty, which would waive everything. Give one of {', '.join(ScopeYaml.model_fields)}")
        if waiver.expires <= waiver.created:
            add("expires", f"{waiver.expires} is not after created, {waiver.created}")
        elif (days := (waiver.expires - waiver.created).days) > max_days:
            add(
                "expires",
                f"{waiver.expires} is {days} days after created, {waiver.created}; ECR_AUDIT_WAIVER_MAX_DAYS allows"
                f" {max_days}",
            )


def _as_arrow(waivers: Sequence[WaiverYaml]) -> pa.Table:
    rows = [
        waiver.model_dump(include={"reason", "owner", "ticket", "approved_by", "created", "expires"})
        | {
            "waiver_id": waiver.id,
            "policy_id": waiver.policy,
            "repository": waiver.scope.repository,
            "account_id": waiver.scope.account,
            **_unit(waiver.scope.ou),
            "region": waiver.scope.region,
            "tag_key": waiver.scope.tag.key if waiver.scope.tag else None,
            "tag_value": waiver.scope.tag.value if waiver.scope.tag else None,
        }
        for waiver in waivers
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _unit(ou: str | None) -> dict[str, str | None]:
    is_id = ou is not None and UNIT_ID.fullmatch(ou) is not None
    return {"ou_path": None if is_id else ou, "ou_id": ou if is_id else None}
