"""YAML read into a model, where every value remembers its line, so that a fault can be named by file and line.

The files are other people's: of YAML there are mappings, lists and text; what the text means is the models' to decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ecr_audit.yaml_files.faults import Faults, nearest

Location = tuple[int | str, ...]  # the way to a value, ("sections", 3, "title"), as pydantic gives it

M = TypeVar("M", bound=BaseModel)

# More than 5,000 waivers, which take some ten seconds to read. A node is a value, a key, or what holds them.
MAX_BYTES = 2 * 1024 * 1024
MAX_NODES = 200_000
MAX_DEPTH = 20
# Maximum characters shown of an invalid value.
_SHOWN = 200

# Values that YAML reads as null without quotation marks.
_NOTHING = ("", "~", "null", "Null", "NULL")
_TAG = "tag:yaml.org,2002:"  # which is written !!


class _Refused(Exception):  # noqa: N818 - caught below, where it becomes a fault
    """Valid YAML that these files have no use for."""

    def __init__(self, problem: str, event: Any) -> None:
        super().__init__(problem)
        self.line: int = event.start_mark.line + 1


class _Loader(yaml.SafeLoader):
    """Leaves text as it is written, for the models to read: YAML would make numbers and more of 012345, no and 12:30.

    Refuses aliases, with which a few lines stand for gigabytes or for themselves, deep nesting, and more than is read
    in a few seconds.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # untyped in PyYAML
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(f"The alias *{event.anchor} is not allowed: write its value", event)
        if self._depth == MAX_DEPTH:
            raise _Refused(f"Nested deeper than {MAX_DEPTH} levels", event)
        if self._nodes == MAX_NODES:
            raise _Refused(f"The file has more than {MAX_NODES:,} values", event)
        self._nodes += 1
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


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
    raw = _read_bytes(path)
    if len(raw) > MAX_BYTES:
        faults.add(path, 1, f"The file has more than {MAX_BYTES:,} bytes")
        return None
    tree = _Tree()
    try:
        text = raw.decode("utf-8")
        root = _Loader(text).get_single_node()
        if root is None:
            faults.add(path, 1, "The file is empty")
            return None
        values = tree.read(root, ())
        instance = model.model_validate(values, context=context)
    except ValidationError as error:
        for detail in error.errors():
            if detail["loc"] not in tree.faults:
                faults.add(path, _line(tree.lines, detail["loc"]), explain(detail, model))
    except _Refused as error:
        faults.add(path, error.line, str(error))
    except yaml.reader.ReaderError as error:
        faults.add(path, text.count("\n", 0, error.position) + 1, f"Not valid YAML: {error.reason}")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        faults.add(path, mark.line + 1 if mark else 1, f"Not valid YAML: {error.problem}")
    except UnicodeDecodeError as error:
        faults.add(path, raw.count(b"\n", 0, error.start) + 1, f"Not UTF-8: {error.reason}")
    for location, found in tree.faults.items():
        faults.add(path, _line(tree.lines, location), found)
    return Located(path, instance, tree.lines) if len(faults) == known else None


def _read_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


class _Tree:
    """Makes values of YAML's nodes: mappings, lists and text. Notes the line of each, and what YAML would let pass."""

    def __init__(self) -> None:
        self.lines: dict[Location, int] = {}
        self.faults: dict[Location, str] = {}

    def read(self, node: yaml.Node, location: Location) -> Any:
        """The value of a node, and of all nodes below it."""
        self.lines.setdefault(location, node.start_mark.line + 1)
        where = ".".join(map(str, location)) or "the file"
        if node.tag.removeprefix(_TAG) not in ("str", "seq", "map"):
            self.faults[location] = f"{where}: The tag {node.tag.replace(_TAG, '!!')} is not allowed"
        elif isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*location, index)) for index, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            return dict(self._read_entry(key, value, location) for key, value in node.value)
        elif isinstance(node, yaml.ScalarNode) and node.style is None and node.value in _NOTHING:
            self.faults[location] = f"{where}: Is empty. Leave it out, or put the text in quotation marks"
        else:
            return node.value
        return None

    def _read_entry(self, key: yaml.Node, value: yaml.Node, location: Location) -> tuple[str, Any]:
        name, line = str(key.value), key.start_mark.line + 1
        below = (*location, name)
        if not isinstance(key, yaml.ScalarNode):
            name, below = "", (*location, "")
            self.faults[below] = "A key is not text"
        elif below in self.lines:
            # The fault has the line of the second one, and so a place of its own.
            self.lines[(*below, line)] = line
            self.faults[(*below, line)] = f"Key '{name}' is given twice"
        self.lines[below] = line
        return name, self.read(value, below)


def _line(lines: dict[Location, int], location: Location) -> int:
    while location and location not in lines:
        location = location[:-1]
    return lines.get(location, 1)


def explain(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """A fault that `model` found, with the key, its value and the valid ones."""
    location = ".".join(str(part) for part in detail["loc"])
    name = str(detail["loc"][-1]) if detail["loc"] else "the file"
    value = f"{detail['input']!r:.{_SHOWN}}"
    match detail["type"]:
        case "extra_forbidden":
            return f"Unknown key '{name}'. {nearest(name, _keys_at(model, detail['loc'][:-1]))}"
        case "missing":
            return f"Key '{name}' is missing"
        case "unknown_section":
            return detail["msg"]
        case "literal_error":
            valid = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
            return f"{location}: {value} is not valid. {nearest(str(detail['input']), valid)}"
    return f"{location or name}: {value} is not valid. {detail['msg'].removeprefix('Value error, ')}"


def _keys_at(model: type[BaseModel], location: Location) -> list[str]:
    """The keys that the model knows at a place; a list of models stands there as the key and an index."""
    for part in location:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation)
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel]:
    while arguments := get_args(annotation):
        annotation = arguments[0]
    model: type[BaseModel] = annotation
    return model
