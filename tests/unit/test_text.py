"""Numbers as people read them."""

from __future__ import annotations

import pytest

from ecr_audit.text import age, plural


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
