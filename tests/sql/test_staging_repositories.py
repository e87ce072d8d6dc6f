"""staging.repositories: columns derived from the raw row, once for every policy."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pytest

Stage = Callable[..., None]


@pytest.mark.parametrize(
    ("value", "filters", "overwritable_tags"),
    [
        ("IMMUTABLE", None, "none"),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest", "dev-*"], "listed"),
        ("IMMUTABLE_WITH_EXCLUSION", None, "listed"),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest", "*"], "all"),
        ("IMMUTABLE_WITH_EXCLUSION", ["**"], "all"),
        # A filter without a pattern, which older versions of the audit kept.
        ("IMMUTABLE_WITH_EXCLUSION", [None, "dev-*"], "listed"),
        ("IMMUTABLE_WITH_EXCLUSION", [None], "listed"),
        ("MUTABLE_WITH_EXCLUSION", ["v*"], "all_but_listed"),
        ("MUTABLE", None, "all"),
        ("\tmutable\n", None, "all"),
        ("FROZEN", None, "unknown"),
        ("", None, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_overwritable_tags(
    value: str | None,
    filters: list[str | None] | None,
    overwritable_tags: str,
    stage: Stage,
    session: duckdb.DuckDBPyConnection,
) -> None:
    stage([{"image_tag_mutability": value, "exclusion_filters": filters}])
    row = session.sql(
        "SELECT overwritable_tags, image_tag_mutability_raw, exclusion_filters FROM staging.repositories"
    ).fetchone()
    assert row == (overwritable_tags, value, [each for each in filters or [] if each is not None])


@pytest.mark.parametrize(
    ("tags", "owner"),
    [
        ({"team": "search", "owner": "O'Brien"}, "O'Brien"),  # the first key that is configured, not the first tag
        ({"Team": " search "}, "search"),
        ({"owner": "", "team": "search"}, "search"),
        ({"Owner": "a", "OWNER": "a"}, "a"),
        ({"cost-center": "42"}, None),
        ({}, None),
        (None, None),  # tags not collected
    ],
)
def test_owner(
    tags: dict[str, str] | None, owner: str | None, stage: Stage, session: duckdb.DuckDBPyConnection
) -> None:
    stage([{"tags": tags}])
    assert session.sql("SELECT owner FROM staging.repositories").fetchall() == [(owner,)]


def test_owner_without_owner_tags_configured(stage: Stage, session: duckdb.DuckDBPyConnection) -> None:
    session.execute("SET VARIABLE owner_tags = []::VARCHAR[]")
    stage([{"tags": {"owner": "someone"}}])
    assert session.sql("SELECT owner FROM staging.repositories").fetchall() == [(None,)]


def test_a_repository_of_an_account_that_left_the_organization_stays(
    stage: Stage, session: duckdb.DuckDBPyConnection
) -> None:
    stage([{"observed": False}], accounts=[])
    rows = session.sql("SELECT account_id, owner, observed FROM staging.repositories").fetchall()
    assert rows == [("111111111111", None, False)]
