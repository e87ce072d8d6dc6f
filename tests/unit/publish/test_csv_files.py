"""CSV for spreadsheets: nothing in it runs, nothing in it is lost, and what it holds is read as what it is."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from ecr_audit.macros import create_published_macros
from ecr_audit.publish.csv_files import write_csv

TEXTS = [
    *("=1+1", "+49 30", "-legacy-", "@team", "'quoted'", "\t=1", "\n=1", "\r=1", "\0=1", "\x1b=1", "=HYPERLINK", "-1"),
    *("\x85=1", "\u202e=1", "\ufeff=1", "\u200b=1"),
    *("\N{FULLWIDTH EQUALS SIGN}1", "\N{FULLWIDTH COMMERCIAL AT}x"),
    *("plain", " =1", "it's", 'he said "no"', "a,b", "two\nlines", "#1", "zażółć", "", "0123"),
]
# The text in a file for a formula, and for text that begins with an apostrophe of its own.
GUARDED = set(TEXTS[: TEXTS.index("plain")])


@contextmanager
def session() -> Iterator[duckdb.DuckDBPyConnection]:
    """With the macros of a published file."""
    with duckdb.connect() as connection:
        create_published_macros(connection)
        yield connection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_a_text_that_a_spreadsheet_would_run_is_guarded_and_comes_back(path: Path) -> None:
    with session() as connection:
        connection.execute("CREATE TABLE texts AS SELECT unnest($texts) AS text", {"texts": TEXTS})
        write_csv(connection, "texts", path)
    [_, *cells] = [row[0] if row else "" for row in read(path)]
    assert [cell.startswith("'") for cell in cells] == [text in GUARDED for text in TEXTS]
    assert [cell.removeprefix("'") for cell in cells] == TEXTS, "one apostrophe less is the text"


def test_spreadsheets_read_the_values(path: Path) -> None:
    """A time without its zone, a list without brackets, empty for NULL, a mark for UTF-8, and no carriage return."""
    with session() as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        query = """(
            SELECT 7 AS n, -1 AS below, TIMESTAMPTZ '2026-11-23 02:13:04.5+00' AS at, DATE '2026-11-23' AS day,
                TRUE AS yes, ['v*', 'latest'] AS list, NULL::VARCHAR AS nothing, MAP {'a': '=b'} AS pairs
            WHERE $n = 7
        )"""
        write_csv(connection, query, path, {"n": 7})
    assert path.read_bytes().startswith(b"\xef\xbb\xbfn,below,at,")
    assert b"\r" not in path.read_bytes()
    assert read(path) == [
        ["n", "below", "at", "day", "yes", "list", "nothing", "pairs"],
        ["7", "-1", "2026-11-23 02:13:04", "2026-11-23", "true", "v*, latest", "", '{"a":"=b"}'],
    ]


def test_without_rows_there_is_a_header(path: Path) -> None:
    with session() as connection:
        write_csv(connection, "(SELECT 1 AS n, 'x' AS text WHERE FALSE)", path)
    assert read(path) == [["n", "text"]]
