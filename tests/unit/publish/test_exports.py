"""The files beside the database: each format has its own, and the log shows which is written."""

from __future__ import annotations

import logging
import re
from datetime import date
from pathlib import Path

import pytest

from ecr_audit.publish import progress
from ecr_audit.publish.build import publish
from ecr_audit.publish.exports import EXPORTS, Source
from ecr_audit.publish.publication import CHECKSUMS, DATABASE
from ecr_audit.publish.published_file import open_published
from support.small_lake import SmallLake

DAY = date(2026, 11, 1)


def test_each_format_has_files_of_its_own_and_all_are_published(small_lake: SmallLake, tmp_path: Path) -> None:
    small_lake.night(DAY, repositories=[{}])
    published = publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=()).published
    names = [DATABASE, CHECKSUMS]
    for name, write in EXPORTS.items():
        folder = tmp_path / name
        folder.mkdir()
        with open_published(published.database, folder=tmp_path) as database:
            write(Source(database, small_lake.lake), folder)
        written = [path.name for path in folder.iterdir()]
        assert written, f"{name} has no files"
        names += written
    assert sorted(names) == sorted(path.name for path in published.folder.iterdir())


def test_each_thing_that_is_written_is_logged_as_it_begins_and_ends(
    small_lake: SmallLake, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_lake.scan(DAY, repositories=[{}])
    small_lake.evaluate(DAY)
    caplog.set_level(logging.INFO, progress.__name__)

    def break_off(source: Source, folder: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setitem(EXPORTS, "last", break_off)
    with pytest.raises(OSError, match="disk full"):
        publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=())
    reported = [
        (re.sub(r"\d+\.\d s", "N s", record.getMessage()), "begins" in vars(record)) for record in caplog.records
    ]
    whole = ["database", *list(EXPORTS)[:-1]]
    pairs = [((f"Writing: {name}", True), (f"Written: {name} (N s)", False)) for name in whole]
    assert reported == [*(line for pair in pairs for line in pair), ("Writing: last", True)]
