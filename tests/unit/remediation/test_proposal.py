"""The rows of a plan to be: those of the published plan that the API can change, as far as a run's limits go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from ecr_audit.remediation.plan import RemediationError
from ecr_audit.remediation.proposal import Limits, left_out, planned_rows

POLICY = "mutability"


@pytest.fixture
def published() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with the columns of the publication that are read."""
    with duckdb.connect() as database:
        database.execute(
            """
            CREATE TABLE accounts AS
            FROM (VALUES
                ('000000000001', 'Root/Prod', ['r-demo', 'ou-demo-00000001'], 'ou-demo-00000001'),
                ('000000000002', 'Root/Prod/Shop', NULL, 'ou-demo-00000002'),
                ('000000000003', 'Root/Test', ['r-demo', 'ou-demo-00000003'], 'ou-demo-00000003')
            ) AS t (account_id, ou_path, unit_ids, ou_id);
            CREATE TABLE repositories AS
            SELECT
                account_id,
                name AS repository_name,
                'arn:' || account_id || '/' || name AS repository_arn,
                TIMESTAMPTZ '2026-01-01 00:00:00+00' AS created_at
            FROM accounts CROSS JOIN (VALUES ('team/app'), ('team/web')) AS names (name);
            CREATE TABLE remediation_plan AS
            SELECT
                'mutability' AS policy_id,
                account_id,
                'eu-west-1' AS region,
                repository_name,
                repository_arn,
                'FIX_BY_API' AS action,
                'nothing_moved' AS rule,
                'MUTABLE' AS current_setting,
                []::VARCHAR[] AS current_filters,
                'IMMUTABLE' AS proposed_setting,
                []::VARCHAR[] AS proposed_filters,
                TRUE AS closes_finding,
                30 AS evidence_nights,
                0 AS overwritable_after
            FROM repositories
            UNION ALL BY NAME
            SELECT 'strict' AS policy_id, * EXCLUDE (created_at), 'FIX_BY_API' AS action FROM repositories
            UNION ALL BY NAME
            SELECT 'mutability' AS policy_id, 'HOLD' AS action, 'pull_through' AS rule, 'arn:held' AS repository_arn;
            """
        )
        yield database


def chosen(published: duckdb.DuckDBPyConnection, **limits: Any) -> list[tuple[str, str]]:
    rows = planned_rows(published, POLICY, Limits(**limits))
    return [(row["account_id"][-1], row["repository_name"].rpartition("/")[2]) for row in rows]


def test_a_plan_has_the_rows_that_the_api_can_change_for_one_policy(published: duckdb.DuckDBPyConnection) -> None:
    assert chosen(published) == [(account, name) for account in "123" for name in ("app", "web")]
    assert left_out(published, POLICY) == [("HOLD", "pull_through", 1)]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"accounts": ["000000000002"]}, [("2", "app"), ("2", "web")]),
        ({"ous": ["Root/Prod"], "repositories": ["team/app"]}, [("1", "app"), ("2", "app")]),
        ({"ous": ["ou-demo-00000002", "Root/Test"], "most": 3}, [("2", "app"), ("2", "web"), ("3", "app")]),
        ({"repositories": ["*web", "arn:000000000001/team/app"]}, [("1", "app"), *((each, "web") for each in "123")]),
    ],
)
def test_limits(published: duckdb.DuckDBPyConnection, limits: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert sorted(chosen(published, **limits)) == expected


@pytest.mark.parametrize(
    "limits", [{"accounts": ["000000000009"]}, {"ous": ["Root/Pro"]}, {"repositories": ["team/ap"]}]
)
def test_a_limit_that_fits_nothing_is_reported(
    published: duckdb.DuckDBPyConnection, limits: dict[str, list[str]]
) -> None:
    [[word]] = limits.values()
    with pytest.raises(RemediationError, match=f"'{word}' fits none of the 6 changes"):
        chosen(published, **limits)


def test_a_publication_of_an_older_version_has_no_plan(published: duckdb.DuckDBPyConnection) -> None:
    published.execute("DROP TABLE remediation_plan")
    with pytest.raises(RemediationError, match="run ecr_compliance again"):
        chosen(published)
