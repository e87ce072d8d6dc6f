"""Publication: the content of the file, and that it is replaced whole or not at all."""

from __future__ import annotations

import csv
import json
import logging
import re
import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_audit.publish import build as publishing
from ecr_audit.publish import tables
from ecr_audit.publish.build import PublishResult, publish
from ecr_audit.publish.exports import BY_DEFAULT, EXPORTS, early_exports
from ecr_audit.publish.publication import PublicationError, PublishError
from ecr_audit.publish.tables import VIEWS, WITHOUT_CSV
from ecr_audit.warehouse.session import Resources
from ecr_audit.warehouse.statements import WarehouseError
from support.lakes import committed
from support.small_lake import SmallLake

DAY_1, DAY_2 = date(2026, 11, 1), date(2026, 11, 2)

# The published names and types, which readers rely on. What changes there is in CHANGELOG.md, "Published columns".
COLUMNS = json.loads((Path(__file__).parents[2] / "fixtures" / "published_columns.json").read_text("utf-8"))
TABLES = COLUMNS.keys() - VIEWS.keys()


# Not about the files beside the database.
alone = pytest.mark.usefixtures("database_alone")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "publish"


@pytest.fixture
def published(small_lake: SmallLake, folder: Path) -> Callable[..., PublishResult]:
    """Publish; given a day, first scan and evaluate it."""

    def run(day: date | None = None, **scanned: Any) -> PublishResult:
        if day is not None:
            small_lake.night(day, **scanned)
        return publish(small_lake.lake, small_lake.catalog, folder, owner_tags=small_lake.owner_tags)

    return run


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(path, read_only=True) as database:
        return database.execute(sql).fetchall()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The messages of the build itself, whatever else is logged in this process."""
    return [record.getMessage() for record in caplog.records if record.name == publishing.__name__]


def test_every_table_is_in_the_file_and_beside_it(published: Callable[..., PublishResult], folder: Path) -> None:
    publication = published(DAY_1, repositories=[{}])
    names = {name for (name,) in query(publication.database, "SELECT table_name FROM duckdb_tables()")}
    assert names == TABLES
    views = query(publication.database, "SELECT view_name FROM duckdb_views() WHERE NOT internal")
    assert views == [(view,) for view in VIEWS]
    assert query(publication.database, "FROM open_findings") == query(
        publication.database, "FROM findings WHERE policy_id LIKE '%mutability'"
    )
    for name in TABLES:
        [(rows,)] = query(publication.database, f"SELECT count(*) FROM {name}")
        assert rows == publication.rows[name]
        assert duckdb.read_parquet(str(folder / f"{name}.parquet")).shape[0] == rows
        if name in WITHOUT_CSV:
            assert not (folder / f"{name}.csv").exists()
            continue
        with (folder / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
            assert len(list(csv.DictReader(file))) == rows


def test_published_columns_stay_as_they_are(published: Callable[..., PublishResult]) -> None:
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in query(
        published(DAY_1, repositories=[{}]).database,
        """
        SELECT table_name, column_name, data_type
        FROM duckdb_columns()
        WHERE NOT internal
        ORDER BY table_name, column_index
        """,
    ):
        found.setdefault(table, {})[column] = kind
    assert {name: list(columns.items()) for name, columns in found.items()} == {
        name: list(columns.items()) for name, columns in COLUMNS.items()
    }


def test_the_newest_snapshot_is_published_and_the_history_of_sections(published: Callable[..., PublishResult]) -> None:
    published(DAY_1, repositories=[{}])
    path = published(DAY_2, repositories=[{"image_tag_mutability": "IMMUTABLE"}]).database
    for table in ("repositories", "accounts", "scan_targets", "policy_output", "coverage", "account_compliance"):
        assert query(path, f"SELECT DISTINCT snapshot_date FROM {table}") == [(DAY_2,)]
    assert query(path, "SELECT change FROM changes ORDER BY ALL") == [("fixed",), ("fixed",)]
    assert query(
        path,
        """
        SELECT snapshot_date, framework_name, section_title, compliance_percent
        FROM section_compliance
        WHERE section_id = '/frameworks/aws-fsbp-v1.0.0/ecr/02' AND scope_type = 'organization'
        ORDER BY snapshot_date
        """,
    ) == [
        (
            day,
            "AWS Foundational Security Best Practices v1.0.0",
            "[ECR.2] ECR private repositories should have tag immutability configured",
            percent,
        )
        for day, percent in ((DAY_1, 0.0), (DAY_2, 100.0))
    ]


@alone
def test_the_publication_names_its_sources(small_lake: SmallLake, published: Callable[..., PublishResult]) -> None:
    target = {"account_id": "111111111111", "region": "us-east-1", "outcome": "FAILED"}
    path = published(DAY_1, repositories=[{}], scan_targets=[target]).database
    [row] = query(
        path,
        "SELECT snapshot_date, inventory_commit, compliance_commit, coverage_percent, policy_hashes FROM publication",
    )
    commits = [committed(small_lake.lake, stage, DAY_1).commit_id for stage in ("inventory", "compliance")]
    hashes = {policy.id: policy.hash for policy in small_lake.catalog.policies}
    assert row == (DAY_1, *commits, 50.0, hashes)


@pytest.mark.slow
@alone
def test_a_past_night_is_published_as_it_was(
    small_lake: SmallLake, published: Callable[..., PublishResult], tmp_path: Path
) -> None:
    def contents(database: Path) -> dict[str, Any]:
        columns = {"publication": "* EXCLUDE (published_at)"}
        return {name: query(database, f"SELECT {columns.get(name, '*')} FROM {name} ORDER BY ALL") for name in TABLES}

    then = contents(published(DAY_1, repositories=[{}, {"repository_name": "old"}]).database)
    published(DAY_2, repositories=[{"image_tag_mutability": "IMMUTABLE"}])
    lake, catalog = small_lake.lake, small_lake.catalog
    assert contents(publish(lake, catalog, tmp_path / "as-of", owner_tags=("owner",), as_of=DAY_1).database) == then


@alone
def test_a_past_night_that_is_not_there_is_refused_by_name(
    small_lake: SmallLake, published: Callable[..., PublishResult], tmp_path: Path
) -> None:
    for day in (DAY_1, DAY_2):
        published(day, repositories=[{}])
    faults = {
        date(2026, 10, 31): "no snapshot has been evaluated by 2026-10-31; the first is of 2026-11-01",
        date(2026, 11, 9): "no snapshot of 2026-11-09 has been evaluated; the one before it is of 2026-11-02",
        DAY_1: "2026-11-01: this night was thinned",
    }
    small_lake.lake.thin_snapshot(DAY_1)
    for day, fault in faults.items():
        with pytest.raises(PublishError, match=re.escape(fault)):
            publish(small_lake.lake, small_lake.catalog, tmp_path / "as-of", owner_tags=(), as_of=day)


def test_a_copy_of_a_version_can_be_checked(published: Callable[..., PublishResult], folder: Path) -> None:
    published(DAY_1, repositories=[{}])
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    checked = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    version = next((folder / "versions").iterdir())
    named = {line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text("utf-8").splitlines()}
    assert named == {path.name for path in version.iterdir()} - {"SHA256SUMS"}


@pytest.mark.parametrize(
    ("details", "row"),
    [
        (
            {
                "missing_accounts": ["999999999999"],
                "missing_regions": [],
                "left_out_accounts": [],
                "left_out_regions": ["eu-west-3"],
            },
            (["999999999999"], [], [], ["eu-west-3"]),
        ),
        # A night of an older version: not known.
        ({}, (None, None, None, None)),
    ],
)
@alone
def test_the_publication_has_accounts_and_regions_that_are_missing_or_left_out(
    published: Callable[..., PublishResult], details: Any, row: Any
) -> None:
    path = published(DAY_1, repositories=[{}], details=details).database
    columns = "missing_accounts, missing_regions, left_out_accounts, left_out_regions"
    assert query(path, f"SELECT {columns} FROM publication") == [row]


@alone
def test_the_file_opens_with_older_drivers(published: Callable[..., PublishResult]) -> None:
    path = published(DAY_1).database
    with duckdb.connect(path, read_only=True) as database:
        [(tags,)] = database.execute(
            "SELECT tags FROM duckdb_databases() WHERE database_name = 'compliance'"
        ).fetchall()
    assert tags["storage_version"].startswith("v1.2.0")


@alone
def test_a_reader_keeps_the_file_it_opened(published: Callable[..., PublishResult], folder: Path) -> None:
    published(DAY_1, repositories=[{}])
    path = folder / "compliance.duckdb"
    with path.open("rb") as reader:
        inode = path.stat().st_ino
        before = reader.read(100)
        published(DAY_2)
        assert path.stat().st_ino != inode
        reader.seek(0)
        assert reader.read(100) == before


def test_text_that_a_spreadsheet_would_run_is_defused_in_csv_only(
    published: Callable[..., PublishResult], folder: Path
) -> None:
    names = ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\n=1", "\r=1", "shop", "a=b", "'"]
    accounts = [{"account_id": f"{number:012}", "account_name": name} for number, name in enumerate(names)]
    path = published(DAY_1, accounts=accounts).database
    assert [name for (name,) in query(path, "SELECT account_name FROM accounts ORDER BY account_id")] == names
    with (folder / "accounts.csv").open(encoding="utf-8-sig", newline="") as file:
        shown = [row["account_name"] for row in csv.DictReader(file)]
    assert shown == ["'=1+1", "'+1", "'-1", "'@SUM(1)", "'\t=1", "'\n=1", "'\r=1", "shop", "a=b", "''"]


def test_without_an_evaluated_snapshot_there_is_nothing_to_publish(
    small_lake: SmallLake, published: Callable[..., PublishResult]
) -> None:
    small_lake.scan(DAY_1)
    with pytest.raises(PublishError, match=r"no snapshot has been evaluated yet"):
        published()


@alone
def test_verdicts_on_another_inventory_are_refused(
    small_lake: SmallLake, published: Callable[..., PublishResult]
) -> None:
    path = published(DAY_1, repositories=[{}]).database
    small_lake.scan(DAY_1)
    with pytest.raises(
        PublishError, match=r"2026-11-01: its repositories were scanned again .* Evaluate that date again"
    ):
        published()
    assert query(path, "SELECT count(*) FROM repositories") == [(1,)]


@pytest.mark.slow
@alone
def test_a_history_that_was_evaluated_again_is_refused(
    small_lake: SmallLake, published: Callable[..., PublishResult]
) -> None:
    published(DAY_1)
    published(DAY_2)
    small_lake.evaluate(DAY_1)
    with pytest.raises(PublishError, match=r"Evaluate 2026-11-02 and all later dates again, in order"):
        published()
    small_lake.evaluate(DAY_2)
    assert published().snapshot_date == DAY_2


@pytest.mark.slow
def test_a_run_that_breaks_off_leaves_the_old_files_whole(
    small_lake: Any,
    published: Callable[..., PublishResult],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published(DAY_1, repositories=[{}])
    before = files(folder)
    small_lake.night(DAY_2)

    def break_off(*_: Any) -> None:
        raise KeyboardInterrupt

    for step in ("build_database", "verified_rows", *early_exports(BY_DEFAULT), "write_checksums"):
        with monkeypatch.context() as patch:
            if step in EXPORTS:
                patch.setitem(EXPORTS, step, break_off)
            else:
                patch.setattr(publishing, step, break_off)
            with pytest.raises(KeyboardInterrupt):
                published()
        assert files(folder) == before, step


@pytest.mark.slow
@pytest.mark.parametrize(
    ("few", "reported"), [(1, ["DuckDB cannot publish this within 1MB: retrying with 2GB"]), (0, [])]
)
def test_tables_that_need_more_memory_get_more(
    published: Callable[..., PublishResult],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    few: int,
    reported: list[str],
) -> None:
    """Many repositories get all at once."""
    expected = published(DAY_1, repositories=[{}])
    names = {path.name for path in expected.published.folder.iterdir()}
    monkeypatch.setattr(publishing, "LEAN_MEGABYTES", 1)
    monkeypatch.setattr(publishing, "FEW_REPOSITORIES", few)
    caplog.set_level(logging.INFO, publishing.__name__)
    again = published()
    assert again.rows == expected.rows
    assert {path.name for path in again.published.folder.iterdir()} == names
    assert messages(caplog) == reported


@pytest.mark.parametrize(
    ("repositories", "ended", "megabytes"),
    [(100_000, 0, 200), (300_000, 0, 400), (34_000, 1_500_000, 350), (300_000, 1_500_000, 550), (1, 90_000_000, 2_000)],
)
def test_the_first_try_has_memory_in_step_with_the_rows(repositories: int, ended: int, megabytes: int) -> None:
    assert publishing.lean_megabytes(repositories, ended) == megabytes


def test_the_first_try_never_has_more_memory_than_the_second() -> None:
    assert Resources.memory == f"{publishing.MOST_MEGABYTES // 1000}GB"


@alone
def test_another_fault_is_not_met_twice(
    published: Callable[..., PublishResult], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(tables.TABLES, "findings", "FROM nowhere")
    caplog.set_level(logging.INFO, publishing.__name__)
    with pytest.raises(WarehouseError, match="nowhere"):
        published(DAY_1)
    assert messages(caplog) == []


@alone
def test_remains_of_a_killed_run_are_removed(published: Callable[..., PublishResult], folder: Path) -> None:
    leftover = folder / ".publishing-killed"
    leftover.mkdir(parents=True)
    (leftover / "compliance.duckdb").write_bytes(b"half")
    published(DAY_1)
    assert not leftover.exists()
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == [".lock"]


@alone
def test_a_file_with_other_rows_than_the_lake_is_not_published(
    published: Callable[..., PublishResult], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tables.TABLES, "accounts", "FROM lake.accounts WHERE FALSE")
    with pytest.raises(PublishError, match=r"accounts has 0 rows, not 1"):
        published(DAY_1)
    assert not (folder / "compliance.duckdb").exists()


def test_a_folder_that_cannot_be_written_is_named(small_lake: SmallLake, tmp_path: Path) -> None:
    small_lake.night(DAY_1)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PublicationError, match=r"ECR_AUDIT_DATA: '.*/file/publish' cannot be written"):
        publish(small_lake.lake, small_lake.catalog, tmp_path / "file" / "publish", owner_tags=())


@alone
def test_moves_of_image_tags_are_those_of_kept_nights_up_to_the_evaluated_one(
    small_lake: SmallLake, folder: Path
) -> None:
    """Image tags are read after each night: the newest, b to c, is of a night that the verdicts do not know yet."""
    days = [DAY_1 + timedelta(days=number) for number in range(4)]
    for day, digest in zip(days, ("a", "b", "a", "c"), strict=True):
        small_lake.night(day, repositories=[{}], image_tags=[{"tags": {"latest": digest}}])

    def moves(**options: Any) -> list[tuple[Any, ...]]:
        path = publish(small_lake.lake, small_lake.catalog, folder, owner_tags=(), **options).database
        assert query(path, "SELECT image_tags_date, previous_image_tags_date FROM publication") == [(days[2], days[1])]
        return query(path, "SELECT snapshot_date, new_digest, kind FROM tag_moves ORDER BY ALL")

    assert moves() == [(days[1], "b", "moved"), (days[2], "a", "moved_back")]
    assert moves(retention_days=1) == [(days[2], "a", "moved_back")]
