"""The macros of sql/: they agree with the enums of the program, and each rule is written once."""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import duckdb
import hcl2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ecr_audit.aws.outcomes import NOT_COUNTABLE, Outcome
from ecr_audit.macros import create_session_macros, macro, published_macros
from ecr_audit.publish.oscal.values import export_uid
from ecr_audit.settings import SQL_ROOT
from ecr_audit.vocabulary import (
    CHANGE_WORDS,
    ENGINE_CONDITIONS,
    EVENT_WORDS,
    FACET_WORDS,
    IMAGE_TAGS_FACET,
    NOT_READ,
    OVERWRITABLE_WORDS,
    POLICY_STATUSES,
    ROTATED_FACETS,
    STATUS_MEANINGS,
    UNDETERMINED_REASONS,
    Change,
    Facet,
    FindingStatus,
    OverwritableTags,
    Status,
)

ROOT = SQL_ROOT.parent


@pytest.fixture(scope="module")
def session() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        create_session_macros(connection)
        yield connection


def true_for(session: duckdb.DuckDBPyConnection, name: str, words: list[str]) -> set[str]:
    """The words for which a macro is true."""
    sql = f"SELECT word FROM (SELECT unnest($words::VARCHAR[]) AS word) WHERE {name}(word)"
    return {word for (word,) in session.execute(sql, {"words": words}).fetchall()}


def test_outcomes_count_as_the_enum_has_it(session: duckdb.DuckDBPyConnection) -> None:
    outcomes = list(map(str, Outcome))
    assert true_for(session, "is_collected", outcomes) == {Outcome.COLLECTED}
    assert true_for(session, "is_countable", outcomes) == set(Outcome) - NOT_COUNTABLE
    assert true_for(session, "is_unread", outcomes) == set(Outcome) - NOT_COUNTABLE - {Outcome.COLLECTED}


def test_coverage_is_the_share_of_outcomes_that_count(session: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT coverage_percent(outcome) FROM (SELECT unnest($outcomes::VARCHAR[]) AS outcome)"
    for outcomes, expected in (([*Outcome], 20.0), ([*NOT_COUNTABLE], None), ([], None), (["COLLECTED"], 100.0)):
        assert session.execute(sql, {"outcomes": list(map(str, outcomes))}).fetchall() == [(expected,)]


@pytest.mark.parametrize("word", ["team/app", "it's", "'", "a b", "*", ""])
def test_a_quoted_word_is_one_argument_of_a_command(session: duckdb.DuckDBPyConnection, word: str) -> None:
    [(quoted,)] = session.execute("SELECT shell_quoted($word)", {"word": word}).fetchall()
    assert shlex.split(quoted) == [word]


def test_statuses_are_those_of_the_enum(session: duckdb.DuckDBPyConnection) -> None:
    words = [*map(str, Status), "compliant", ""]
    assert true_for(session, "is_status", words) == set(Status)
    assert true_for(session, "has_verdict", words) == {Status.COMPLIANT, Status.INCOMPLIANT}


def test_the_conditions_of_the_engine_match_their_words(session: duckdb.DuckDBPyConnection) -> None:
    names = ("condition_account_inactive", "condition_not_seen", "condition_gone")
    indexes = [session.execute(f"SELECT {name}()").fetchall()[0][0] for name in names]
    assert indexes == [condition.index for condition in ENGINE_CONDITIONS]
    for index, status in [*((each.index, each.status) for each in ENGINE_CONDITIONS), (199, None)]:
        assert session.execute("SELECT status_of_engine($index)", {"index": index}).fetchall() == [(status,)]


def test_reasons_of_undetermined_match_their_words(session: duckdb.DuckDBPyConnection) -> None:
    conditions = {599: "not_seen", NOT_READ: "not_read", 499: "unknown_value"}
    assert set(conditions.values()) == set(UNDETERMINED_REASONS)
    for index, reason in conditions.items():
        for status, expected in (("UNDETERMINED", reason), ("COMPLIANT", None)):
            query = "SELECT undetermined_reason($status, $index)"
            assert session.execute(query, {"status": status, "index": index}).fetchall() == [(expected,)]


@pytest.mark.parametrize(
    ("resource", "kind", "name"),
    [
        ("repository/team/app", "repository", "team/app"),
        ("repository/registry", "repository", "registry"),
        ("registry", "registry", "registry"),
    ],
)
def test_an_arn_has_a_type_and_a_name(session: duckdb.DuckDBPyConnection, resource: str, kind: str, name: str) -> None:
    query = "SELECT resource_type($arn), resource_name($arn)"
    arn = f"arn:aws-cn:ecr:cn-north-1:111111111111:{resource}"
    assert session.execute(query, {"arn": arn}).fetchall() == [(kind, name)]


def test_every_published_macro_is_described_and_depends_on_nothing() -> None:
    """Neither on a variable or a table, nor on how lambdas are written, which DuckDB 1.2's format does not keep."""
    macros = published_macros()
    assert len(macros) > 5
    for each in macros:
        assert len(each.meaning) > 30, each.name
        assert not re.search(r"getvariable|lambda|->|\bFROM\b|\bSELECT\b", each.statement), each.name


def test_a_macro_is_found_by_its_name() -> None:
    assert macro("is_finding").parameters == ("status", "incompliant_start_date", "incompliant_end_date")
    assert macro("condition_gone").statement == "CREATE MACRO condition_gone() AS 99"
    assert macro("comparable").meaning.startswith("a value of AWS")


def test_each_word_has_its_words() -> None:
    assert set(STATUS_MEANINGS) == set(Status) == {*POLICY_STATUSES, Status.DISAPPEARED}
    assert {each.status for each in ENGINE_CONDITIONS} == set(Status) - {Status.COMPLIANT, Status.INCOMPLIANT}
    assert set(get_args(FindingStatus)) < set(POLICY_STATUSES)
    assert set(get_args(Change)) == set(CHANGE_WORDS) < set(EVENT_WORDS)
    assert set(get_args(OverwritableTags)) == set(OVERWRITABLE_WORDS)
    assert set(FACET_WORDS) == {*Facet, IMAGE_TAGS_FACET}


def test_a_unit_contains_the_units_below_it(session: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT list(path) FILTER (is_in_unit(path, 'Root/Prod')) FROM (SELECT unnest($paths::VARCHAR[]) AS path)"
    paths = ["Root", "Root/Prod", "Root/Prod/EU", "Root/Production", None, ""]
    assert session.execute(sql, {"paths": paths}).fetchall() == [(["Root/Prod", "Root/Prod/EU"],)]


# The owner of a rule, where it may stand, and the look of a copy.
COPIES: dict[str, Any] = {
    "which outcomes count": (
        r"REGION_DISABLED\W{1,6}(?:Outcome\.)?ACCOUNT_INACTIVE|ACCOUNT_INACTIVE\W{1,6}(?:Outcome\.)?REGION_DISABLED",
        {"sql/published_macros.sql", "plugins/ecr_audit/aws/outcomes.py"},
    ),
    "which share is coverage or compliance": (
        r"100(?:\.0)? \* (?:count\(\*\) FILTER|compliant|collected)",
        {"sql/published_macros.sql"},
    ),
    "the conditions of the engine": (
        r"\b399\b",
        {"sql/macros.sql", "plugins/ecr_audit/vocabulary.py", "sql/dictionary.yaml", "sql/marts/policy_output.sql"},
    ),
    "the five statuses": (
        r"""["']INAPPLICABLE["'], ?["']DISAPPEARED""",
        {"sql/macros.sql"},
    ),
    "which units are below one": (r"starts_with\(ou_path", {"sql/published_macros.sql"}),
    "what a spreadsheet runs": (r"FF1D", {"sql/published_macros.sql"}),
}


@pytest.mark.parametrize("rule", COPIES)
def test_a_rule_is_written_once(rule: str) -> None:
    pattern, allowed = COPIES[rule]
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("sql", "plugins", "dags", "bin", "demo", "bi", "benchmarks")
        for path in Path(ROOT / folder).rglob("*")
        if path.suffix in {".py", ".sql", ".html", ".js", ".yaml"} and re.search(pattern, path.read_text("utf-8"))
    }
    assert found <= allowed, f"{rule}: {sorted(found - allowed)}"
    assert found, rule


def test_the_macro_of_facets_by_rotation_agrees_with_the_program(session: duckdb.DuckDBPyConnection) -> None:
    assert true_for(session, "is_rotated", list(Facet)) == set(ROTATED_FACETS)


@pytest.mark.parametrize(
    ("facet", "nights", "read_on", "failed", "why"),
    [
        ("scanning", 7, 20, None, None),
        ("scanning", 7, 19, "AccessDenied", "AccessDenied, last read on 2026-11-19"),
        ("scanning", 7, 19, None, "AWS did not return it, last read on 2026-11-19"),
        ("scanning", 7, None, None, "AWS did not return it"),
        # By rotation a value stands until it has missed a turn and the next one has come.
        ("lifecycle", 7, 14, None, None),
        ("lifecycle", 7, 7, "Throttling", None),
        ("lifecycle", 7, 6, None, "its turn has not come yet, last read on 2026-11-06"),
        ("lifecycle", 7, None, None, "its turn has not come yet"),
        ("lifecycle", 7, None, "Throttling", "Throttling"),
        ("lifecycle", 1, 20, None, None),
        ("lifecycle", 1, 19, "Throttling", "Throttling, last read on 2026-11-19"),
        ("keys", 7, None, None, "ECR_AUDIT_COLLECT leaves out keys"),
        ("keys", 7, 19, None, "ECR_AUDIT_COLLECT leaves out keys"),
    ],
)
def test_a_facet_that_does_not_stand_for_the_night_has_a_reason(
    session: duckdb.DuckDBPyConnection,
    facet: str,
    nights: int,
    read_on: int | None,
    failed: str | None,
    why: str | None,
) -> None:
    session.execute("SET VARIABLE collected_facets = ['scanning', 'lifecycle']::VARCHAR[]")
    session.execute(f"SET VARIABLE rotation_nights = {nights}")
    failures = [{"facet": "tags", "error_code": "Other"}, *([{"facet": facet, "error_code": failed}] if failed else [])]
    given = {
        "facet": facet,
        "read_at": None if read_on is None else datetime(2026, 11, read_on, 2, tzinfo=UTC),
        "collected_at": datetime(2026, 11, 20, 2, tzinfo=UTC),
        "failed": failures,
    }
    query = "SELECT unread_because($facet::VARCHAR, $read_at::TIMESTAMPTZ, $collected_at::TIMESTAMPTZ, $failed)"
    assert session.execute(query, given).fetchall() == [(why,)]


RELEASES = [
    *("1.2.3", "v1.2.3", "V1.2.3", "1.2.3.4", "2.0.0-rc.1", "2.0.0rc1", "1.2.3_build.5", "1.2.3-alpine", "app-v1.2.3"),
    *("2026-11-29", "20261129", "2026.11.29", "20261129.2", "release-2026-11-29", "20261129t101500z", "2026-11-29-1"),
    *("3f9a1c7", "main-3f9a1c7", "sha-3f9a1c7e", "g3f9a1c7", "3f9a1c7e3f9a1c7e3f9a1c7e3f9a1c7e3f9a1c7e"),
    *("1234", "build-1234", "b1234", "ci.77", "r12"),
]
NOT_RELEASES = [
    *("latest", "main", "staging", "pr-123", "cache", "prod", "dev", "stable", "nightly", "edge", "master", "HEAD", ""),
    *("v1", "1.25", "v2.0", "3.18-alpine", "node-18", "python3", "feature-login", "1.2.3-latest", "1.2.3-SNAPSHOT"),
    *("1.2.3-cache", "buildcache", "pr-3f9a1c7", "mr-12", "defaced", "deadbeef", "2026-13-29", "2026-11-32"),
    *("cafe", "abc1", "main-1234567", "x1.2.3y"),
]


def test_a_release_tag_looks_like_a_version_a_date_a_commit_or_a_build(session: duckdb.DuckDBPyConnection) -> None:
    assert true_for(session, "is_release_tag", [*RELEASES, *NOT_RELEASES]) == set(RELEASES)


@pytest.mark.parametrize(
    ("setting", "filters", "tag", "forbidden"),
    [
        ("IMMUTABLE", [], "latest", True),
        ("IMMUTABLE", None, "latest", True),
        ("MUTABLE", [], "latest", False),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest", "dev-*"], "dev-1", False),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest", "dev-*"], "1.0.0", True),
        ("IMMUTABLE_WITH_EXCLUSION", ["1.*"], "1x0", True),
        ("IMMUTABLE_WITH_EXCLUSION", ["*"], "1.0.0", False),
        ("MUTABLE_WITH_EXCLUSION", ["*.*.*"], "1.0.0", True),
        ("MUTABLE_WITH_EXCLUSION", ["*.*.*"], "latest", False),
        ("", [], "latest", False),
        (None, None, "latest", False),
    ],
)
def test_a_setting_protects_the_tags_that_it_names(
    session: duckdb.DuckDBPyConnection, setting: str | None, filters: list[str] | None, tag: str, forbidden: bool
) -> None:
    sql = "SELECT forbids_overwriting($setting::VARCHAR, $filters::VARCHAR[], $tag)"
    assert session.execute(sql, {"setting": setting, "filters": filters, "tag": tag}).fetchall() == [(forbidden,)]


@given(st.lists(st.text(), min_size=1))
def test_an_exported_id_is_a_name_based_uuid(session: duckdb.DuckDBPyConnection, parts: list[str]) -> None:
    """Python's own, of a namespace that never changes: tools elsewhere know findings by it."""
    namespace = uuid.uuid5(uuid.NAMESPACE_URL, "https://ecr-audit.invalid")
    expected = str(uuid.uuid5(namespace, "\x1f".join(parts)))
    assert export_uid(*parts) == expected
    assert session.execute("SELECT export_uid($parts::VARCHAR[])", {"parts": parts}).fetchall() == [(expected,)]


@pytest.mark.parametrize(
    ("tags", "name", "tool"),
    [
        ({"ManagedBy": "Terraform"}, "app", "terraform"),
        ({"managed-by": "OpenTofu 1.9"}, "app", "opentofu"),
        ({"TERRAFORM": "true"}, "app", "terraform"),
        ({"terraform": "false"}, "app", None),
        ({"ManagedBy": "manual"}, "app", None),
        ({"ManagedBy": " "}, "app", None),
        ({"ManagedBy": "platform team"}, "app", "code"),
        ({"team": "terraform"}, "app", None),
        ({"aws:cloudformation:stack-name": "web"}, "app", "cloudformation"),
        ({"copilot-application": "web", "aws:cloudformation:stack-name": "web"}, "app", "copilot"),
        ({}, "cdk-hnb659fds-container-assets-111111111111-eu-west-1", "cdk"),
        ({}, "app", None),
        (None, "app", None),
    ],
)
def test_tags_and_names_show_the_code_that_owns_a_repository(
    session: duckdb.DuckDBPyConnection, tags: dict[str, str] | None, name: str, tool: str | None
) -> None:
    session.execute("SET VARIABLE code_tags = ['managedby', 'managed-by', 'terraform']")
    given = {"tags": None if tags is None else [{"k": key, "v": value} for key, value in tags.items()], "name": name}
    sql = "SELECT managed_by(map_from_entries($tags::STRUCT(k VARCHAR, v VARCHAR)[]), $name)"
    assert session.execute(sql, given).fetchall() == [(tool,)]


def test_a_setting_in_code_is_in_the_form_that_the_tool_reads(session: duckdb.DuckDBPyConnection) -> None:
    setting, filters = "IMMUTABLE_WITH_EXCLUSION", ["latest", "sha256-*"]

    def text(macro: str, *arguments: object) -> str:
        marks = ", ".join("?" for _ in arguments)
        [(found,)] = session.execute(f"SELECT {macro}({marks})", arguments).fetchall()
        return str(found)

    terraform = hcl2.loads(text("mutability_in_terraform", setting, filters) + "\n")
    assert terraform["image_tag_mutability"] == f'"{setting}"'
    blocks = terraform["image_tag_mutability_exclusion_filter"]
    assert [(block["filter_type"], block["filter"]) for block in blocks] == [
        ('"WILDCARD"', '"latest"'),
        ('"WILDCARD"', '"sha256-*"'),
    ]
    assert yaml.safe_load(text("mutability_in_cloudformation", setting, filters)) == {
        "ImageTagMutability": setting,
        "ImageTagMutabilityExclusionFilters": [
            {"ImageTagMutabilityExclusionFilterType": "WILDCARD", "ImageTagMutabilityExclusionFilterValue": each}
            for each in filters
        ],
    }
    assert text("mutability_in_cdk", setting, filters).splitlines() == [
        "imageTagMutability: ecr.TagMutability.IMMUTABLE_WITH_EXCLUSION,",
        "imageTagMutabilityExclusionFilters: [",
        '  ecr.ImageTagMutabilityExclusionFilter.wildcard("latest"),',
        '  ecr.ImageTagMutabilityExclusionFilter.wildcard("sha256-*"),',
        "],",
    ]
    assert text("mutability_in_terraform", "IMMUTABLE", []) == 'image_tag_mutability = "IMMUTABLE"'
    assert text("mutability_in_cloudformation", "IMMUTABLE", []) == "ImageTagMutability: IMMUTABLE"
    assert text("mutability_in_cdk", "IMMUTABLE", []) == "imageTagMutability: ecr.TagMutability.IMMUTABLE,"
    where = ("eu-west-1", "111111111111", "team/app")
    assert shlex.split(text("mutability_command", *where, setting, filters))[2:] == [
        *("put-image-tag-mutability", "--region", "eu-west-1", "--registry-id", "111111111111"),
        *("--repository-name", "team/app", "--image-tag-mutability", setting),
        *("--image-tag-mutability-exclusion-filters", "filterType=WILDCARD,filter=latest"),
        "filterType=WILDCARD,filter=sha256-*",
    ]
