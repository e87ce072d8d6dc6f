"""Reads a policy's cases.yaml by a model, so that a mistake is reported with file, line and key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, RootModel, create_model

from ecr_audit.catalog.models import PolicyYaml, Text
from ecr_audit.lake.schemas import IMAGE_TAG_READS, REGISTRIES, REPOSITORIES
from ecr_audit.lake.tables import LakeTable
from ecr_audit.vocabulary import Facet, ImageTags, PolicyStatus
from ecr_audit.yaml_files.faults import Faults
from ecr_audit.yaml_files.located_yaml import read_located
from support.documents import read_yaml

_ONLY_THESE = ConfigDict(extra="forbid")


class CasesError(ValueError):
    """Every fault of a cases.yaml, a line each."""


# The lake's table of each input that cases can be given in.
_TABLES: dict[str, LakeTable] = {table.name: table for table in (REPOSITORIES, REGISTRIES)}

# Columns of JSON, which a case may give as YAML.
_JSON = ("lifecycle_policy", "repository_policy")


def _of_column(column: pa.Field, value: Any) -> Any:
    if column.name in _JSON and isinstance(value, dict):
        return json.dumps(value)
    try:
        pa.array([value], type=column.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as fault:
        raise ValueError(f"Give a {column.type}") from fault
    # Arrow would leave them out.
    if unknown := sorted(set(_unknown_keys(column.type, value))):
        raise ValueError(f"Unknown key {', '.join(unknown)}. Give a {column.type}")
    return value


def _unknown_keys(kind: pa.DataType, value: Any) -> Iterator[str]:
    """The keys within a value that its structs do not have."""
    if pa.types.is_list(kind):
        for each in value or ():
            yield from _unknown_keys(kind.value_type, each)
    elif pa.types.is_struct(kind) and isinstance(value, dict):
        for key, each in value.items():
            if kind.get_field_index(key) < 0:
                yield key
            else:
                yield from _unknown_keys(kind.field(key).type, each)


class _Expected(BaseModel):
    """A verdict; a column that is left out is not compared."""

    model_config = _ONLY_THESE

    object_id: str = ""
    condition_index: int = 0
    status: PolicyStatus = "COMPLIANT"
    current_state_message: str = ""
    remediation_message: str | None = None
    remediation_command: str | None = None
    owner: str | None = None


def _columns_of(table: LakeTable) -> dict[str, Any]:
    """The fields of a row of a lake's table: each may be left out."""
    return {column.name: (Annotated[Any, AfterValidator(partial(_of_column, column))], None) for column in table.schema}


_IMAGE_TAGS = create_model("_ImageTags", __config__=_ONLY_THESE, **_columns_of(IMAGE_TAG_READS))

# Short for the list of structs that the lake holds; and the repository's row of another table of the lake.
_MORE: dict[str, dict[str, Any]] = {
    "repositories": {"exclusion_filters": (list[str], []), "image_tags": (_IMAGE_TAGS | None, None)}
}


@cache
def _cases_model(name: str) -> Any:
    """The model of the file, for policies with that input."""
    columns = _columns_of(_TABLES[name])
    given = create_model("_Given", __config__=_ONLY_THESE, **_MORE.get(name, {}), **columns)
    case = create_model(
        "_Case",
        __config__=_ONLY_THESE,
        name=(Text, ...),
        collect=(list[Facet], list(Facet)),
        image_tags=(ImageTags, ImageTags.ALL),
        given=(list[given], ...),  # type: ignore[valid-type]  # mypy knows no model that is made from a schema
        expect=(list[_Expected], ...),
    )
    return RootModel[list[case]]  # type: ignore[valid-type]


class Case(BaseModel):
    """A test of a policy: rows of the input, and the verdicts on them in order of object_id."""

    name: str
    # As ECR_AUDIT_COLLECT.
    collect: list[Facet] = list(Facet)
    # As ECR_AUDIT_IMAGE_TAGS.
    image_tags: ImageTags = ImageTags.ALL
    given: list[dict[str, Any]]
    expect: list[dict[str, Any]]


def shown(file: Path) -> str:
    """A file of a policy's folder as messages name it: sql/policies/<service>/<policy>/<file>."""
    return file.relative_to(file.parents[4]).as_posix()


def read_cases(folder: Path) -> list[Case]:
    """The cases of a policy's folder, each with the keys that the file names. Raises CasesError."""
    path = folder / "cases.yaml"
    if not path.is_file():
        raise CasesError(f"{shown(path)}: The file is missing")
    faults = Faults(folder.parents[3])
    if (located := read_located(path, _cases_model(_input_of(folder)), faults, typed=True)) is not None:
        names: set[str] = set()
        for number, case in enumerate(located.model.root):
            if case.name in names:
                faults.add(path, located.line(number, "name"), f"The name '{case.name}' is given twice")
            names.add(case.name)
    if not located or faults:
        raise CasesError("\n".join(faults.listed()))
    return [Case(**case.model_dump(exclude_unset=True)) for case in located.model.root]


def _input_of(folder: Path) -> str:
    """The input that policy.yaml names; where that is not one of these, loading the catalog reports it."""
    try:
        policy = read_yaml(folder / "policy.yaml")
        name = policy["input"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        name = None
    return name if name in _TABLES else str(PolicyYaml.model_fields["input"].default)


def differences(expected: Sequence[dict[str, Any]], verdicts: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each column in which a verdict is not as expected; a column that is not expected is not compared."""
    return [
        f"verdict {number} ({verdict['object_id']}): {column}: expected {_quoted(value)}, "
        + (f"returned {_quoted(verdict[column])}" if column in verdict else "which logic.sql does not return")
        for number, (columns, verdict) in enumerate(zip(expected, verdicts, strict=True), start=1)
        for column, value in columns.items()
        if column not in verdict or verdict[column] != value
    ]


def written(value: Any) -> str:
    """A value of a verdict as messages have it."""
    return "NULL" if value is None else str(value)


def _quoted(value: Any) -> str:
    return "NULL" if value is None else repr(value)
