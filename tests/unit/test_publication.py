"""Where publications are kept: the newest is found, its path is its own, and old ones go."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from ecr_audit.publication import DATABASE, Publications, Published, newest
from ecr_audit.settings import Settings

DAY = date(2026, 11, 1)


def publish(folder: Path, version: str, content: str | None = None) -> Published:
    publications = Publications(folder)
    with publications.building() as aside:
        for name in (DATABASE, "findings.csv"):
            (aside / name).write_text(content or version)
        return publications.add(aside, version, DAY)


def test_the_newest_has_a_path_of_its_own(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    first = publish(tmp_path / "publish", "1")
    assert newest(settings) == first
    second = publish(tmp_path / "publish", "2")
    assert newest(settings) == second
    assert (second.version, second.snapshot_date) == ("2", DAY)
    assert first.database != second.database
    assert (first.database.read_text(), second.database.read_text()) == ("1", "2")


def test_the_names_that_stay_show_the_newest(tmp_path: Path) -> None:
    for version in ("1", "2"):
        published = publish(tmp_path, version)
        for name in (DATABASE, "findings.csv"):
            assert (tmp_path / name).read_text() == version
            assert (tmp_path / name).samefile(published.folder / name), "no second copy of it"


def test_where_files_cannot_be_linked_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    publish(tmp_path, "1")
    assert (tmp_path / DATABASE).read_text() == "1"


def test_what_is_published_no_more_is_no_more_among_the_names_that_stay(tmp_path: Path) -> None:
    first = publish(tmp_path, "1")
    (first.folder / "of_old.csv").touch()
    (tmp_path / "of_old.csv").touch()
    (tmp_path / "of_others.csv").touch()
    publish(tmp_path, "2")
    assert not (tmp_path / "of_old.csv").exists()
    assert (tmp_path / "of_others.csv").exists()
    assert (first.folder / "of_old.csv").exists(), "a version never changes"


def test_the_one_before_the_newest_stays_and_no_other(tmp_path: Path) -> None:
    for version in ("1", "2", "3"):
        publish(tmp_path, version)
    assert sorted(path.name for path in (tmp_path / "versions").iterdir()) == ["2", "3"]


def test_a_version_that_was_never_made_known_goes_before_one_that_was(tmp_path: Path) -> None:
    publish(tmp_path, "1")
    (tmp_path / "versions" / "2").mkdir()
    assert Publications(tmp_path).newest().version == "1"
    publish(tmp_path, "3")
    assert sorted(path.name for path in (tmp_path / "versions").iterdir()) == ["1", "3"]


def test_others_may_read_what_is_published(tmp_path: Path) -> None:
    assert publish(tmp_path, "1").folder.stat().st_mode & 0o777 == 0o755


def test_without_a_publication_the_error_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"ECR_AUDIT_DATA: '.*/publish/compliance.duckdb' is not there"):
        newest(Settings(data=tmp_path))
    with pytest.raises(FileNotFoundError, match=r"ECR_AUDIT_PUBLISH: '.*/elsewhere/compliance.duckdb' is not there"):
        newest(Settings(data=tmp_path, publish=str(tmp_path / "elsewhere")))
