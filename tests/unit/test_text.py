"""Numbers as people read them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest

from ecr_audit.text import age, day, moment, nearest, percent, plural
from support.paths import ROOT


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
def test_an_age_is_a_minimum_where_the_start_was_not_seen(days: int, started_known: bool, shown: str) -> None:
    assert age(days, started_known) == shown


def test_a_count_agrees_with_its_noun() -> None:
    assert [plural(n, "policy", "policies") for n in (0, 1, 2000)] == ["0 policies", "1 policy", "2,000 policies"]


def test_the_nearest_of_the_known_names_is_meant() -> None:
    regions = {"eu-west-1", "us-east-1"}
    assert (nearest("eu-west-11", regions), nearest("moon", regions), nearest("x", ())) == ("eu-west-1", None, None)


def test_days_and_times_are_utc() -> None:
    at = datetime(2026, 11, 23, 2, 13, tzinfo=timezone(timedelta(hours=9)))
    assert (day(at.date()), moment(at), moment(at.replace(tzinfo=None))) == (
        *("2026-11-23", "2026-11-22 17:13 UTC", "2026-11-23 02:13 UTC"),
    )


# How text that people read would be made a second time, and where such text is a format for programs instead.
COPIES = {
    r"difflib|get_close_matches": {"plugins/ecr_audit/text.py"},
    r"""['"]e?s['"] ?\* ?\(|== 1 else f?["'].*s\b""": {"plugins/ecr_audit/text.py"},
    r"%Y-%m-%d %H:%M\b": {"plugins/ecr_audit/text.py", "plugins/ecr_audit/publish/csv_files.py"},
    r":\.[0-9]f\} ?%": set(),
}


@pytest.mark.parametrize("pattern", COPIES)
def test_text_for_people_is_made_in_one_place(pattern: str) -> None:
    files = [path for tree in ("plugins", "bin", "dags", "demo") for path in (ROOT / tree).rglob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in files if re.search(pattern, path.read_text(encoding="utf-8"))}
    assert found <= COPIES[pattern]


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
        (94.96, None, "94.9 %"),
        (94.96, 95, "94.9 %"),
        (95, 94.96, "95.0 %"),
        (95, 95, "95.0 %"),
        (99.999, 100, "99.9 %"),
        (95.01, 95, "95.01 %"),
        (57, 100 * 0.57, "57.0 %"),
    ],
)
def test_a_percentage_never_claims_all_nor_that_two_are_one(
    value: float | None, limit: float | None, shown: str
) -> None:
    assert percent(value, limit) == shown
