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

# Started by its path, in a shell of its own.
sys.path.insert(0, str(Path(__file__).parents[1]))
from support.aws_command import read_options

# Operations that moto does not emulate: only the parameters are checked.
NOT_EMULATED = {"activate_organizations_access"}


def main(service: str, operation: str, *rest: str) -> None:
    client = boto3.client(service)
    if operation == "wait":
        waiter, rest = rest[0], rest[1:]
        client.get_waiter(waiter.replace("-", "_")).wait(**_options(client, "describe_stacks", rest)[0])
        return
    method = operation.replace("-", "_")
    parameters, common = _options(client, method, rest)
    assert common.get("output", "text") == "text", "only text is emulated"
    if method in NOT_EMULATED:
        return
    answer = getattr(client, method)(**parameters)
    if query := common.get("query"):
        sys.stdout.write(f"{_as_text(jmespath.search(query, answer))}\n")


def _options(client: Any, method: str, options: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    return read_options(client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]), options)


def _as_text(answer: Any) -> str:
    if isinstance(answer, list):
        return "\n".join("\t".join(map(str, row)) if isinstance(row, list) else str(row) for row in answer)
    return str(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
