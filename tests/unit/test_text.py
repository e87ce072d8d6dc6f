"""Numbers as people read them."""

from __future__ import annotations

import pytest

from ecr_audit.text import age, percent, plural


@pytest.mark.parametrize(
    ("days", "started_known", "shown"),
    [
        (0, True, "today"),
        (1, True, "1 day"),
        (89, True, "89 days"),
        (0, False, "today or earlier"),
        (1, False, "at least 1 day"),
        (89, False, "at least 89 days"),
    ],
)
def test_an_age_says_at_least_where_the_start_was_not_seen(days: int, started_known: bool, shown: str) -> None:
    assert age(days, started_known) == shown


def test_a_count_agrees_with_its_noun() -> None:
    assert [plural(n, "policy", "policies") for n in (0, 1, 2000)] == ["0 policies", "1 policy", "2,000 policies"]


@pytest.mark.parametrize(
    ("value", "limit", "shown"),
    [
        (62.34, None, "62.3 %"),
        (0, None, "0.0 %"),
        (0.01, None, "0.1 %"),
        (99.96, None, "99.9 %"),
        (100, None, "100.0 %"),
        (None, None, "no data"),
        (None, 95, "no data"),
        (88.06, 95, "88.1 %"),
        (94.96, 95, "94.96 %"),
        (95, 94.96, "95.00 %"),
        (95, 95, "95.0 %"),
        (99.999, 100, "99.999 %"),
        (57, 100 * 0.57, "57.0 %"),
    ],
)
def test_a_percentage_never_claims_all_nor_that_two_are_one(
    value: float | None, limit: float | None, shown: str
) -> None:
    assert percent(value, limit) == shown
