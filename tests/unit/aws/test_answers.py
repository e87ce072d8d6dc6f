"""Values out of answers, whatever these hold: as boto3 reads them, or refused with what they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.utils import parse_timestamp

from ecr_audit.aws.answers import Unread, cleaned, quoted, text, timestamp


@pytest.mark.parametrize(
    "value",
    [
        0,
        1_700_000_000,
        1_700_000_000.25,
        -1.5,
        "1700000000",
        "1700000000.25",
        "2025-02-03T10:00:00Z",
        "2025-02-03T10:00:00+02:00",
        "Mon, 03 Feb 2025 10:00:00 GMT",
    ],
)
def test_a_time_is_the_one_that_boto3_reads(value: float | str) -> None:
    assert timestamp(value) == parse_timestamp(value)  # type: ignore[arg-type]  # its stub takes text only
    assert timestamp(value).utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_utc() -> None:
    assert timestamp("2025-02-03T10:00:00") == datetime(2025, 2, 3, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "yesterday", "nan", "1e400", "9" * 5000, "\ud800", [], {}, [1.0]),
        *(float("nan"), float("inf"), 1e300, 10**400, -1e12, 253_402_300_800),
    ],
    ids=quoted,
)
def test_an_invalid_time_is_reported(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a time$") as caught:
        timestamp(value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("value", ["", "team/app", "Zürich \t\n", "日本", "\N{GRINNING FACE}", "x" * 10])
def test_text_that_can_be_stored_is_kept_letter_by_letter(value: str) -> None:
    assert text(value, 10) == value
    assert cleaned(value, 10) == value


@pytest.mark.parametrize(
    "value", [None, 5, 5.0, True, [], {}, b"x", "\x00", "a\ud800", "\udfffa", "x" * 11], ids=quoted
)
def test_text_that_cannot_be_stored_is_not_accepted(value: object) -> None:
    assert text(value, 10) is None


def test_cleaned_text_can_be_stored_and_is_cut() -> None:
    assert cleaned("a\x00b\ud800c", 10) == "a\ufffdb\ufffdc"
    assert cleaned("x" * 11, 10) == "x" * 9 + "…"
    cleaned("\ud800\x00", 10).encode()


def test_a_value_in_a_message_is_short_however_long_or_deep_it_is() -> None:
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    for value in ("x" * 1_000_000, list(range(10_000)), {str(n): "y" * 1000 for n in range(1000)}, deep):
        assert len(quoted(value)) <= 400


def test_unread_values_are_counted_and_the_first_is_shown() -> None:
    unread = Unread()
    unread.note("kmsKey", 5, "team/app")
    assert str(unread) == "1 value of AWS's response could not be read: kmsKey 5 of 'team/app'"
    for n in range(9):
        unread.note("tag", n, "arn")
    assert str(unread).startswith(
        "10 values of AWS's response could not be read: kmsKey 5 of 'team/app'; tag 0 of 'arn';"
    )
    assert str(unread).endswith("; …")
