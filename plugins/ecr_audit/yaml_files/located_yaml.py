"""YAML read into a model, where every value remembers its line, so that a fault can be named by file and line.

The files are other people's: of YAML there are mappings, lists and text; what the text means is the models' to decide.
Only the tests of policies, whose values are those of many columns, are read with YAML's own types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

import yaml
from pydantic import BaseModel, RootModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ecr_audit.yaml_files.faults import Faults, nearest
from ecr_audit.yaml_files.loader import SAFE_LOADER

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
_EMPTY = "Is empty. Leave it out, or put the text in quotation marks"
_REQUIRED = "has no value. Give one, in quotation marks if it is ~ or null"
_TAG = "tag:yaml.org,2002:"  # which is written !!
_TEXT_TAGS = ("str", "seq", "map")
_TYPED_TAGS = (*_TEXT_TAGS, "bool", "float", "int", "null", "timestamp")

# The usual cause of what PyYAML reports, by words of its message; the first that fits counts.
_CAUSES = {
    r"found character '\\t'": "indent with spaces, not with tabs",
    "cannot start any token|found '<scalar>'|unknown escape": "is a text in quotation marks, as one whole?",
    "expected ',' or|found ']'|found '}'": "is a bracket not closed, or closed twice?",
    "unexpected end of stream": "is a quotation mark not closed?",
    "mapping values|sequence entries|expected <block end>|could not find expected ':'": "indentation?",
}


class _Refused(Exception):  # noqa: N818 - caught below, where it becomes a fault
    """Valid YAML that these files have no use for."""

    def __init__(self, problem: str, event: Any) -> None:
        super().__init__(problem)
        self.line: int = event.start_mark.line + 1


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
    path: Path,
    model: type[M],
    faults: Faults,
    context: Callable[[str], str | None] | None = None,
    *,
    typed: bool = False,
) -> Located[M] | None:
    """Read a YAML file as `model`; None when it does not fit, and then `faults` has each thing wrong with it.

    `context` is handed to the model's validators. `typed`: values have YAML's types, and are not all text.
    """
    known = len(faults)
    raw = _read_bytes(path)
    if len(raw) > MAX_BYTES:
        faults.add(path, 1, f"The file has more than {MAX_BYTES:,} bytes")
        return None
    try:
        text = raw.decode("utf-8")
        loader, root = _compose(text, typed=typed)
    except UnicodeDecodeError as error:
        faults.add(path, raw.count(b"\n", 0, error.start) + 1, f"Not UTF-8: {error.reason}")
        return None
    except yaml.reader.ReaderError as error:
        faults.add(path, text.count("\n", 0, error.position) + 1, f"Not valid YAML: {error.reason}")
        return None
    except _Refused as error:
        faults.add(path, error.line, str(error))
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        faults.add(path, mark.line + 1 if mark else 1, f"Not valid YAML: {error.problem}{_cause(error, text)}")
        return None
    if root is None:
        faults.add(path, 1, "The file is empty")
        return None
    tree = _Tree(loader, _TYPED_TAGS if typed else _TEXT_TAGS, partial(_shown, model))
    try:
        instance = model.model_validate(tree.read(root, ()), context=context)
    except ValidationError as error:
        for detail in error.errors():
            tree.empty.discard(detail["loc"])
            if detail["loc"] not in tree.faults:
                faults.add(path, _line(tree.lines, detail["loc"]), explain(detail, model))
    for location, found in tree.faults.items():
        faults.add(path, _line(tree.lines, location), found)
    for location in tree.empty:
        faults.add(path, _line(tree.lines, location), f"{_shown(model, location)}: {_EMPTY}")
    return Located(path, instance, tree.lines) if len(faults) == known else None


def _read_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _compose(text: str, *, typed: bool) -> tuple[Any, yaml.Node | None]:
    """The root node of a text, with the loader that made it; None: the text is empty.

    Raises _Refused, or YAMLError as PyYAML's own parser words it: libyaml's words for a fault are fewer.
    """
    try:
        return _compose_by(SAFE_LOADER, text, typed=typed)
    except yaml.YAMLError:
        return _compose_by(yaml.SafeLoader, text, typed=typed)


def _compose_by(loader_class: type[Any], text: str, *, typed: bool) -> tuple[Any, yaml.Node | None]:
    # Before nodes are made: a few lines of aliases stand for gigabytes, or for themselves.
    _require_modest(yaml.parse(text, Loader=loader_class))
    loader = loader_class(text)
    if not typed:
        # Text stays as it is written, for the models to read: YAML would make numbers and more of 012345, no and 12:30.
        loader.yaml_implicit_resolvers = {}
    return loader, loader.get_single_node()


def _require_modest(events: Iterable[yaml.Event]) -> None:
    """Raise _Refused for aliases, deep nesting, and more than is read in a few seconds."""
    depth = nodes = 0
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            raise _Refused(f"The alias *{event.anchor} is not allowed: write its value", event)
        elif isinstance(event, yaml.NodeEvent):
            if depth == MAX_DEPTH:
                raise _Refused(f"Nested deeper than {MAX_DEPTH} levels", event)
            if nodes == MAX_NODES:
                raise _Refused(f"The file has more than {MAX_NODES:,} values", event)
            nodes += 1
            depth += isinstance(event, yaml.CollectionStartEvent)


def _cause(error: yaml.MarkedYAMLError, text: str) -> str:
    """The usual cause of a fault of YAML, in parentheses; empty if there is none."""
    mark = error.problem_mark
    before = text.splitlines()[mark.line][: mark.column] if mark and mark.line < len(text.splitlines()) else ""
    if "mapping values" in str(error.problem) and ": " in before:
        return " (put a text with a colon in quotation marks)"
    return next((f" ({cause})" for words, cause in _CAUSES.items() if re.search(words, str(error.problem))), "")


class _Tree:
    """Makes values of YAML's nodes: mappings, lists and text. Notes the line of each, and what YAML would let pass."""

    def __init__(self, loader: Any, tags: tuple[str, ...], shown: Callable[[Location], str]) -> None:
        """`tags`: those that are allowed. `shown` is the way to a value as messages have it."""
        self._loader = loader
        self._tags = tags
        self._shown = shown
        self.lines: dict[Location, int] = {}
        self.faults: dict[Location, str] = {}
        # The values that YAML reads as null, which is not text.
        self.empty: set[Location] = set()

    def read(self, node: yaml.Node, location: Location) -> Any:
        """The value of a node, and of all nodes below it."""
        self.lines.setdefault(location, node.start_mark.line + 1)
        where = self._shown(location)
        if node.tag.removeprefix(_TAG) not in self._tags:
            self.faults[location] = f"{where}: The tag {node.tag.replace(_TAG, '!!')} is not allowed"
        elif isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*location, index)) for index, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            return dict(self._read_entry(key, value, location) for key, value in node.value)
        elif self._tags is not _TEXT_TAGS:
            try:
                return self._loader.construct_object(node)
            except (ValueError, yaml.MarkedYAMLError) as fault:
                self.faults[location] = f"{where}: {node.value!r} is not valid. {fault}"
        elif isinstance(node, yaml.ScalarNode) and not node.style and node.value in _NOTHING:
            self.empty.add(location)
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
    location = detail["loc"]
    name = str(location[-1]) if location else "the file"
    shown = _shown(model, location)
    has = "has no value" if detail["input"] is None else f"{detail['input']!r:.{_SHOWN}} is not valid"
    match detail["type"]:
        case "extra_forbidden":
            return f"Unknown key '{name}'. {nearest(name, _keys_at(model, location[:-1]))}"
        case "missing":
            return f"Key '{name}' is missing"
        case "unknown_section":
            return detail["msg"]
        case "literal_error" | "enum":
            valid = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
            return f"{shown}: {has}. Valid: {', '.join(valid)}"
        case "list_type":
            return f"{shown}: {has}. Give a list{'; [] for none' if _may_be_empty(model, location) else ''}"
        case "model_type":
            return f"{shown}: {has}. Give a mapping with the keys {', '.join(_keys_at(model, location))}"
    if detail["input"] is None:
        return f"{shown}: {_EMPTY if _may_be_left_out(model, location) else _REQUIRED}"
    return f"{shown}: {has}. {detail['msg'].removeprefix('Value error, ')}"


def _shown(model: type[BaseModel], location: Location) -> str:
    """The way to a value as messages have it. A file's own list is left out: the line shows the entry."""
    return ".".join(map(str, location[issubclass(model, RootModel) :])) or "the file"


def _may_be_empty(model: type[BaseModel], location: Location) -> bool:
    field = _field_at(model, location)
    return field is not None and not any(getattr(limit, "min_length", None) for limit in field.metadata)


def _may_be_left_out(model: type[BaseModel], location: Location) -> bool:
    field = _field_at(model, location)
    return field is None or not field.is_required()


def _field_at(model: type[BaseModel], location: Location) -> FieldInfo | None:
    """The field of a key; None for an item of a list, and for the file."""
    if not location or not isinstance(location[-1], str):
        return None
    return _model_at(model, location[:-1]).model_fields[location[-1]]


def _keys_at(model: type[BaseModel], location: Location) -> list[str]:
    """The keys that the model knows at a place."""
    return list(_model_at(model, location).model_fields)


def _model_at(model: type[BaseModel], location: Location) -> type[BaseModel]:
    """The model of a place; a list of models stands there as the key and an index."""
    if issubclass(model, RootModel):
        model = _model_in(model.model_fields["root"].annotation)
    for part in location:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel]:
    while arguments := get_args(annotation):
        annotation = arguments[0]
    model: type[BaseModel] = annotation
    return model
