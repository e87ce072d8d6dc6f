"""The data dictionary: complete, in the published file as comments, and the committed page is up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from ecr_audit.lake.schemas import STAGES
from ecr_audit.publish.build import publish
from ecr_audit.publish.dictionary import Column, columns_of, load_dictionary, to_markdown
from ecr_audit.publish.exports import LAKE_VIEWS
from ecr_audit.publish.lake_views import view_dictionary
from ecr_audit.publish.publication import DATABASE
from ecr_audit.publish.tables import TABLES, VIEWS
from ecr_audit.settings import SQL_ROOT
from support.documents import read_yaml
from support.small_lake import SmallLake

PAGE = Path(__file__).parents[3] / "docs" / "data-dictionary.md"

DICTIONARY = load_dictionary(TABLES)


@pytest.fixture
def published(once: Callable[..., None], small_lake: SmallLake, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    def audit() -> None:
        # Two units with one path, as AWS may give them while they are renamed, and both kinds of owner.
        small_lake.scan(
            date(2026, 11, 1),
            accounts=[
                {"ou_path": "Root/Prod", "unit_ids": ["r-test", "ou-test-00000001"]},
                {"account_id": "222222222222", "ou_path": "Root/Prod", "unit_ids": ["r-test", "ou-test-00000002"]},
            ],
            repositories=[{"tags": {"owner": "web"}}, {"account_id": "222222222222"}],
        )
        small_lake.evaluate(date(2026, 11, 1))
        publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=small_lake.owner_tags)

    once(audit)
    with duckdb.connect(tmp_path / "publish" / DATABASE, read_only=True) as database:
        yield database


def test_every_published_table_and_column_has_a_sentence(published: duckdb.DuckDBPyConnection) -> None:
    missing = [
        f"{table}.{name}"
        for table in TABLES
        for name, _ in columns_of(published, table)
        if not DICTIONARY.column(table, name).meaning.endswith(".")
    ]
    assert missing == [], "describe these in sql/dictionary.yaml"
    assert [table for table in TABLES if not DICTIONARY.tables[table].row.endswith(".")] == []


def test_no_meaning_is_cut_short() -> None:
    """Within braces a comma ends a text that is not in quotation marks, and its rest becomes a key."""
    document = read_yaml(SQL_ROOT / "dictionary.yaml")
    columns = [*document["columns"].items()]
    for table, described in document["tables"].items():
        columns += [(f"{table}.{name}", entry) for name, entry in described.get("columns", {}).items()]
    cut = [name for name, entry in columns if not isinstance(entry, str) and entry.keys() != {"meaning", "unit"}]
    cut += [
        name for name, entry in columns if not (entry if isinstance(entry, str) else entry["meaning"]).endswith(".")
    ]
    assert cut == []


def test_every_view_of_the_lake_carries_its_sentences_and_has_a_key(
    published: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    published.execute((tmp_path / "publish" / LAKE_VIEWS).read_text("utf-8"))
    views = view_dictionary()
    assert set(views.tables) == {table.name for stage in STAGES.values() for table in stage}
    comments = dict(
        published.execute("SELECT view_name, comment FROM duckdb_views() WHERE view_name LIKE 'lake_%'").fetchall()
    )
    assert comments == {f"lake_{table}": described.row for table, described in views.tables.items()}
    for table, described in views.tables.items():
        of_view = "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = ?"
        columns = dict(published.execute(of_view, [f"lake_{table}"]).fetchall())
        assert [name for name, meaning in columns.items() if not meaning] == [], table
        assert set(described.key) <= set(columns), table
        if table in TABLES:
            also_published = {name for name, _ in columns_of(published, table)}
            assert columns.keys() - also_published == set(), f"{table}: the same names mean the same"


def every_column(published: duckdb.DuckDBPyConnection, lake_views: Path) -> Iterator[tuple[str, str, str, Column]]:
    """Its schema, name, type and description: tables, views of them, and views of the lake."""
    published.execute(lake_views.read_text("utf-8"))
    for dictionary, prefix in ((load_dictionary(TABLES | VIEWS), ""), (view_dictionary(), "lake_")):
        for table in dictionary.tables:
            for name, kind in columns_of(published, f"{prefix}{table}"):
                yield f"{prefix}{table}", name, kind, dictionary.column(table, name)


def test_the_description_of_a_column_fits_it(published: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """One that is taken from the column of that name elsewhere may be about something else."""
    for table, name, kind, column in every_column(published, tmp_path / "publish" / LAKE_VIEWS):
        counts = kind in ("BIGINT", "INTEGER", "DOUBLE") or kind.startswith("TIMESTAMP")
        assert counts or not column.unit, f"{table}.{name} is a {kind} and has a unit"
        if name == "scope_type":
            types = published.execute(f"SELECT DISTINCT scope_type FROM {table}").fetchall()
            assert [each for (each,) in types if each not in column.meaning] == [], table


def test_no_sentence_is_left_over(published: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """A column that was renamed takes its sentence along."""
    columns = every_column(published, tmp_path / "publish" / LAKE_VIEWS)
    known = {(table.removeprefix("lake_"), name) for table, name, *_ in columns}
    known |= {("", name) for _, name in known}
    assert [column for column in DICTIONARY.columns if column not in known] == []


def test_a_key_names_one_row(published: duckdb.DuckDBPyConnection) -> None:
    for table, described in DICTIONARY.tables.items():
        key = ", ".join(described.key) or "1"
        assert published.execute(f"SELECT {key} FROM {table} GROUP BY ALL HAVING count(*) > 1").fetchall() == [], table


def test_the_file_carries_the_sentences_as_comments(published: duckdb.DuckDBPyConnection) -> None:
    [view] = published.execute("SELECT comment FROM duckdb_views() WHERE view_name = 'open_findings'").fetchall()
    assert view == (load_dictionary(VIEWS).tables["open_findings"].row,)
    tables = dict(published.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall())
    assert tables == {table: described.row for table, described in DICTIONARY.tables.items()}
    for table, name, comment in published.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
    ).fetchall():
        assert comment == str(DICTIONARY.column(table, name)), f"{table}.{name}"


def test_the_committed_page_is_up_to_date(published: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    published.execute((tmp_path / "publish" / LAKE_VIEWS).read_text("utf-8"))
    assert PAGE.read_text(encoding="utf-8") == to_markdown(
        published, load_dictionary(TABLES | VIEWS), view_dictionary()
    ), "run make docs"


def test_a_table_may_describe_a_column_in_its_own_words() -> None:
    assert DICTIONARY.column("frameworks", "name").meaning == "The framework's name."
    assert DICTIONARY.column("findings", "age_days") == Column("From incompliant_start_date to snapshot_date.", "days")
    assert DICTIONARY.column("findings", "nobody_knows").meaning == ""


def test_a_header_gives_row_key_and_notes() -> None:
    changes = DICTIONARY.tables["changes"]
    # Published for all nights, which its header, of one night, does not say.
    assert changes.row.startswith("one row per evaluated snapshot, policy, repository and change")
    assert changes.key == ("snapshot_date", "policy_id", "repository_arn", "change")
    assert "```text\n  new          INCOMPLIANT, and never was before\n" in changes.notes
    assert DICTIONARY.tables["findings"].key == ("policy_id", "repository_arn")
    assert DICTIONARY.tables["publication"].key == ()
