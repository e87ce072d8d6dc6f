"""Rules for the folder of every policy, those of tests/fixtures/policies included."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_audit.catalog import Catalog, CatalogError, load_catalog
from ecr_audit.catalog.models import PolicyYaml
from ecr_audit.compliance import PolicyError
from ecr_audit.compliance.policies import columns_fault
from ecr_audit.settings import SQL_ROOT
from ecr_audit.yaml_files.faults import Faults
from ecr_audit.yaml_files.located_yaml import read_located
from support.aws_command import read_command
from support.policy_cases import Case, CasesError, read_cases
from support.small_lake import SmallLake

FIXTURES = Path(__file__).parents[1] / "fixtures" / "policies"
FOLDERS = sorted(path for root in (SQL_ROOT / "policies", FIXTURES) for path in root.glob("*/*") if path.is_dir())

# A fenced block of a text, and code within a line.
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(aws [^`]+)`")

each_policy = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def refuse(fault: object) -> None:
    """Fail with a message for people who write a policy, without a traceback through the tests."""
    pytest.fail(str(fault), pytrace=False)


def policy_of(folder: Path) -> PolicyYaml:
    faults = Faults(folder.parents[3])
    located = read_located(folder / "policy.yaml", PolicyYaml, faults)
    if located is None:
        refuse("\n".join(faults.listed()))
    assert located
    return located.model


def cases_of(folder: Path) -> list[Case]:
    """None where the file has faults, which `test_cases_have_no_faults` reports."""
    try:
        return read_cases(folder)
    except CasesError:
        return []


def test_the_catalog_loads_and_the_engine_evaluates_each_policy(lake_of: type[SmallLake], tmp_path: Path) -> None:
    """On a repository with common values, and on one for which ECR returned none."""
    try:
        catalog = load_catalog(SQL_ROOT)
        assert_evaluates(lake_of(tmp_path / "lake", catalog), catalog)
    except (CatalogError, PolicyError) as fault:
        refuse(fault)


def assert_evaluates(lake: SmallLake, catalog: Catalog) -> None:
    day = date(2026, 11, 1)
    unread = {"image_tag_mutability": None, "scan_on_push": None, "encryption_type": None, "tags": None}
    lake.scan(day, repositories=[{"repository_name": "team/app"}, {"repository_name": "team/unread"} | unread])
    lake.evaluate(day)
    verdicts = [row["policy_id"] for row in lake.rows("policy_output", day)]
    assert sorted(verdicts) == sorted(2 * [policy.id for policy in catalog.policies])


@each_policy
def test_cases_have_no_faults(folder: Path) -> None:
    try:
        read_cases(folder)
    except CasesError as fault:
        refuse(fault)


CASES = [pytest.param(each, case, id=f"{each.name}: {case.name}") for each in FOLDERS for case in cases_of(each)]


@pytest.mark.parametrize(("folder", "case"), CASES)
def test_case(folder: Path, case: Case, stage: Callable[..., None], session: duckdb.DuckDBPyConnection) -> None:
    """The verdicts are those that the case expects, and each command is one that AWS accepts and acts on its object."""
    policy = policy_of(folder)
    stage(case.given)
    try:
        result = session.sql((folder / "logic.sql").read_text(encoding="utf-8")).order("object_id")
        types = dict(zip(result.columns, map(str, result.types), strict=True))
        if fault := columns_fault(types):
            refuse(f"{folder.name}/logic.sql: {fault}")
        verdicts = [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]
    except duckdb.Error as error:
        refuse(f"{folder.name}/logic.sql: {error}")
    objects = session.sql((SQL_ROOT / "staging" / "objects" / f"{policy.input}.sql").read_text(encoding="utf-8"))
    expected_ids = [object_id for (object_id,) in objects.project("object_id").order("object_id").fetchall()]
    assert [verdict["object_id"] for verdict in verdicts] == expected_ids, "each object needs one verdict"
    assert len(case.expect) == len(verdicts), (
        f"{folder.name}/cases.yaml: Case '{case.name}' expects {len(case.expect)} verdicts, in order of object_id;"
        f" logic.sql returns {len(verdicts)}: {', '.join(expected_ids)}"
    )
    compared = [
        {column: verdict.get(column, "(not returned)") for column in expected}
        for verdict, expected in zip(verdicts, case.expect, strict=True)
    ]
    assert compared == case.expect
    for verdict in verdicts:
        assert_is_named(policy, verdict)
        if command := verdict["remediation_command"]:
            assert_acts_on(command, verdict["object_id"])
        for text in (verdict["current_state_message"], verdict["remediation_message"] or ""):
            for named in SPAN.findall(text):
                read_command(named)


def assert_is_named(policy: PolicyYaml, verdict: dict[str, Any]) -> None:
    named = [f"{condition.index} {condition.status}" for condition in policy.conditions]
    found = f"{verdict['condition_index']} {verdict['status']}"
    assert found in named, f"policy.yaml has no condition {found}. It has {', '.join(named)}"


def assert_acts_on(line: str, object_id: str) -> None:
    """The object's region, and its account where the operation takes it: with other credentials it fails then."""
    _, _, service, region, account_id, _ = object_id.split(":", 5)
    command = read_command(line)
    operation = command.operation
    assert operation.service_model.service_name == service, f"{line}: is not a command of {service}"
    assert command.common.get("region") == region, f"{line}: needs --region {region}, that of the object"
    if operation.input_shape and "registryId" in operation.input_shape.members:
        given = command.parameters.get("registryId")
        assert given == account_id, f"{line}: needs --registry-id {account_id}, the account of the object"


@each_policy
def test_each_condition_has_a_case(folder: Path) -> None:
    reached = {verdict.get("condition_index") for case in cases_of(folder) for verdict in case.expect}
    for condition in policy_of(folder).conditions:
        if condition.index not in reached:
            refuse(f"{folder.name}/cases.yaml: No case expects condition_index {condition.index} ({condition.when})")


CASE = """\
- name: off fails
  given:
    - {scan_on_push: false}
  expect:
    - {condition_index: 199, status: INCOMPLIANT}
"""


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("scan_on_push:", "scan_on_pull:", "Case 'off fails': Unknown key 'scan_on_pull'. Nearest: scan_on_push"),
        ("status:", "verdict:", "Case 'off fails': Unknown key 'verdict'. Valid: condition_index, current_state_mes"),
        ("INCOMPLIANT", "FAILS", "Case 'off fails': expect.0.status: 'FAILS' is not valid. Valid: COMPLIANT, INAPP"),
        ("199", "first", "Case 'off fails': expect.0.condition_index: 'first' is not valid."),
        ("false", "sometimes", "Case 'off fails': given.0.scan_on_push: 'sometimes' is not valid. Give a bool"),
        ("expect:", "expects:", "Case 'off fails': Unknown key 'expects'. Nearest: expect"),
        ("expect:", "expects:", "Case 'off fails': Key 'expect' is missing"),
        ("- name: off fails\n  given", "- given", "Case 1: Key 'name' is missing"),
        ("false}", "false", "Not valid YAML: "),
        (CASE, "given: []", "Give a list of cases, each with the keys name, given, expect"),
        (CASE, 2 * CASE, "Case 'off fails': The name is given twice"),
    ],
)
def test_a_fault_of_a_case_names_file_case_and_key(tmp_path: Path, old: str, new: str, fault: str) -> None:
    (tmp_path / "cases.yaml").write_text(CASE.replace(old, new), encoding="utf-8")
    with pytest.raises(CasesError) as caught:
        read_cases(tmp_path)
    assert f"{tmp_path.name}/cases.yaml: {fault}" in str(caught.value)


@each_policy
@pytest.mark.parametrize("name", ["description.md", "remediation.md"])
def test_commands_in_texts_are_ones_that_aws_accepts(folder: Path, name: str) -> None:
    """There may be none."""
    text = (folder / name).read_text(encoding="utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    for line in (*(line for line in lines if line.startswith("aws ")), *SPAN.findall(text)):
        read_command(line)


SCANNING = "aws ecr put-image-scanning-configuration --repository-name a --image-scanning-configuration"


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
        ("aws ecr", "is not a command"),
        ("aws ecr put-image-tag-mutability app", "app: an option begins with --"),
        ("aws ecr put-image-tag-mutability --repository-name", "--repository-name needs one value"),
        (
            f"{SCANNING} scanOnPsh=true",
            "'scanOnPsh' is not a key of --image-scanning-configuration: scanOnPush",
        ),
        (
            f"{SCANNING} scanOnPush",
            "scanOnPush: write key=value",
        ),
        (
            f"{SCANNING} scanOnPush=on",
            "on is not one of true, false",
        ),
        ("aws ecr describe-images --repository-name a --max-results many", "many is not an integer"),
    ],
)
def test_a_command_that_aws_would_refuse_is_found(command: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read_command(command)
