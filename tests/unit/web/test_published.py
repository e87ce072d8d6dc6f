"""Before the first publication, with a file that cannot be read, and while one publication follows another."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.publication import CHECKSUMS, Published, version_of
from ecr_audit.settings import SettingsError
from ecr_audit.web.app import create_app
from ecr_audit.web.published import NewestPublication, NothingPublished, PublishedDatabase

DAY_1, DAY_2 = date(2026, 11, 1), date(2026, 11, 2)
ONE, TWO = (version_of(datetime(2026, 11, day, tzinfo=UTC), "0123456789ab") for day in (1, 2))

# Pages that need a publication, without any that a page needs to name something.
PAGES = ["/", "/findings", "/findings.csv", "/organization", "/accounts/111111111111", "/coverage"]


def make(folder: Path, version: str) -> None:
    """Publish a file with one table, which names its version."""
    store = PublicationStore(folder)
    with store.building() as aside:
        with duckdb.connect(aside / "compliance.duckdb") as database:
            database.execute("CREATE TABLE publication AS SELECT DATE '2026-11-01' AS snapshot_date")
            database.execute("ALTER TABLE publication ADD COLUMN inventory_run_id VARCHAR")
            database.execute("ALTER TABLE publication ADD COLUMN coverage_percent DOUBLE")
            database.execute("ALTER TABLE publication ADD COLUMN published_at TIMESTAMPTZ")
            database.execute("UPDATE publication SET inventory_run_id = $version", {"version": version})
        store.add(aside, version, DAY_1)


def run_id(publication: PublishedDatabase) -> str:
    return str(publication.rows("snapshot")[0]["inventory_run_id"])


@pytest.mark.parametrize("path", PAGES)
def test_before_the_first_publication_a_page_gives_advice(client: TestClient, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 503
    assert "Nothing has been published yet" in page.text
    assert "ecr_inventory" in page.text
    assert "Traceback" not in page.text


def test_the_first_publication_shows_without_a_restart(client: TestClient, published: Callable[..., None]) -> None:
    assert client.get("/").status_code == 503
    published()
    assert client.get("/").status_code == 200


def test_a_file_that_is_missing_is_named_until_it_is_there(
    client: TestClient, published: Callable[..., None], folder: Path
) -> None:
    published()
    store = PublicationStore(folder)
    for missing in ({"workbook": "OSError: <disk full>"}, {}):
        with store.building() as aside:
            (aside / CHECKSUMS).touch()
            store.complete(store.newest(), aside, missing)
        assert client.get("/api/v1/publication").json()["missing_exports"] == missing
        assert ("workbook: OSError: &lt;disk full&gt;" in client.get("/").text) == bool(missing)


def replaced(place: Callable[[Path], object]) -> Callable[[Path], object]:
    def replace(path: Path) -> None:
        path.unlink()
        place(path)

    return replace


def a_view(path: Path) -> None:
    with duckdb.connect(path) as database:
        database.execute("CREATE VIEW findings AS FROM read_text('/etc/hostname')")


# Things that may be in place of the database, and of latest.json.
DATABASES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "no database": lambda path: path.write_bytes(b"no database at all" * 1000),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "a view": a_view,
    "missing": Path.unlink,
    "a pipe": replaced(os.mkfifo),
    "a folder": replaced(Path.mkdir),
    "a link elsewhere": replaced(lambda path: path.symlink_to("/etc/hostname")),
}
LATEST: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "an empty object": lambda path: path.write_text("{}"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "a path": lambda path: path.write_text('{"version": "/etc", "snapshot_date": "2026-11-01"}'),
    "no date": lambda path: path.write_text(f'{{"version": "{ONE}", "snapshot_date": 1}}'),
    "a pipe": replaced(os.mkfifo),
    "a folder": replaced(Path.mkdir),
}


@pytest.mark.parametrize(
    ("name", "damage"),
    [*((f"versions/{ONE}/compliance.duckdb", each) for each in DATABASES), *(("latest.json", each) for each in LATEST)],
)
@pytest.mark.parametrize("path", ["/", "/api/v1/findings"])
def test_an_unreadable_publication_is_a_clear_answer_without_a_path(
    client: TestClient, folder: Path, caplog: pytest.LogCaptureFixture, name: str, damage: str, path: str
) -> None:
    make(folder, ONE)
    (LATEST if name == "latest.json" else DATABASES)[damage](folder / name)
    page = client.get(path)
    assert page.status_code == 503
    assert "The publication cannot be read" in page.text
    for secret in ("Traceback", str(folder), "/etc", "ECR_AUDIT_"):
        assert secret not in page.text
    assert str(folder) in caplog.text


def test_a_file_of_another_version_of_the_audit_is_reported(client: TestClient, folder: Path) -> None:
    """It opens, but has not the tables that the page asks for."""
    make(folder, ONE)
    page = client.get("/coverage")
    assert page.status_code == 503
    assert "Running ecr_compliance again" in page.text


def test_an_invalid_setting_is_reported() -> None:
    def find() -> Published:
        raise SettingsError("ECR_AUDIT_REGIONS: 'x'")

    page = TestClient(create_app(find, login=[])).get("/")
    assert page.status_code == 503
    assert "A setting of the audit is invalid" in page.text
    assert "ECR_AUDIT_REGIONS" not in page.text, "a value may be a secret: it is in the log"


def test_a_reader_keeps_its_publication_and_the_next_reader_has_the_new_one(folder: Path) -> None:
    newest = NewestPublication(PublicationStore(folder).newest)
    make(folder, ONE)
    with newest.reading() as first:
        assert run_id(first) == ONE
        make(folder, TWO)
        with newest.reading() as second:
            assert run_id(second) == TWO
        # Asked again, not out of the kept answers.
        assert first.part("snapshot", 1, 0)[0]["inventory_run_id"] == ONE
    newest.close()


def test_an_old_publication_is_closed_with_its_last_reader(folder: Path) -> None:
    newest = NewestPublication(PublicationStore(folder).newest)
    make(folder, ONE)
    with newest.reading() as first:
        make(folder, TWO)
        with newest.reading():
            pass
        assert open_files(folder) == {ONE, TWO}
        assert run_id(first) == ONE
    assert open_files(folder) == {TWO}
    newest.close()
    assert open_files(folder) == set()


def open_files(folder: Path) -> set[str]:
    """Versions of which this process has the file open."""
    links = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]  # noqa: PTH115
    return {Path(link).parent.name for link in links if link.startswith(str(folder / "versions"))}


def test_answers_are_kept_until_the_next_publication(
    client: TestClient, pages: FastAPI, published: Callable[..., None]
) -> None:
    published(DAY_1, repositories=[{}])
    with pages.state.published.reading() as publication:
        assert publication.rows("snapshot") is publication.rows("snapshot")
    published(DAY_2, repositories=[{}])
    assert DAY_2.isoformat() in client.get("/").text


def test_no_query_reads_another_file(folder: Path) -> None:
    newest = NewestPublication(PublicationStore(folder).newest)
    make(folder, ONE)
    with newest.reading() as publication, publication.connection(60) as connection:
        with pytest.raises(duckdb.PermissionException):
            connection.execute("FROM read_text('/etc/hostname')")
        with pytest.raises(duckdb.InvalidInputException):
            connection.execute("SET enable_external_access = TRUE")
        with pytest.raises(duckdb.InvalidInputException):
            connection.execute("DELETE FROM publication")
    newest.close()


def test_nothing_published_names_the_setting(folder: Path) -> None:
    with (
        pytest.raises(NothingPublished, match="ECR_AUDIT_DATA"),
        NewestPublication(PublicationStore(folder).newest).reading(),
    ):
        pass


def test_it_is_open_before_anybody_asks_and_closed_at_the_end(pages: FastAPI, folder: Path) -> None:
    make(folder, ONE)
    with TestClient(pages):
        assert open_files(folder) == {ONE}
    assert open_files(folder) == set()


def test_the_server_starts_before_the_first_publication(pages: FastAPI) -> None:
    with TestClient(pages) as client:
        assert client.get("/").status_code == 503
