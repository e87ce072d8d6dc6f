"""Two published nights with all that exported files have to bear: each status, waivers, and names that mean harm."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import pyarrow as pa

from ecr_audit.catalog import load_catalog
from ecr_audit.catalog.waivers import SCHEMA
from ecr_audit.publish import exports
from ecr_audit.publish.build import publish
from ecr_audit.publish.completion import complete
from ecr_audit.publish.sealing import SealedNights
from ecr_audit.settings import SQL_ROOT, ExportSettings
from ecr_audit.vocabulary import ExportedRecords, ExportFormat
from support.policies import MUTABILITY
from support.small_lake import SmallLake

FIRST, SECOND = date(2026, 11, 1), date(2026, 11, 2)
# The newest entry of the evidence log.
SEALED = SealedNights(head="e" * 64)

ALL_FORMATS = ExportSettings(exports=tuple(ExportFormat), export_records=ExportedRecords.ALL)

SHOP, DARK, CLOSED, NAMELESS = "111111111111", "222222222222", "333333333333", "444444444444"
# It ends a JSON text, begins a formula, a tag of HTML and another line; an escape, a right-to-left mark, outer blanks.
HOSTILE = ' =cmd|\'/C calc\'!A0","uid":"x"}\r\n\t<b>\x1b[31m\u202eé漢\U0001f4a5\\\x7f '


@dataclass(frozen=True)
class ExportedNight:
    """A publication of the two nights."""

    folder: Path
    lake: SmallLake

    def query(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query on its database."""
        with duckdb.connect(self.folder / "compliance.duckdb", read_only=True) as database:
            return database.execute(sql, parameters).fetchall()


def exported_nights(folder: Path) -> list[ExportedNight]:
    """Both nights, each published into a folder of its own with all formats."""
    lake = SmallLake(folder / "lake", load_catalog(SQL_ROOT))
    nights = []
    for day in (FIRST, SECOND):
        lake.waivers = waivers()
        lake.night(day, **rows_of(day), details={"organization_id": "o-exampleorgid", "hub_account_id": SHOP})
        nights.append(ExportedNight(export(lake, folder / day.isoformat()), lake))
    return nights


def export(lake: SmallLake, folder: Path, options: ExportSettings = ALL_FORMATS) -> Path:
    """Publish the newest night with the files for other tools; returns their folder."""
    # The workbook takes as long as all else together.
    with mock.patch.dict(exports.EXPORTS):
        del exports.EXPORTS["workbook"], exports.EXPORTS["CSV"]
        publish(lake.lake, lake.catalog, folder, owner_tags=lake.owner_tags, options=options, sealed=SEALED)
        return complete(lake.lake, folder, options).folder


def rows_of(day: date) -> dict[str, Any]:
    """The inventory of a night."""
    is_second = day >= SECOND
    accounts = [
        {"account_id": SHOP, "account_name": HOSTILE, "ou_path": f"Root/{HOSTILE.replace('/', '%2F')}"},
        {"account_id": DARK, "account_name": "dark", "ou_path": "Root"},
        {"account_id": CLOSED, "account_name": "closed", "state": "SUSPENDED" if is_second else "ACTIVE"},
        {"account_id": NAMELESS, "account_name": "", "ou_path": ""},
    ]
    repositories = [
        {"repository_name": "open", "tags": {"owner": HOSTILE}, "image_tag_mutability": "MUTABLE"},
        {"repository_name": "fixed", "image_tag_mutability": "IMMUTABLE" if is_second else "MUTABLE"},
        {"repository_name": "good", "image_tag_mutability": "IMMUTABLE", "encryption_type": "KMS"},
        {"repository_name": "waived"},
        {"repository_name": "odd", "image_tag_mutability": HOSTILE},
        {
            "repository_name": "filtered",
            "image_tag_mutability": "IMMUTABLE_WITH_EXCLUSION",
            "image_tag_mutability_exclusion_filters": [{"filter": "latest*", "filter_type": "WILDCARD"}],
        },
        {"repository_name": "new" if is_second else "gone"},
        {"account_id": NAMELESS, "repository_name": "nameless/app"},
        *(
            {"account_id": account, "repository_name": "unseen"}
            | ({"observed": False, "collected_at": _night_before(day)} if is_second else {})
            for account in (DARK, CLOSED)
        ),
    ]
    dark = {"account_id": DARK, "region": "eu-west-1", "outcome": "ASSUME_ROLE_DENIED", "error_code": "AccessDenied"}
    return {
        "accounts": accounts,
        "repositories": repositories,
        "registries": [{"account_id": SHOP}],
        "scan_targets": [dark | {"error_message": HOSTILE, "repository_count": None}] if is_second else [],
    }


def _night_before(day: date) -> Any:
    from datetime import UTC, datetime, time

    return datetime.combine(day - timedelta(days=1), time(2), UTC)


def waivers() -> pa.Table:
    """The waivers of both nights."""
    waiver = {
        "policy_id": MUTABILITY,
        "repository": "arn:aws:ecr:*:*:repository/waived",
        "reason": HOSTILE,
        "owner": HOSTILE,
        "ticket": "RISK-1",
        "approved_by": HOSTILE,
        "created": FIRST,
        "expires": FIRST + timedelta(days=90),
    }
    expired = {"waiver_id": "W-2", "repository": "arn:aws:ecr:*:*:repository/open", "expires": SECOND}
    return pa.Table.from_pylist([waiver | {"waiver_id": "W-1"}, waiver | expired], schema=SCHEMA)
