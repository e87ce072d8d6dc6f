"""YAML read into a model, where every value remembers its line, so that a fault can be named by file and line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ecr_audit.catalog.faults import Faults, nearest

Location = tuple[int | str, ...]  # the way to a value, ("sections", 3, "title"), as pydantic gives it

M = TypeVar("M", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Leaves dates to the models: of one that cannot be, such as 2026-02-30, YAML would not say where it stands."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class Located(Generic[M]):
    """A model read from a file, and the line (from 1) of each value; a key's value has the line of the key."""

    def __init__(self, path: Path, model: M, lines: dict[Location, int]) -> None:
        self.path = path
        self.model = model
        self._lines = lines

    def line(self, *location: int | str) -> int:
        """The line of a value. For one that is left out: the line of what it would stand in."""
        return _line(self._lines, location)


def read_located(
    path: Path, model: type[M], faults: Faults, context: Callable[[str], str | None] | None = None
) -> Located[M] | None:
    """Read a YAML file as `model`; None when it does not fit, and then `faults` has each thing wrong with it.

    `context` is handed to the model's validators.
    """
    known = len(faults)
    lines: dict[Location, int] = {}
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        if root is None:
            faults.add(path, 1, "The file is empty")
            return None
        for key, line in _locate(root, (), lines):
            faults.add(path, line, f"Key '{key}' is given twice")
        instance = model.model_validate(loader.construct_document(root), context=context)
    except ValidationError as error:
        for detail in error.errors():
            faults.add(path, _line(lines, detail["loc"]), _explain(detail, model))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        faults.add(path, mark.line + 1 if mark else 1, f"Not valid YAML: {problem}")
    return Located(path, instance, lines) if len(faults) == known else None


def _locate(node: yaml.Node, location: Location, lines: dict[Location, int]) -> list[tuple[str, int]]:
    """Note the line of every value below `node`; return the keys given twice, which YAML itself would let pass."""
    twice: list[tuple[str, int]] = []
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            twice += _locate(item, (*location, index), lines)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*location, str(key.value))
            if below in lines:
                twice.append((str(key.value), key.start_mark.line + 1))
            lines[below] = key.start_mark.line + 1
            twice += _locate(value, below, lines)
    return twice


def _line(lines: dict[Location, int], location: Location) -> int:
    while location and location not in lines:
        location = location[:-1]
    return lines.get(location, 1)


def _explain(detail: ErrorDetails, model: type[BaseModel]) -> str:
    location = ".".join(str(part) for part in detail["loc"])
    name = str(detail["loc"][-1]) if detail["loc"] else "the file"
    value = detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            return f"Unknown key '{name}'. {nearest(name, _keys_at(model, detail['loc'][:-1]))}"
        case "missing":
            return f"Key '{name}' is missing"
        case "unknown_section":
            return detail["msg"]
        case "literal_error":
            valid = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
            return f"{location}: {value!r} is not valid. {nearest(str(value), valid)}"
    return f"{location or name}: {value!r} is not valid. {detail['msg']}"


def _keys_at(model: type[BaseModel], location: Location) -> list[str]:
    """The keys that the model knows at a place; a list of models stands there as the key and an index."""
    for part in location:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation)
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel]:
    while arguments := get_args(annotation):
        annotation = arguments[0]
    return annotation  # type: ignore[no-any-return]
