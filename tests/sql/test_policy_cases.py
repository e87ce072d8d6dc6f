"""Rules for the folder of every policy, those of tests/fixtures/policies included."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from ecr_audit.compliance.policies import COLUMNS, OWNER
from ecr_audit.settings import SQL_ROOT
from support.aws_command import Command, read_command

FIXTURES = Path(__file__).parents[1] / "fixtures" / "policies"
FOLDERS = sorted(path.parent for root in (SQL_ROOT / "policies", FIXTURES) for path in root.glob("*/*/policy.yaml"))

# A fenced block of a text, and code within a line.
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(aws [^`]+)`")

each_policy = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def cases_of(folder: Path) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = yaml.safe_load((folder / "cases.yaml").read_text(encoding="utf-8"))
    return cases


def verdicts_of(folder: Path, session: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    result = session.sql((folder / "logic.sql").read_text(encoding="utf-8")).order("object_id")
    return [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]


CASES = [pytest.param(each, case, id=f"{each.name}: {case['name']}") for each in FOLDERS for case in cases_of(each)]


@pytest.mark.parametrize(("folder", "case"), CASES)
def test_case(
    folder: Path, case: dict[str, Any], stage: Callable[..., None], session: duckdb.DuckDBPyConnection
) -> None:
    """The verdicts are those that the case expects, and each command is one that AWS accepts and acts on its object."""
    stage(case["given"])
    verdicts = verdicts_of(folder, session)
    compared = [
        {column: verdict[column] for column in expected}
        for verdict, expected in zip(verdicts, case["expect"], strict=True)
    ]
    assert compared == case["expect"]
    for verdict in verdicts:
        assert verdict.keys() - OWNER.keys() == COLUMNS.keys()
        if command := verdict["remediation_command"]:
            assert_acts_on(read_command(command), verdict["object_id"])
        for text in (verdict["current_state_message"], verdict["remediation_message"] or ""):
            for named in SPAN.findall(text):
                read_command(named)


def assert_acts_on(command: Command, object_id: str) -> None:
    """The object's region, and its account where the operation takes it: with other credentials it fails then."""
    _, _, service, region, account_id, _ = object_id.split(":", 5)
    assert (command.operation.service_model.service_name, command.common["region"]) == (service, region)
    members = command.operation.input_shape.members if command.operation.input_shape else {}
    assert command.parameters.get("registryId", account_id) == account_id
    assert ("registryId" in members) == ("registryId" in command.parameters)


@each_policy
def test_conditions_in_words_are_those_of_the_logic(folder: Path) -> None:
    """Each condition that policy.yaml names has a case that ends there, and no case ends anywhere else."""
    named = yaml.safe_load((folder / "policy.yaml").read_text(encoding="utf-8"))["conditions"]
    verdicts = [verdict for case in cases_of(folder) for verdict in case["expect"] if "condition_index" in verdict]
    reached = {(verdict["condition_index"], verdict["status"]) for verdict in verdicts}
    assert {(condition["index"], condition["status"]) for condition in named} == reached


@each_policy
@pytest.mark.parametrize("name", ["description.md", "remediation.md"])
def test_commands_in_texts_are_ones_that_aws_accepts(folder: Path, name: str) -> None:
    """There may be none."""
    text = (folder / name).read_text(encoding="utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    for line in (*(line for line in lines if line.startswith("aws ")), *SPAN.findall(text)):
        read_command(line)


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("aws ecrr put-image-tag-mutability", "is not a command of a service of AWS"),
        ("aws ecr put-image-tags", "ecr has no operation put-image-tags"),
        ("aws ecr put-image-tag-mutability --repository-name a --mutability IMMUTABLE", "no option --mutability"),
        ("aws ecr put-image-tag-mutability --repository-name a", "Missing required parameter"),
        (
            "aws ecr put-image-tag-mutability --repository-name a --image-tag-mutability FIXED",
            "FIXED is not one of MUTABLE, IMMUTABLE",
        ),
    ],
)
def test_a_command_that_aws_would_refuse_is_found(command: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read_command(command)
