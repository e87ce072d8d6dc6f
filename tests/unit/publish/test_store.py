"""Where publications are kept: the newest is found, its path is its own, and old ones go."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.publication import DATABASE, ENDED, NOT_YET, PublicationError, Published, version_of
from ecr_audit.publish.store import newest
from ecr_audit.settings import Settings

DAY = date(2026, 11, 1)
ONE, TWO, THREE = (version_of(datetime(2026, 11, day, tzinfo=UTC), "0123456789ab") for day in (1, 2, 3))


def publish(folder: Path, version: str, content: str | None = None) -> Published:
    store = PublicationStore(folder)
    with store.building() as aside:
        for name in (DATABASE, "findings.csv"):
            (aside / name).write_text(content or version)
        return store.add(aside, version, DAY)


def test_the_newest_has_a_path_of_its_own(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    first = publish(tmp_path / "publish", ONE)
    assert newest(settings) == first
    second = publish(tmp_path / "publish", TWO)
    assert newest(settings) == second
    assert (second.version, second.snapshot_date) == (TWO, DAY)
    assert first.database != second.database
    assert (first.database.read_text(), second.database.read_text()) == (ONE, TWO)


def test_the_names_that_stay_show_the_newest(tmp_path: Path) -> None:
    for version in (ONE, TWO):
        published = publish(tmp_path, version)
        for name in (DATABASE, "findings.csv"):
            assert (tmp_path / name).read_text() == version
            assert (tmp_path / name).samefile(published.folder / name), "no second copy of it"


def test_where_files_cannot_be_linked_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    publish(tmp_path, ONE)
    assert (tmp_path / DATABASE).read_text() == ONE


def test_a_name_that_is_no_longer_published_is_not_among_the_names_that_stay(tmp_path: Path) -> None:
    first = publish(tmp_path, ONE)
    (first.folder / "of_old.csv").touch()
    (tmp_path / "of_old.csv").touch()
    (tmp_path / "of_others.csv").touch()
    publish(tmp_path, TWO)
    assert not (tmp_path / "of_old.csv").exists()
    assert (tmp_path / "of_others.csv").exists()
    assert (first.folder / "of_old.csv").exists(), "a version never changes"


def test_the_one_before_the_newest_stays_and_no_other(tmp_path: Path) -> None:
    for version in (ONE, TWO, THREE):
        publish(tmp_path, version)
    assert sorted(path.name for path in (tmp_path / "versions").iterdir()) == [TWO, THREE]


def test_a_version_that_was_never_made_known_goes_before_one_that_was(tmp_path: Path) -> None:
    publish(tmp_path, ONE)
    (tmp_path / "versions" / TWO).mkdir()
    assert PublicationStore(tmp_path).newest().version == ONE
    publish(tmp_path, THREE)
    assert sorted(path.name for path in (tmp_path / "versions").iterdir()) == [ONE, THREE]


def test_others_may_read_publications(tmp_path: Path) -> None:
    assert publish(tmp_path, ONE).folder.stat().st_mode & 0o777 == 0o755


def test_without_a_publication_the_error_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"ECR_AUDIT_DATA: '.*/publish/compliance.duckdb' is not there"):
        newest(Settings(data=tmp_path))
    with pytest.raises(FileNotFoundError, match=r"ECR_AUDIT_PUBLISH: '.*/elsewhere/compliance.duckdb' is not there"):
        newest(Settings(data=tmp_path, publish=str(tmp_path / "elsewhere")))


def place_elsewhere(folder: Path) -> None:
    (folder / "versions" / ONE).rename(folder.parent / "elsewhere")
    (folder / "versions" / ONE).symlink_to(folder.parent / "elsewhere")


def lose_the_database(folder: Path) -> None:
    (folder / "versions" / ONE / DATABASE).unlink()


def a_pipe(folder: Path) -> None:
    (folder / "latest.json").unlink()
    os.mkfifo(folder / "latest.json")


DAMAGE: dict[str, bytes | Callable[[Path], None]] = {
    "empty": b"",
    "not JSON": b"not JSON",
    "not UTF-8": b'{"version": "\xff"}',
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "huge": b" " * (17 << 20),
    "without a version": b'{"snapshot_date": "2026-11-01"}',
    "an absolute path": b'{"version": "/etc/x", "snapshot_date": "2026-11-01"}',
    "a path upwards": b'{"version": "../x", "snapshot_date": "2026-11-01"}',
    "a version and more": f'{{"version": "{ONE}/../../x", "snapshot_date": "2026-11-01"}}'.encode(),
    "a line break": f'{{"version": "{ONE}\\n", "snapshot_date": "2026-11-01"}}'.encode(),
    "a NUL": f'{{"version": "{ONE}\\u0000", "snapshot_date": "2026-11-01"}}'.encode(),
    "a number": b'{"version": 1, "snapshot_date": "2026-11-01"}',
    "a number as date": f'{{"version": "{ONE}", "snapshot_date": 20000}}'.encode(),
    "no date": f'{{"version": "{ONE}", "snapshot_date": "yesterday"}}'.encode(),
    "a pipe": a_pipe,
    "a link to elsewhere": place_elsewhere,
    "a database that is gone": lose_the_database,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_an_invalid_pointer_is_an_error_and_the_next_publication_replaces_it(tmp_path: Path, damage: str) -> None:
    settings = Settings(data=tmp_path)
    publish(tmp_path / "publish", ONE)
    content = DAMAGE[damage]
    if callable(content):
        content(tmp_path / "publish")
    else:
        (tmp_path / "publish" / "latest.json").write_bytes(content)
    with pytest.raises(PublicationError, match=r"^ECR_AUDIT_DATA: '/.*Run ecr_compliance again") as refused:
        newest(settings)
    assert len(str(refused.value)) < 1000
    publish(tmp_path / "publish", TWO)
    assert newest(settings).version == TWO


def test_a_file_that_nobody_will_add_is_no_longer_called_late(tmp_path: Path) -> None:
    """The task that adds it may be killed, and then leaves no reason."""
    now = datetime.now(UTC)
    late = {"workbook": NOT_YET, "CSV": "No space left on device"}
    store = PublicationStore(tmp_path)
    for ago, reason in ((timedelta(hours=3), NOT_YET), (timedelta(hours=5), ENDED)):
        with store.building() as aside:
            (aside / DATABASE).touch()
            store.add(aside, version_of(now - ago, "0123456789ab"), DAY, late)
        assert store.newest().missing_exports == late | {"workbook": reason}


def test_foreign_files_do_not_stop_a_publication(tmp_path: Path) -> None:
    publish(tmp_path, ONE)
    (tmp_path / "versions" / "notes.txt").touch()
    (tmp_path / "versions" / "link").symlink_to(tmp_path)
    assert publish(tmp_path, TWO).database.exists()
