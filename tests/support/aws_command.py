"""Reads command lines of the AWS CLI by botocore's model of each service: a misspelled one fails as it does there."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.model import OperationModel
from botocore.validate import validate_parameters

# Options that every command takes, as far as documents use them.
COMMON = ("region", "query", "output")

# Services that the CLI has under another name than botocore.
NAMES_OF_THE_CLI = {"s3api": "s3"}


@dataclass(frozen=True)
class Command:
    """A call that a command line makes: `aws <service> <operation>`, its parameters and the options in COMMON."""

    operation: OperationModel
    parameters: dict[str, Any]
    common: dict[str, str]


def read_command(line: str) -> Command:
    """Read a line as a POSIX shell does. Raises ValueError, which names what is unknown, missing or not valid."""
    words = shlex.split(line.replace("\\\n", " "))
    session = botocore.session.get_session()
    service = NAMES_OF_THE_CLI.get(words[1], words[1]) if len(words) > 2 and words[0] == "aws" else ""
    if service not in session.get_available_services():
        raise ValueError(f"{line}: is not a command of a service of AWS")
    name, *options = words[2:]
    model = session.get_service_model(service)
    operations = {xform_name(each, "-"): each for each in model.operation_names}
    if name not in operations:
        raise ValueError(f"{line}: {service} has no operation {name}")
    operation = model.operation_model(operations[name])
    try:
        parameters, common = read_options(operation, options)
    except Exception as fault:
        raise ValueError(f"{line}: {fault}") from fault
    return Command(operation, parameters, common)


def read_options(operation: OperationModel, options: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The parameters that an operation is given by options, and the options in COMMON.

    Raises ValueError for an option that the operation does not have and for a value that is not in its enum;
    botocore's ParamValidationError for one that is missing or of another type.
    """
    shape = operation.input_shape
    members = {xform_name(name, "-"): (name, member) for name, member in shape.members.items()} if shape else {}
    given: dict[str, list[str]] = {}
    for word in options:
        if word.startswith("--"):
            given[word.removeprefix("--")] = words = []
        elif not given:
            raise ValueError(f"{word}: an option begins with --")
        else:
            words.append(word)
    common = {name: _one(name, given.pop(name)) for name in COMMON if name in given and name not in members}
    if unknown := sorted(given.keys() - members.keys()):
        raise ValueError(f"no option --{', --'.join(unknown)}")
    # An earlier command of the document makes the file of a list.
    made = {each for each in given if members[each][1].type_name == "list" and given[each][0].startswith("file://")}
    parameters = {members[each][0]: _value(each, members[each][1], given[each]) for each in given.keys() - made}
    if shape and not made:
        validate_parameters(parameters, shape)
    return parameters, common


def _one(option: str, words: list[str]) -> str:
    if len(words) != 1:
        raise ValueError(f"--{option} needs one value, and has {len(words)}")
    return words[0]


def _value(option: str, shape: Any, words: list[str]) -> Any:
    """Words of the command line as a value of the API: JSON, or the shorthand syntax as far as documents use it."""
    if shape.type_name in ("list", "structure") and len(words) == 1 and words[0].startswith(("[", "{")):
        return json.loads(words[0])
    if shape.type_name == "list":
        return [_value(option, shape.member, [word]) for word in words]
    if shape.type_name == "boolean" and not words:
        return True
    word = _one(option, words)
    if shape.type_name == "structure":
        return {name: _value(option, shape.members[name], [value]) for name, value in _pairs(option, shape, word)}
    if shape.type_name == "integer":
        if not word.isdecimal():
            raise ValueError(f"--{option}: {word} is not an integer")
        return int(word)
    valid = ("true", "false") if shape.type_name == "boolean" else getattr(shape, "enum", None)
    if valid and word not in valid:
        raise ValueError(f"{word} is not one of {', '.join(valid)}")
    if shape.type_name == "boolean":
        return word == "true"
    return Path(word.removeprefix("file://")).read_text(encoding="utf-8") if word.startswith("file://") else word


def _pairs(option: str, shape: Any, word: str) -> Iterator[tuple[str, str]]:
    """The keys and values of a structure, as in key=value,key=value."""
    for pair in word.split(","):
        name, equals, value = pair.partition("=")
        if name not in shape.members:
            raise ValueError(f"'{name}' is not a key of --{option}: {', '.join(shape.members)}")
        if not equals:
            raise ValueError(f"--{option} {pair}: write key=value")
        yield name, value
