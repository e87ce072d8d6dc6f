"""Rules for the folder of every policy, those of tests/fixtures/policies included."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_audit.aws.ecr.facets import FACETS
from ecr_audit.catalog import CatalogError, load_catalog
from ecr_audit.catalog.models import PolicyYaml
from ecr_audit.compliance.policies import columns_fault, columns_of
from ecr_audit.errors import FinalError
from ecr_audit.settings import SQL_ROOT
from ecr_audit.text import plural
from ecr_audit.vocabulary import POLICY_STATUSES
from ecr_audit.warehouse.sandbox import syntax_nodes
from ecr_audit.yaml_files.faults import Faults
from ecr_audit.yaml_files.located_yaml import read_located
from support.aws_command import read_command
from support.policy_cases import Case, CasesError, differences, read_cases, shown, written
from support.small_lake import SmallLake

FIXTURES = Path(__file__).parents[1] / "fixtures" / "policies"
FOLDERS = sorted(path for root in (SQL_ROOT / "policies", FIXTURES) for path in root.glob("*/*") if path.is_dir())

# A fenced block of a text, and code within a line.
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(aws [^`]+)`")

each_policy = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
when_it_loads = pytest.mark.usefixtures("loaded")


@contextmanager
def without_traceback(where: str = "") -> Iterator[None]:
    """Report a fault of a policy's file as its author needs it: the place, the fault, and nothing of the tests."""
    try:
        yield
    except (FinalError, ValueError, duckdb.Error) as fault:
        raise pytest.fail.Exception(f"{where}{fault}", pytrace=False) from None


@cache
def loads(sql_root: Path) -> bool:
    try:
        load_catalog(sql_root)
    except CatalogError:
        return False
    return True


@pytest.fixture
def loaded() -> None:
    """Skip a test of one policy while the catalog does not load, which `test_the_catalog_loads_…` reports, once."""
    if not loads(SQL_ROOT):
        pytest.skip("The catalog does not load: see its faults above")


def policy_of(folder: Path) -> PolicyYaml:
    faults = Faults(folder.parents[3])
    located = read_located(folder / "policy.yaml", PolicyYaml, faults)
    faults.raise_if_any()
    assert located
    return located.model


@cache
def cases_of(folder: Path) -> list[Case] | None:
    """None where the file has faults, which `test_the_cases_can_be_read` reports."""
    try:
        return read_cases(folder)
    except CasesError:
        return None


def skip_without_cases(folder: Path) -> list[Case]:
    cases = cases_of(folder)
    if cases is None:
        pytest.skip(f"{shown(folder / 'cases.yaml')} has faults: see above")
    return cases


def test_the_catalog_loads_and_the_engine_evaluates_each_policy(lake_of: type[SmallLake], tmp_path: Path) -> None:
    """On a repository with common values, on one for which ECR returned none, and on their registry."""
    day = date(2026, 11, 1)
    unread = {"image_tag_mutability": None, "scan_on_push": None, "encryption_type": None, "tags": None}
    repositories: list[dict[str, Any]] = [{"repository_name": "team/app"}, {"repository_name": "team/unread"} | unread]
    with without_traceback():
        catalog = load_catalog(SQL_ROOT)
        lake = lake_of(tmp_path / "lake", catalog)
        lake.scan(day, repositories=repositories, registries=[{}])
        lake.evaluate(day)
    verdicts = Counter(row["policy_id"] for row in lake.rows("policy_output", day))
    objects = {"repositories": 2, "registries": 1}
    assert verdicts == {policy.id: objects[policy.input] for policy in catalog.policies}


@each_policy
def test_the_cases_can_be_read(folder: Path) -> None:
    with without_traceback():
        read_cases(folder)


@when_it_loads
@each_policy
def test_each_condition_has_a_case(folder: Path) -> None:
    cases = skip_without_cases(folder)
    with without_traceback():
        conditions = policy_of(folder).conditions
        reached = {verdict.get("condition_index") for case in cases for verdict in case.expect}
        if missed := [f"{each.index} ({each.when})" for each in conditions if each.index not in reached]:
            raise ValueError(f"{shown(folder / 'cases.yaml')}: No case expects condition_index {', '.join(missed)}")


@when_it_loads
@each_policy
def test_it_declares_the_facets_that_it_reads(folder: Path) -> None:
    """A facet is read by its columns, by the time of its reading, or by the reason why it was not."""
    columns: dict[str, str] = {
        name: each.facet for each in FACETS for name in (*each.columns, each.read_at, f"{each.facet}_unread")
    } | {"moves_unknown": "image_tags"}
    logic = (folder / "logic.sql").read_text(encoding="utf-8")
    [(tree,)] = duckdb.execute("SELECT json_serialize_sql($logic)", {"logic": logic}).fetchall()
    named = {node["column_names"][-1] for node in syntax_nodes(tree) if node.get("type") == "COLUMN_REF"}
    read = sorted({columns[name] for name in named & columns.keys()})
    with without_traceback():
        declared = policy_of(folder).facets
        if sorted(declared) != read:
            found = f"facets has [{', '.join(declared)}]; logic.sql reads [{', '.join(read)}]"
            raise ValueError(f"{shown(folder / 'policy.yaml')}: {found}")


NO_CASES = Case(name="its cases", given=[], expect=[])
CASES = [
    pytest.param(each, case, id=f"{each.name}: {case.name}")
    for each in FOLDERS
    for case in cases_of(each) or [NO_CASES]
]


@when_it_loads
@pytest.mark.parametrize(("folder", "case"), CASES)
def test_case(folder: Path, case: Case, stage: Callable[..., None], session: duckdb.DuckDBPyConnection) -> None:
    """The verdicts are those that the case expects, and each command is one that AWS accepts and acts on its object."""
    skip_without_cases(folder)
    with without_traceback():
        policy = policy_of(folder)
    session.execute(f"SET VARIABLE collected_facets = {[facet.value for facet in case.collect]}::VARCHAR[]")
    session.execute("SET VARIABLE image_tags = $image_tags", {"image_tags": case.image_tags})
    stage(**{policy.input: case.given})
    with without_traceback(f"{shown(folder / 'logic.sql')}: Case '{case.name}': "):
        verdicts = verdicts_of(folder, session)
        objects = session.sql((SQL_ROOT / "staging" / "objects" / f"{policy.input}.sql").read_text(encoding="utf-8"))
        ids = [object_id for (object_id,) in objects.project("object_id").order("object_id").fetchall()]
        if (returned := [verdict["object_id"] for verdict in verdicts]) != ids:
            listed = ", ".join(map(written, returned))
            raise ValueError(f"Each object needs one verdict. Objects: {', '.join(ids)}; verdicts: {listed}")
        for verdict in verdicts:
            refuse_unnamed(policy, verdict)
            if command := verdict["remediation_command"]:
                refuse_elsewhere(command, verdict["object_id"])
            for text in (verdict["current_state_message"], verdict["remediation_message"] or ""):
                for named in SPAN.findall(text):
                    read_command(named)
    place = f"{shown(folder / 'cases.yaml')}: Case '{case.name}'"
    with without_traceback():
        if len(case.expect) != len(verdicts):
            needed = f"{plural(len(ids), 'verdict')}, in this order: {', '.join(ids)}"
            raise ValueError(f"{place}: expect has {len(case.expect)}; it needs {needed}")
        if found := differences(case.expect, verdicts):
            raise ValueError("\n".join(f"{place}, {each}" for each in found))


def verdicts_of(folder: Path, session: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The verdicts of logic.sql, in order of object_id. Raises ValueError for other columns than a verdict's."""
    logic = (folder / "logic.sql").read_text(encoding="utf-8")
    session.execute(f"CREATE VIEW staging.given_answers AS {logic}")
    if fault := columns_fault(columns_of(session, "staging.given_answers")):
        raise ValueError(fault)
    result = session.sql("FROM staging.given_answers")
    return [dict(zip(result.columns, row, strict=True)) for row in result.order("object_id").fetchall()]


def refuse_unnamed(policy: PolicyYaml, verdict: dict[str, Any]) -> None:
    """Raise ValueError if policy.yaml does not have the condition of a verdict, with this status."""
    index, status = verdict["condition_index"], verdict["status"]
    statuses = {condition.index: condition.status for condition in policy.conditions}
    if index in statuses and status == statuses[index]:
        return
    if index in statuses:
        wanted = f"policy.yaml has {index} {statuses[index]}. Valid statuses: {', '.join(POLICY_STATUSES)}"
        raise ValueError(f"returned status {written(status)} for condition {index}; {wanted}")
    conditions = ", ".join(f"{each} {status}" for each, status in statuses.items())
    raise ValueError(
        f"returned condition_index {written(index)}, status {written(status)}; policy.yaml has {conditions}"
    )


def refuse_elsewhere(line: str, object_id: str) -> None:
    """Raise ValueError unless a command names the object's region, and its account where the operation takes it.

    With another account's credentials it fails then.
    """
    _, _, service, region, account_id, _ = object_id.split(":", 5)
    command = read_command(line)
    operation = command.operation
    if operation.service_model.service_name != service:
        raise ValueError(f"{line}: is not a command of {service}")
    if command.common.get("region") != region:
        raise ValueError(f"{line}: needs --region {region}, that of the object")
    takes_account = operation.input_shape and "registryId" in operation.input_shape.members
    if takes_account and command.parameters.get("registryId") != account_id:
        raise ValueError(f"{line}: needs --registry-id {account_id}, the account of the object")


def test_a_difference_names_verdict_and_column() -> None:
    """And no column that is as expected, or that the case does not name."""
    returned = {"object_id": "arn:a", "condition_index": 199, "status": "INCOMPLIANT", "remediation_command": None}
    expected = {"condition_index": 199, "status": "COMPLIANT", "remediation_command": "aws ecr", "owner": None}
    assert differences([{"condition_index": 199}, expected], [returned, returned]) == [
        "verdict 2 (arn:a): status: expected 'COMPLIANT', returned 'INCOMPLIANT'",
        "verdict 2 (arn:a): remediation_command: expected 'aws ecr', returned NULL",
        "verdict 2 (arn:a): owner: expected NULL, which logic.sql does not return",
    ]


def test_a_catalog_with_faults_does_not_load(tmp_path: Path) -> None:
    assert not loads(tmp_path / "sql")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("aws sts get-caller-identity --region eu-west-1", "is not a command of ecr"),
        ("aws ecr describe-repositories --registry-id 111111111111", "needs --region eu-west-1"),
        ("aws ecr describe-repositories --region eu-west-1", "needs --registry-id 111111111111"),
    ],
)
def test_a_command_for_another_object_is_found(line: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        refuse_elsewhere(line, "arn:aws:ecr:eu-west-1:111111111111:repository/team/app")


@pytest.mark.parametrize(
    ("index", "status", "fault"),
    [
        (
            199,
            "NONCOMPLIANT",
            "returned status NONCOMPLIANT for condition 199; policy.yaml has 199 INCOMPLIANT. Valid statuses:"
            " COMPLIANT, INCOMPLIANT, UNDETERMINED, INAPPLICABLE",
        ),
        (
            None,
            None,
            "returned condition_index NULL, status NULL; policy.yaml has 199 INCOMPLIANT, 299 COMPLIANT, 499"
            " UNDETERMINED",
        ),
    ],
)
def test_a_verdict_without_a_condition_is_found(index: int | None, status: str | None, fault: str) -> None:
    policy = policy_of(FIXTURES / "test" / "scan-on-push")
    with pytest.raises(ValueError, match=re.escape(fault)):
        refuse_unnamed(policy, {"condition_index": index, "status": status})


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
        ("scan_on_push:", "scan_on_pull:", "3: Unknown key 'scan_on_pull'. Nearest: scan_on_push"),
        ("status:", "verdict:", "5: Unknown key 'verdict'. Valid: condition_index, current_state_mes"),
        (
            "INCOMPLIANT",
            "FAILS",
            "5: expect.0.status: 'FAILS' is not valid. Valid: COMPLIANT, INCOMPLIANT, UNDETERMINED, INAPPLICABLE",
        ),
        ("199", "first", "5: expect.0.condition_index: 'first' is not valid."),
        ("false", "sometimes", "3: given.0.scan_on_push: 'sometimes' is not valid. Give a bool"),
        ("expect:", "expects:", "4: Unknown key 'expects'. Nearest: expect"),
        ("expect:", "expects:", "1: Key 'expect' is missing"),
        ("- name: off fails\n  given", "- given", "1: Key 'name' is missing"),
        ("false}", "false", "4: Not valid YAML: expected ',' or '}', but got ':' (is a bracket not closed, or closed"),
        ("off fails", "off: fails", "1: Not valid YAML: mapping values are not allowed here (put a text with a colon"),
        ("off fails", "2026-02-30", "1: name: '2026-02-30' is not valid. day is out of range for month"),
        ("off fails", "", "1: name: has no value. Give one"),
        ("- {scan_on_push: false}", "", "2: given: has no value. Give a list; [] for none"),
        (
            "{scan_on_push: false}",
            "off",
            "3: given.0: False is not valid. Give a mapping with the keys exclusion_filters",
        ),
        (CASE, "given: []", "1: the file: {'given': []} is not valid. Give a list"),
        (CASE, 2 * CASE, "6: The name 'off fails' is given twice"),
    ],
)
def test_a_fault_of_a_case_names_file_line_and_key(tmp_path: Path, old: str, new: str, fault: str) -> None:
    folder = tmp_path / "sql" / "policies" / "ecr" / "scan"
    folder.mkdir(parents=True)
    (folder / "cases.yaml").write_text(CASE.replace(old, new), encoding="utf-8")
    with pytest.raises(CasesError) as caught:
        read_cases(folder)
    assert f"sql/policies/ecr/scan/cases.yaml:{fault}" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("{scan_on_push: false}", "2: Unknown key 'scan_on_push'."),
        ("{creation_templates: [{prefix: a, mutability: MUTABLE}]}", "Unknown key mutability. Give a list<"),
        ("{creation_templates: ROOT}", "'ROOT' is not valid. Give a list<"),
    ],
)
def test_a_case_is_given_in_the_rows_of_its_input(tmp_path: Path, given: str, fault: str) -> None:
    folder = tmp_path / "sql" / "policies" / "ecr" / "templates"
    folder.mkdir(parents=True)
    (folder / "policy.yaml").write_text("input: registries\n", encoding="utf-8")
    (folder / "cases.yaml").write_text(f"- name: a\n  given: [{given}]\n  expect: []\n", encoding="utf-8")
    with pytest.raises(CasesError) as caught:
        read_cases(folder)
    assert fault in str(caught.value)


@when_it_loads
@each_policy
@pytest.mark.parametrize("name", ["description.md", "remediation.md"])
def test_commands_in_texts_are_ones_that_aws_accepts(folder: Path, name: str) -> None:
    """There may be none."""
    text = (folder / name).read_text(encoding="utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    with without_traceback(f"{shown(folder / name)}: "):
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
