"""Files that the audit did not publish under the name of one that it did: no reader opens them, or waits for them."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

import ecr_audit
from ecr_audit.alerts.night import night_messages
from ecr_audit.macros import create_published_macros
from ecr_audit.publish import newest, steps
from ecr_audit.publish.dictionary import load_dictionary
from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.postgres import publish_to_postgres
from ecr_audit.publish.published_file import PublishedFileError, open_published
from ecr_audit.publish.summary import print_summary
from ecr_audit.publish.tables import TABLES
from ecr_audit.settings import load_settings
from ecr_audit.web.published import NewestPublication, Unreadable

PROGRAM = Path(ecr_audit.__file__).parents[2]
VERSION = "20261101T030000000000-0123456789ab"
DAY = date(2026, 11, 1)
SECRET = "the content of a credentials file"

QUOTES = 15 * '"'

# Objects that publishing never makes, by their name in the error. Those with {secret} would show a reader's file.
FOREIGN = {
    "view 'findings'": "CREATE VIEW findings AS FROM read_text('{secret}')",
    "view 'publication'": "CREATE VIEW publication AS FROM enable_logging(storage = 'file', storage_path = '/x')",
    "view 'duckdb_views'": "CREATE VIEW duckdb_views AS FROM glob('/etc/*')",
    "view 'a file'": "CREATE VIEW \"a file\" AS FROM '{secret}.csv'",
    "view 'within'": "CREATE VIEW within AS SELECT (SELECT content FROM read_text('{secret}')) AS owner",
    "view 'joined'": "CREATE TABLE t AS SELECT 1 AS i; CREATE VIEW joined AS FROM t, read_text('{secret}')",
    "view 'named (so)'": 'CREATE VIEW "named (so)"(i) AS SELECT 1',
    "view 'first'": "CREATE VIEW first AS FROM read_csv('{secret}.csv'); CREATE VIEW second AS FROM first",
    # Its quotes move what would be taken for its query to the end of its name.
    f"view '{QUOTES}SELECT 1 -- '": f"CREATE VIEW \"{2 * QUOTES}SELECT 1 -- \" AS FROM read_text('{{secret}}')",
    "macro 'count'": "CREATE MACRO count(x) AS 0",
    "macro '||'": "CREATE MACRO \"||\"(a, b) AS (SELECT content FROM read_text('{secret}'))",
    "macro 'duckdb_views'": "CREATE MACRO duckdb_views() AS TABLE SELECT '' AS view_name, TRUE AS internal",
    # By a name of ours: with another definition, another parameter, as a table, or with a second definition.
    "macro 'is_unread'": "CREATE MACRO is_unread(outcome) AS FALSE",
    "macro 'is_collected'": "CREATE MACRO is_collected(outcome, other := 1) AS outcome = 'COLLECTED'",
    "macro 'is_countable'": "CREATE MACRO is_countable(outcome) AS TABLE SELECT content FROM read_text('{secret}')",
    "macro 'has_verdict'": "CREATE MACRO has_verdict(status) AS status IN ('COMPLIANT', 'INCOMPLIANT'), (a, b) AS a",
    "type 'mood'": "CREATE TYPE mood AS ENUM ('good')",
    "schema 'more'": "CREATE SCHEMA more",
    "sequence 'numbers'": "CREATE SEQUENCE numbers",
    "index 'owners'": "CREATE TABLE t (owner VARCHAR); CREATE INDEX owners ON t (owner)",
    "computed column 'owner'": "CREATE TABLE t (a VARCHAR, owner VARCHAR GENERATED ALWAYS AS (lower(a)))",
    "computed column 'day'": "CREATE TABLE t (day DATE DEFAULT current_date)",
}


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a published file, which is not there yet."""
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    store = PublicationStore(tmp_path / "publish")
    with store.building() as aside:
        published = store.add(aside, VERSION, DAY).database
    return published


def hostile(database: Path, sql: str) -> Path:
    secret = database.with_name("credentials")
    secret.write_text(SECRET)
    secret.with_name("credentials.csv").write_text("owner\nsomebody\n")
    with duckdb.connect(database) as connection:
        connection.execute(sql.format(secret=secret))
    return database


def ask_the_pages(database: Path) -> None:
    with NewestPublication(PublicationStore(database.parents[2]).newest).reading():
        pass


READERS: dict[str, Callable[[Path], Any]] = {
    "alerts": lambda database: night_messages(database, 0.95, ""),
    "announce": lambda _: steps.announce(),
    "the terminal": lambda _: print_summary(load_settings(), Console()),
    "PostgreSQL": lambda database: publish_to_postgres(database, "postgresql://", "x", load_dictionary(TABLES)),
    "notebooks": lambda _: ecr_audit.query("FROM findings"),
    "the pages": ask_the_pages,
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_file_holds_tables_views_of_them_and_nothing_else(database: Path, what: str) -> None:
    with pytest.raises(PublishedFileError, match=f"holds the {re.escape(what)}"):
        open_published(hostile(database, FOREIGN[what]))


@pytest.mark.parametrize("reader", READERS)
def test_no_reader_opens_a_hostile_file(database: Path, reader: str) -> None:
    hostile(database, FOREIGN["view 'findings'"])
    with pytest.raises((PublishedFileError, Unreadable), match="holds the view 'findings'") as refused:
        READERS[reader](database)
    assert SECRET not in str(refused.value)


def test_a_view_of_published_tables_is_fine(database: Path) -> None:
    tables = "CREATE TABLE findings AS SELECT 'x' AS owner; CREATE TABLE accounts AS SELECT 'x' AS owner"
    view = "CREATE VIEW open_findings AS SELECT * FROM findings JOIN accounts USING (owner) WHERE upper(owner) <> 'Y'"
    with open_published(hostile(database, f"{tables}; {view}")) as connection:
        assert connection.execute("FROM open_findings").fetchall() == [("x",)]


def test_our_macros_are_fine_and_answer(database: Path) -> None:
    with duckdb.connect(database) as connection:
        connection.execute(
            "CREATE TABLE scan_targets AS SELECT unnest(['COLLECTED', 'FAILED', 'ACCOUNT_INACTIVE']) AS outcome"
        )
        create_published_macros(connection)
    with open_published(database) as connection:
        asked = "SELECT coverage_percent(outcome), list(outcome) FILTER (is_unread(outcome)) FROM scan_targets"
        assert connection.execute(asked).fetchall() == [(50.0, ["FAILED"])]


def test_the_shell_is_not_given_a_hostile_file(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile(database, FOREIGN["view 'findings'"])
    assert newest.main() == 1
    assert capsys.readouterr().out == ""


def an_sqlite_file(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE findings (owner TEXT)")
    connection.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (an_sqlite_file, "is not a DuckDB file"),
        (lambda path: path.write_bytes(b"DUCK"), "is not a DuckDB file"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (Path.mkdir, "not a regular file"),
        (lambda path: None, "No such file"),
    ],
    ids=["SQLite", "short", "pipe", "device", "folder", "missing"],
)
def test_a_file_that_is_not_of_duckdb_is_refused_unread(
    database: Path, make: Callable[[Path], None], message: str
) -> None:
    make(database)
    with pytest.raises(PublishedFileError, match=message):
        open_published(database)


def test_a_confined_session_reaches_no_other_file(database: Path) -> None:
    hostile(database, "CREATE TABLE findings (owner VARCHAR)")
    findings_of_python = __import__("pandas").DataFrame({"owner": ["mine"]})
    with open_published(database) as connection:
        for sql in (
            f"FROM read_text('{database.with_name('credentials')}')",
            "FROM glob('/etc/*')",
            "FROM query('FROM read_text(''/etc/hostname'')')",
            f"ATTACH '{database.with_name('other.duckdb')}'",
            f"COPY findings TO '{database.with_name('copy.csv')}'",
            "LOAD httpfs",
        ):
            with pytest.raises(duckdb.PermissionException):
                connection.execute(sql)
        with pytest.raises(duckdb.InvalidInputException, match="locked"):
            connection.execute("SET enable_external_access = TRUE")
        with pytest.raises(duckdb.CatalogException):
            connection.execute("FROM findings_of_python")
    assert len(findings_of_python) == 1


def test_a_folder_is_all_that_copy_may_write(database: Path, tmp_path: Path) -> None:
    hostile(database, "CREATE TABLE findings (owner VARCHAR)")
    (tmp_path / "out").mkdir()
    with open_published(database, folder=tmp_path / "out") as connection:
        connection.execute(f"COPY findings TO '{tmp_path}/out/findings.csv'")
        with pytest.raises(duckdb.PermissionException):
            connection.execute(f"COPY findings TO '{tmp_path}/out/../findings.csv'")


def test_two_readers_of_one_process_share_a_file(database: Path) -> None:
    hostile(database, "CREATE TABLE findings AS SELECT TIMESTAMPTZ '2026-11-01 03:00:00+00' AS seen")
    with open_published(database) as first, open_published(database) as second:
        assert first.execute("SELECT seen::VARCHAR FROM findings").fetchall() == [("2026-11-01 03:00:00+00",)]
        assert second.cursor().execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]


def test_published_files_are_opened_in_one_place() -> None:
    sources = [path for folder in ("plugins", "bin", "benchmarks", "dags") for path in (PROGRAM / folder).rglob("*.py")]
    found = {path.name: re.findall(r"duckdb\.connect\((?!config=|\))", path.read_text()) for path in sources}
    # Elsewhere: in memory only, or (bin/docs.py) what the program itself has published a moment before.
    assert {name for name, opened in found.items() if opened} == {"published_file.py", "docs.py"}
