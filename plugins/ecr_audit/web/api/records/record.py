"""The base of all records: a row of a published table, described by the data dictionary."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ecr_audit.publish.dictionary import Dictionary, load_dictionary
from ecr_audit.publish.tables import TABLES


@cache
def _dictionary() -> Dictionary:
    return load_dictionary(TABLES)


def _describe(schema: dict[str, Any], model: type[Record]) -> None:
    """Copy the descriptions of the data dictionary into the OpenAPI document."""
    schema["description"] = f"{_dictionary().tables[model.table].row.removesuffix('.')}."
    for name, field in schema["properties"].items():
        if "description" not in field:
            field["description"] = str(_dictionary().column(model.table, name))


def _in_utc(value: Any) -> Any:
    """Published times are UTC, but DuckDB returns them without a time zone."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


Utc = Annotated[datetime, BeforeValidator(_in_utc)]


NightsMissed = Annotated[
    int, Field(description="Number of snapshots that are due but not published; above 0, the data is out of date.")
]
MissingExports = Annotated[
    dict[str, str],
    Field(description="Formats without files beside the database, such as the workbook, each with the reason."),
]


class Record(BaseModel):
    """A row of a published table, with all of its columns."""

    model_config = ConfigDict(json_schema_extra=_describe)
    table: ClassVar[str]
