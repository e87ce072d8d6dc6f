"""DuckDB sessions for the tests of sql/: lake tables from a few rows, and the real staging views over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ecr_audit.catalog import input_names
from ecr_audit.lake.schemas import ACCOUNTS, IMAGE_TAG_READS, REGISTRIES, REPOSITORIES
from ecr_audit.lake.tables import LakeTable
from ecr_audit.macros import create_session_macros
from ecr_audit.vocabulary import Facet
from ecr_audit.warehouse.sandbox import NO_EXTENSIONS, confine

SQL = Path(__file__).parents[2] / "sql"

COLLECTED_AT = datetime(2026, 11, 1, 2, tzinfo=UTC)

# A repository as the scan would write it; a case names only the columns that matter to it.
REPOSITORY = {
    "account_id": "111111111111",
    "region": "eu-west-1",
    "repository_name": "team/app",
    "image_tag_mutability": "IMMUTABLE",
    "scan_on_push": True,
    "encryption_type": "AES256",
    "tags": {},
    "observed": True,
    "collected_at": COLLECTED_AT,
    "scan_frequency": "SCAN_ON_PUSH",
    "scan_filters": [],
    **{f"{facet}_read_at": COLLECTED_AT for facet in Facet if facet is not Facet.REGISTRIES},
    "facets_failed": [],
}


def lake_repository(**columns: Any) -> dict[str, Any]:
    """A row of lake.repositories: the given columns, defaults for the rest, ARN and URI to match."""
    row: dict[str, Any] = REPOSITORY | columns
    host = f"{row['account_id']}.dkr.ecr.{row['region']}.amazonaws.com"
    arn = f"arn:aws:ecr:{row['region']}:{row['account_id']}:repository/{row['repository_name']}"
    row = {"repository_arn": arn, "repository_uri": f"{host}/{row['repository_name']}"} | row
    filters = row.pop("exclusion_filters", None)
    if filters is not None:
        row["image_tag_mutability_exclusion_filters"] = [
            {"filter_type": "WILDCARD", "filter": tag_filter} for tag_filter in filters
        ]
    return row


def lake_registry(**columns: Any) -> dict[str, Any]:
    """A row of lake.registries: the given columns, defaults for the rest, an ARN to match."""
    row: dict[str, Any] = {
        "account_id": "111111111111",
        "region": "eu-west-1",
        "creation_templates": [],
        "pull_through_rules": [],
        "registries_read_at": COLLECTED_AT,
        "collected_at": COLLECTED_AT,
        "observed": True,
        "facets_failed": [],
    } | columns
    return {"registry_arn": f"arn:aws:ecr:{row['region']}:{row['account_id']}:registry"} | row


@pytest.fixture
def session() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config=dict(NO_EXTENSIONS)) as connection:
        connection.execute("CREATE SCHEMA lake; CREATE SCHEMA staging")
        create_session_macros(connection)
        connection.execute("SET VARIABLE owner_tags = ['owner', 'team']::VARCHAR[]")
        connection.execute(f"SET VARIABLE collected_facets = {[facet.value for facet in Facet]}::VARCHAR[]")
        connection.execute("SET VARIABLE rotation_nights = 7")
        connection.execute("SET VARIABLE image_tags = 'all'")
        # As a policy's logic.sql is evaluated: what it may not reach there, its cases may not either.
        confine(connection)
        yield connection


@pytest.fixture
def stage(session: duckdb.DuckDBPyConnection) -> Callable[..., None]:
    """Put rows into the lake and build the staging views over them from their files.

    A repository may have `image_tags`, its row of lake.image_tag_reads.
    """

    def load(table: LakeTable, rows: Sequence[dict[str, Any]]) -> None:
        session.register("rows", pa.Table.from_pylist(list(rows), schema=table.schema))
        session.execute(f"CREATE TABLE lake.{table.name} AS FROM rows")

    def build(
        repositories: Sequence[dict[str, Any]] = (),
        accounts: Sequence[dict[str, Any]] | None = None,
        registries: Sequence[dict[str, Any]] = (),
    ) -> None:
        rows = [lake_repository(**repository) for repository in repositories]
        read = [row for row in rows if "image_tags" in row]
        reads = [{"repository_arn": row["repository_arn"]} | row.pop("image_tags") for row in read]
        registry_rows = [lake_registry(**registry) for registry in registries]
        if accounts is None:
            accounts = [
                {"account_id": account_id, "account_name": f"account {account_id}", "state": "ACTIVE"}
                for account_id in sorted({row["account_id"] for row in (*rows, *registry_rows)})
            ]
        load(ACCOUNTS, accounts)
        load(REPOSITORIES, rows)
        load(REGISTRIES, registry_rows)
        load(IMAGE_TAG_READS, reads)
        for name in (*input_names(SQL), "repository_image_tags"):
            view = (SQL / "staging" / f"{name}.sql").read_text(encoding="utf-8")
            session.execute(f"CREATE VIEW staging.{name} AS {view}")

    return build
