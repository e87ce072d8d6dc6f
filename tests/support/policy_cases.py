"""Reads a policy's cases.yaml by a model, so that a mistake is reported with file, line and key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, RootModel, create_model

from ecr_audit.catalog.models import Text
from ecr_audit.lake.schemas import REPOSITORIES
from ecr_audit.vocabulary import PolicyStatus
from ecr_audit.yaml_files.faults import Faults
from ecr_audit.yaml_files.located_yaml import read_located

_ONLY_THESE = ConfigDict(extra="forbid")


class CasesError(ValueError):
    """Every fault of a cases.yaml, a line each."""


def _of_column(column: pa.DataType, value: Any) -> Any:
    try:
        pa.array([value], type=column)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as fault:
        raise ValueError(f"Give a {column}") from fault
    return value


# A row of lake.repositories; exclusion_filters is short for the list of structs that the lake holds.
_COLUMNS: dict[str, Any] = {
    column.name: (Annotated[Any, AfterValidator(partial(_of_column, column.type))], None)
    for column in REPOSITORIES.schema
}
_Given = create_model("_Given", __config__=_ONLY_THESE, exclusion_filters=(list[str], []), **_COLUMNS)


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


class _Case(BaseModel):
    model_config = _ONLY_THESE

    name: Text
    given: list[_Given]  # type: ignore[valid-type]  # mypy knows no model that is made from a schema
    expect: list[_Expected]


class _Cases(RootModel[list[_Case]]):
    """The file."""


class Case(BaseModel):
    """A test of a policy: rows of the input, and the verdicts on them in order of object_id."""

    name: str
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
    if (located := read_located(path, _Cases, faults, typed=True)) is not None:
        names: set[str] = set()
        for number, case in enumerate(located.model.root):
            if case.name in names:
                faults.add(path, located.line(number, "name"), f"The name '{case.name}' is given twice")
            names.add(case.name)
    if not located or faults:
        raise CasesError("\n".join(faults.listed()))
    return [Case(**case.model_dump(exclude_unset=True)) for case in located.model.root]


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
