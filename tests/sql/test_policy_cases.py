"""Every policy's logic.sql against the cases.yaml beside it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import duckdb
import pytest
import yaml
from botocore.validate import ParamValidator

POLICIES = Path(__file__).parents[2] / "sql" / "policies"
COLUMNS = (
    "object_id",
    "owner",
    "condition_index",
    "status",
    "current_state_message",
    "remediation_message",
    "remediation_command",
)


def cases() -> list[Any]:
    return [
        pytest.param(path.parent, case, id=f"{path.parent.name}: {case['name']}")
        for path in sorted(POLICIES.glob("*/*/cases.yaml"))
        for case in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("folder", "case"), cases())
def test_case(
    folder: Path, case: dict[str, Any], stage: Callable[..., None], session: duckdb.DuckDBPyConnection
) -> None:
    stage(case["given"])
    logic = (folder / "logic.sql").read_text(encoding="utf-8")
    result = session.sql(logic).order("object_id")

    assert tuple(result.columns) == COLUMNS
    verdicts = [dict(zip(COLUMNS, row, strict=True)) for row in result.fetchall()]
    compared = [
        {column: verdict[column] for column in expected}
        for verdict, expected in zip(verdicts, case["expect"], strict=True)
    ]
    assert compared == case["expect"]


@pytest.mark.parametrize("folder", sorted(path.parent for path in POLICIES.glob("*/*/logic.sql")), ids=lambda f: f.name)
def test_conditions_in_words_are_those_of_the_logic(folder: Path) -> None:
    """Each condition that policy.yaml names has a case that ends there, and no case ends anywhere else."""
    named = yaml.safe_load((folder / "policy.yaml").read_text(encoding="utf-8"))["conditions"]
    cases = yaml.safe_load((folder / "cases.yaml").read_text(encoding="utf-8"))
    verdicts = [verdict for case in cases for verdict in case["expect"] if "condition_index" in verdict]
    reached = {(verdict["condition_index"], verdict["status"]) for verdict in verdicts}
    assert {(condition["index"], condition["status"]) for condition in named} == reached


@pytest.mark.parametrize("folder", sorted(path.parent for path in POLICIES.glob("*/*/logic.sql")), ids=lambda f: f.name)
def test_a_command_is_one_that_aws_accepts(
    folder: Path, stage: Callable[..., None], session: duckdb.DuckDBPyConnection
) -> None:
    """Read each command as a shell does, and check it against botocore's own model of PutImageTagMutability."""
    stage(
        [
            {"repository_name": "team/a", "image_tag_mutability": "MUTABLE"},
            {
                "repository_name": "team/b",
                "image_tag_mutability": "IMMUTABLE_WITH_EXCLUSION",
                "exclusion_filters": ["*"],
            },
            {
                "repository_name": "team/c",
                "image_tag_mutability": "IMMUTABLE_WITH_EXCLUSION",
                "exclusion_filters": ["*", "dev-*", "latest"],
            },
        ]
    )
    logic = (folder / "logic.sql").read_text(encoding="utf-8")
    commands = [row[0] for row in session.sql(logic).select("remediation_command").fetchall()]
    operation = botocore.session.get_session().get_service_model("ecr").operation_model("PutImageTagMutability")

    assert len(commands) == 3
    for command in commands:
        words = shlex.split(command)
        assert words[:3] == ["aws", "ecr", "put-image-tag-mutability"]
        options: dict[str, list[str]] = {}
        for word in words[3:]:
            if word.startswith("--"):
                options[word] = []
            else:
                options[list(options)[-1]].append(word)
        assert options.pop("--region") == ["eu-west-1"]
        filters = options.pop("--image-tag-mutability-exclusion-filters", [])
        request: dict[str, Any] = {to_member(option): values[0] for option, values in options.items()}
        # Filters belong to the two values with exclusion, and to no other.
        assert bool(filters) == request["imageTagMutability"].endswith("_WITH_EXCLUSION")
        if filters:
            request["imageTagMutabilityExclusionFilters"] = [
                dict(pair.split("=", 1) for pair in shorthand.split(",")) for shorthand in filters
            ]
        report = ParamValidator().validate(request, operation.input_shape)
        assert not report.has_errors(), report.generate_report()
        assert request["registryId"] == "111111111111"
        assert request["imageTagMutability"] in operation.input_shape.members["imageTagMutability"].enum


def to_member(option: str) -> str:
    """`--registry-id` is `registryId` in the API."""
    return re.sub(r"-(\w)", lambda match: match[1].upper(), option.removeprefix("--"))
