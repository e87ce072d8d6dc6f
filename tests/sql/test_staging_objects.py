"""sql/staging/objects: the columns of each input that the engine needs, for objects of any kind."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pytest

from ecr_audit.catalog import input_names
from ecr_audit.settings import SQL_ROOT

COLUMNS = {
    "object_id": "VARCHAR",
    "account_id": "VARCHAR",
    "region": "VARCHAR",
    "owner": "VARCHAR",
    "created_at": "TIMESTAMP WITH TIME ZONE",
    "collected_at": "TIMESTAMP WITH TIME ZONE",
    "observed": "BOOLEAN",
}


@pytest.mark.parametrize("name", input_names(SQL_ROOT))
def test_an_input_has_the_columns_of_the_engine(
    name: str, stage: Callable[..., None], session: duckdb.DuckDBPyConnection
) -> None:
    """Its ids are ARNs, from which the engine takes account and region."""
    places = [{"region": "eu-west-1"}, {"region": "us-east-1", "account_id": "222222222222"}]
    stage(places, registries=places)
    objects = session.sql((SQL_ROOT / "staging" / "objects" / f"{name}.sql").read_text(encoding="utf-8"))
    assert dict(zip(objects.columns, map(str, objects.types), strict=True)) == COLUMNS
    rows = objects.select("object_id, region, account_id").fetchall()
    assert rows
    for object_id, region, account_id in rows:
        assert object_id.split(":")[3:5] == [region, account_id]
