#!/usr/bin/env python3
"""Stands in for the AWS CLI in tests of documents: makes the calls that a command line stands for, through boto3.

Options become parameters by the API's own model, so that a misspelled one fails as it does with the real CLI.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import boto3
import jmespath
from botocore import xform_name
from botocore.validate import validate_parameters

# What moto does not emulate: only the parameters are checked.
NOT_EMULATED = {"activate_organizations_access"}


def main(service: str, operation: str, *rest: str) -> None:
    client = boto3.client(service)
    if operation == "wait":
        waiter, rest = rest[0], rest[1:]
        client.get_waiter(waiter.replace("-", "_")).wait(**known_parameters(client, "describe_stacks", rest)[0])
        return
    method = operation.replace("-", "_")
    parameters, query = known_parameters(client, method, rest)
    if method in NOT_EMULATED:
        return
    answer = getattr(client, method)(**parameters)
    if query:
        sys.stdout.write(f"{_as_text(jmespath.search(query, answer))}\n")


def known_parameters(client: Any, method: str, options: tuple[str, ...]) -> tuple[dict[str, Any], str | None]:
    """The parameters of a call, and what `--query` asks of its answer."""
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape
    members = {xform_name(name, "-"): (name, member) for name, member in shape.members.items()} if shape else {}
    given: dict[str, list[str]] = {}
    for word in options:
        if word.startswith("--"):
            given[word.removeprefix("--")] = words = []
        else:
            words.append(word)
    query = given.pop("query", [None])[0]
    assert given.pop("output", ["text"]) == ["text"], "only text is emulated"
    parameters = {}
    for option, values in given.items():
        name, member = members[option]
        parameters[name] = _value(member, values)
    if shape:
        validate_parameters(parameters, shape)
    return parameters, query


def _value(shape: Any, words: list[str]) -> Any:
    """Words of the command line as a value of the API: the CLI's shorthand syntax, as far as documents use it."""
    if shape.type_name == "list":
        return [_value(shape.member, [word]) for word in words]
    if shape.type_name == "boolean" and not words:
        return True
    [word] = words
    if shape.type_name == "structure":
        pairs = dict(pair.split("=", 1) for pair in word.split(","))
        return {name: _value(shape.members[name], [value]) for name, value in pairs.items()}
    if shape.type_name == "boolean":
        return {"true": True, "false": False}[word]
    if shape.type_name == "integer":
        return int(word)
    return Path(word.removeprefix("file://")).read_text(encoding="utf-8") if word.startswith("file://") else word


def _as_text(answer: Any) -> str:
    if isinstance(answer, list):
        return "\n".join("\t".join(map(str, row)) if isinstance(row, list) else str(row) for row in answer)
    return str(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
