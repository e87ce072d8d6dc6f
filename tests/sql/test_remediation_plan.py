"""The rules of the remediation plan: tests/sql/remediation_*.yaml, each case a repository and its rows of the plan.

A case names what it is about; the rest is a MUTABLE repository with an open finding, whose tags were read in 30 nights
and did not move. `seen` are image tags that it has, `was` those that it had, `moved` those that were overwritten,
`of_namesake` those of a repository of its name that was deleted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ecr_audit.catalog import Policy, load_catalog
from ecr_audit.lake.schemas import IMAGE_TAGS
from ecr_audit.lake.tables import TIMESTAMP
from ecr_audit.publish.remediation_plan import STAGED
from ecr_audit.settings import SQL_ROOT
from ecr_audit.warehouse.statements import read_statement
from support.documents import read_yaml

CASES = {
    f"{path.stem.removeprefix('remediation_')}: {case['it']}": case
    for path in sorted(Path(__file__).parent.glob("remediation_*.yaml"))
    for case in read_yaml(path)
}
CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
SEEN_AT = datetime(2026, 11, 1, 4, tzinfo=UTC)
BEFORE_IT_WAS_CREATED = datetime(2025, 1, 1, tzinfo=UTC)
POLICIES = {"mutability": ["IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"], "strict": ["IMMUTABLE"], "other": []}

TEXT = pa.string()
POLICY = pa.schema([("policy_id", TEXT), ("passing_mutability", pa.list_(TEXT))])
FINDING = pa.schema(
    [(name, TEXT) for name in ("policy_id", "object_id", "status", "owner")]
    + [("incompliant_start_date", pa.date32()), ("incompliant_end_date", pa.date32()), ("waived", pa.bool_())]
)
MOVE = pa.schema(
    [("repository_arn", TEXT), ("tag", TEXT), ("kind", TEXT), ("is_release", pa.bool_()), ("seen_before", TIMESTAMP)]
)
READS = pa.schema([("repository_arn", TEXT), ("nights_read", pa.int64()), ("tags", pa.int64())])

Plan = Callable[[Sequence[Mapping[str, Any]]], list[dict[str, Any]]]


@pytest.fixture
def plan(session: duckdb.DuckDBPyConnection, stage: Callable[..., None]) -> Plan:
    """Make the plan of some cases."""

    def load(name: str, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
        session.register("rows", pa.Table.from_pylist(list(rows), schema=schema))
        session.execute(f"CREATE OR REPLACE TABLE {name} AS FROM rows")

    def make(cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        for schema in ("lake", "staging"):
            session.execute(f"DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}")
        session.execute("CREATE SCHEMA IF NOT EXISTS published; CREATE SCHEMA IF NOT EXISTS catalog")
        session.execute("SET VARIABLE remediation_nights = 30; SET VARIABLE image_tags_known = TRUE")
        session.execute("SET VARIABLE code_tags = ['managedby', 'terraform']")
        mutable = {"image_tag_mutability": "MUTABLE", "created_at": CREATED_AT}
        registries = [case["registry"] for case in cases if "registry" in case] or [{}]
        stage([mutable | case.get("repository", {}) for case in cases], registries=registries)
        load("catalog.policies", [{"policy_id": n, "passing_mutability": s} for n, s in POLICIES.items()], POLICY)
        load("published.tag_moves", [row for case in cases for row in moves(case)], MOVE)
        session.execute("UPDATE published.tag_moves SET is_release = is_release_tag(tag)")
        reads = [
            {"repository_arn": arn(case), "nights_read": case.get("nights", 30), "tags": len(case.get("seen", []))}
            for case in cases
        ]
        load("published.repository_image_tags", [row for row in reads if row["nights_read"]], READS)
        load("lake.image_tags", [row for case in cases for row in image_tags(case)], IMAGE_TAGS.schema)
        load("lake.policy_output", [row for case in cases for row in findings(case)], FINDING)
        session.execute(
            "CREATE TABLE lake.waived_findings AS"
            " SELECT policy_id, object_id, 'W-1' AS waiver_id FROM lake.policy_output WHERE waived"
        )
        for name in STAGED:
            session.execute(f"CREATE TABLE staging.{name} AS {read_statement(f'remediation/{name}').text}")
        made = session.execute(read_statement("marts/remediation_plan").text, {"snapshot_date": date(2026, 11, 1)})
        rows: list[dict[str, Any]] = made.to_arrow_table().to_pylist()
        return rows

    return make


def arn(case: Mapping[str, Any]) -> str:
    return (
        f"arn:aws:ecr:eu-west-1:111111111111:repository/{case.get('repository', {}).get('repository_name', 'team/app')}"
    )


def findings(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    usual = {"policy_id": "mutability", "object_id": arn(case), "status": "INCOMPLIANT", "owner": "web"}
    return [
        usual | {"waived": False, "incompliant_start_date": SEEN_AT.date()} | each
        for each in case.get("findings", [{}])
    ]


def moves(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    usual = {"repository_arn": arn(case), "kind": "moved", "seen_before": SEEN_AT}
    return [usual | (each if isinstance(each, dict) else {"tag": each}) for each in case.get("moved", [])]


def image_tags(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    usual = {"account_id": "111111111111", "repository_arn": arn(case), "digest": "a", "last_seen": SEEN_AT}
    kinds = {"seen": (True, SEEN_AT), "was": (False, SEEN_AT), "of_namesake": (False, BEFORE_IT_WAS_CREATED)}
    return [
        usual | {"tag": tag, "is_current": is_current, "first_seen": first_seen}
        for kind, (is_current, first_seen) in kinds.items()
        for tag in case.get(kind, [])
    ]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_case(case: dict[str, Any], plan: Plan) -> None:
    rows = plan([case])
    wanted = case["plan"]
    expected = wanted if isinstance(wanted, list) else [wanted]
    assert [{name: row[name] for name in each} for row, each in zip(rows, expected, strict=True)] == expected


TAGS = (
    *(
        "latest",
        "main",
        "dev",
        "cache",
        "cache1",
        "cache2",
        "cache3",
        "web-latest",
        "api-latest",
        "db-latest",
        "v1",
        "1.25",
    ),
    *(
        "app-dev",
        "app-main",
        "app-next",
        "app-1.0.0",
        "1.0.0",
        "1.0.1-latest",
        "v1.2.3",
        "2026-11-29",
        "3f9a1c7",
        "1234",
    ),
    *(
        "sha256-aa11.sig",
        "sha256-bb22.sig",
        "sha256-cc33.sig",
        "sha256-3f9a1c7",
        "pr-7",
        "pr-8",
        "pr-9",
        "x_1",
        "-",
        "_",
    ),
)
SOME_TAGS = st.lists(st.sampled_from(TAGS), unique=True, max_size=12)
HISTORIES = st.fixed_dictionaries(
    {"seen": SOME_TAGS, "was": SOME_TAGS, "moved": SOME_TAGS, "nights": st.sampled_from([0, 29, 30])},
    optional={"of_namesake": SOME_TAGS, "named": st.lists(st.sampled_from(TAGS), max_size=3)},
)
SETTINGS = st.sampled_from(["MUTABLE", "IMMUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION", "NEW"])
FILTERS = st.lists(
    st.sampled_from(["*", "latest", "v*", "*-latest", "app-*", "*.*"]), min_size=1, max_size=3, unique=True
)
OWNED = st.sampled_from(
    [{}, {"ManagedBy": "Terraform"}, {"aws:cloudformation:stack-name": "s"}, {"Terraform": "false"}]
)
NAMESPACES = st.sampled_from(["team", "hub"])


@settings(
    max_examples=12, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(HISTORIES, SETTINGS, FILTERS, OWNED, NAMESPACES), min_size=40, max_size=40))
def test_a_plan_moves_no_release_and_leaves_code_and_caches_alone(plan: Plan, drawn: list[Any]) -> None:
    rule = {"prefix": "hub", "upstream_registry_url": "registry-1.docker.io"}
    cases = {}
    for number, (history, setting, filters, owned, namespace) in enumerate(drawn):
        tags = owned | ({"ecr-audit:moving-tags": " ".join(history["named"])} if "named" in history else {})
        repository = {"repository_name": f"{namespace}/{number}", "image_tag_mutability": setting, "tags": tags}
        if setting.endswith("EXCLUSION"):
            repository["exclusion_filters"] = filters
        case = history | {"repository": repository, "registry": {"pull_through_rules": [rule]}}
        cases[arn(case)] = case | {"findings": [{"policy_id": "mutability"}, {"policy_id": "strict"}]}
    # One registry for all of them.
    given_cases = [
        case if number == 0 else {k: v for k, v in case.items() if k != "registry"}
        for number, case in enumerate(cases.values())
    ]
    rows = plan(given_cases)
    assert len(rows) == 2 * len(cases)  # a row for each finding, whatever is held
    for row in rows:
        case = cases[row["repository_arn"]]
        releases = {tag for tag in (*case["seen"], *case["was"], *case["moved"]) if is_release(tag)}
        if row["action"] == "HOLD":
            assert row["proposed_setting"] is row["proposed_filters"] is row["command"] is None
            continue
        filters = row["proposed_filters"]
        assert not [tag for tag in releases for pattern in filters if fnmatchcase(tag, pattern)]
        assert len(filters) <= 5
        assert all(re.fullmatch(r"[0-9a-zA-Z._*-]{1,128}", each) and each.count("*") <= 2 for each in filters)
        assert row["proposed_setting"] == ("IMMUTABLE_WITH_EXCLUSION" if filters else "IMMUTABLE")
        assert not case["repository"]["repository_name"].startswith("hub/")
        owned = set(case["repository"]["tags"]) & {"ManagedBy", "aws:cloudformation:stack-name"}
        assert row["action"] == ("FIX_IN_CODE" if owned else "FIX_BY_API")
        assert (row["command"] is None) == bool(owned)
        if row["rule"] != "named_by_owner":
            assert row["evidence_nights"] >= 30
            assert all(any(fnmatchcase(tag, each) for each in filters) for tag in case["moved"])
        assert row["overwritable_after"] == sum(any(fnmatchcase(t, each) for each in filters) for t in case["seen"])


def is_release(tag: str) -> bool:
    return tag in {"app-1.0.0", "1.0.0", "v1.2.3", "2026-11-29", "3f9a1c7", "1234", "sha256-3f9a1c7"}


@pytest.mark.parametrize(
    "policy", [p for p in load_catalog(SQL_ROOT).policies if p.passing_mutability], ids=lambda p: p.id
)
def test_the_settings_that_pass_are_those_of_the_policy(
    policy: Policy, session: duckdb.DuckDBPyConnection, stage: Callable[..., None]
) -> None:
    every = ("MUTABLE", "IMMUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION")
    filters = {name: ["latest"] if name.endswith("EXCLUSION") else [] for name in every}
    stage([{"repository_name": n, "image_tag_mutability": n, "exclusion_filters": filters[n]} for n in every])
    passing = session.execute(
        f"SELECT resource_name(object_id) FROM ({policy.logic_sql}) WHERE status = 'COMPLIANT'"
    ).fetchall()
    assert {name for (name,) in passing} == set(policy.passing_mutability)
