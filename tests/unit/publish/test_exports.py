"""The files beside the database: each format has its own, one that fails costs only itself, and the log shows all."""

from __future__ import annotations

import json
import logging
import re
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from ecr_audit.publish import exports, progress
from ecr_audit.publish.build import publish
from ecr_audit.publish.completion import ExportError, complete
from ecr_audit.publish.exports import (
    ASFF,
    BY_DEFAULT,
    CONTROLS,
    EXPORTS,
    OCSF,
    WORKBOOK,
    Source,
    early_exports,
    late_exports,
)
from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.oscal import FRAMEWORKS, file_name
from ecr_audit.publish.publication import CHECKSUMS, DATABASE, NOT_YET
from ecr_audit.publish.published_file import open_published
from ecr_audit.settings import ExportSettings
from support import asff, ocsf, oscal
from support.exported_nights import ALL_FORMATS, export
from support.small_lake import SmallLake

DAY, NEXT_DAY = date(2026, 11, 1), date(2026, 11, 2)


def test_each_format_has_files_of_its_own_and_all_are_published(small_lake: SmallLake, tmp_path: Path) -> None:
    small_lake.night(DAY, repositories=[{}])
    publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=(), options=ALL_FORMATS)
    published = complete(small_lake.lake, tmp_path / "publish", ALL_FORMATS)
    names = [DATABASE, CHECKSUMS]
    for name, write in EXPORTS.items():
        folder = tmp_path / name
        folder.mkdir()
        with open_published(published.database, folder=tmp_path) as database:
            write(Source(database, small_lake.lake, ALL_FORMATS), folder)
        written = [path.name for path in folder.iterdir()]
        assert written, f"{name} has no files"
        names += written
    assert sorted(names) == sorted(path.name for path in published.folder.iterdir())


def fail(source: Source, folder: Path) -> None:
    (folder / "half.csv").touch()
    raise OSError("disk\nfull")


def latest(folder: Path) -> Any:
    return json.loads((folder / "latest.json").read_text("utf-8"))


def require_checksums(folder: Path) -> None:
    """Of every file of the newest version, under the names that stay."""
    version = folder / "versions" / latest(folder)["version"]
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", CHECKSUMS], cwd=folder, check=True)
    named = {line.split("  ")[1] for line in (folder / CHECKSUMS).read_text("utf-8").splitlines()}
    assert named == {path.name for path in version.iterdir()} - {CHECKSUMS}


@pytest.mark.slow
def test_the_workbook_is_added_to_a_publication_that_readers_have(small_lake: SmallLake, tmp_path: Path) -> None:
    folder = tmp_path / "publish"
    for day in (DAY, NEXT_DAY):
        small_lake.night(day, repositories=[{}])
        result = publish(small_lake.lake, small_lake.catalog, folder, owner_tags=())
        assert latest(folder)["missing_exports"] == dict.fromkeys(late_exports(BY_DEFAULT), NOT_YET)
        assert not (folder / WORKBOOK).exists(), "that of the night before would pass for tonight's"
        before = {path: path.read_bytes() for path in result.published.folder.iterdir() if path.name != CHECKSUMS}
        assert PublicationStore(folder).newest() == result.published
        require_checksums(folder)
        completed = complete(small_lake.lake, folder)
        assert PublicationStore(folder).newest() == completed
        assert (completed.version, completed.missing_exports) == (result.published.version, {})
        assert openpyxl.load_workbook(folder / WORKBOOK)["Cover"]["B4"].value.date() == day
        assert {path: path.read_bytes() for path in before} == before
        require_checksums(folder)
    assert complete(small_lake.lake, folder) == completed, "nothing is missing any longer"


def test_only_chosen_formats_are_written(small_lake: SmallLake, tmp_path: Path) -> None:
    small_lake.night(DAY)
    none = ExportSettings(exports=())
    published = publish(
        small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=(), options=none
    ).published
    assert published.missing_exports == {"workbook": NOT_YET}
    assert not {OCSF, CONTROLS} & {path.name for path in published.folder.iterdir()}


# One early and one late, and such that are written by choice; a format of the same kind fails in the same way.
QUICK = ("Parquet", "workbook", "controls", "OSCAL")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in EXPORTS]
)
def test_a_format_that_fails_costs_only_itself(
    name: str, once: Callable[..., None], small_lake: SmallLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, whole = tmp_path / "publish", tmp_path / "whole"

    def audit() -> None:
        small_lake.night(DAY, repositories=[{}])
        publish(small_lake.lake, small_lake.catalog, whole, owner_tags=(), options=ALL_FORMATS)
        complete(small_lake.lake, whole, ALL_FORMATS)

    once(audit)
    all_files = {path.name for path in PublicationStore(whole).newest().folder.iterdir()}
    with monkeypatch.context() as patch:
        patch.setitem(EXPORTS, name, fail)
        result = publish(small_lake.lake, small_lake.catalog, folder, owner_tags=(), options=ALL_FORMATS)
        with pytest.raises(ExportError, match=re.escape(f"has no {name} (OSError: disk full). Everything else is")):
            complete(small_lake.lake, folder, ALL_FORMATS)
        assert latest(folder)["missing_exports"] == {name: "OSError: disk full"}
        found = {path.name for path in result.published.folder.iterdir()}
        assert DATABASE in found < all_files
        require_checksums(folder)
    assert complete(small_lake.lake, folder, ALL_FORMATS).missing_exports == {}
    assert {path.name for path in result.published.folder.iterdir()} == all_files
    require_checksums(folder)


def test_a_format_that_needs_more_memory_gets_more(
    small_lake: SmallLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(source: Source, folder: Path) -> None:
        [(limit,)] = source.database.execute("SELECT current_setting('memory_limit')").fetchall()
        if limit.endswith("MiB"):
            raise duckdb.OutOfMemoryException("too little")
        (folder / "large.txt").touch()

    monkeypatch.setattr(exports, "EXPORTS", {"large": write})
    small_lake.night(DAY)
    publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=())
    assert latest(tmp_path / "publish")["missing_exports"] == {}
    assert (tmp_path / "publish" / "large.txt").exists()


def test_a_format_of_another_version_stays_missing(small_lake: SmallLake, tmp_path: Path) -> None:
    small_lake.night(DAY)
    store = PublicationStore(tmp_path / "publish")
    published = publish(small_lake.lake, small_lake.catalog, store, owner_tags=()).published
    with store.building() as aside:
        store.complete(published, aside, {"SARIF": "not written yet"})
    with pytest.raises(ExportError, match=r"has no SARIF \(not written yet\)"):
        complete(small_lake.lake, store)
    assert store.newest().missing_exports == {"SARIF": "not written yet"}


def test_each_thing_that_is_written_is_logged_as_it_begins_and_ends(
    small_lake: SmallLake, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_lake.scan(DAY, repositories=[{}])
    small_lake.evaluate(DAY)
    caplog.set_level(logging.INFO, progress.__name__)

    monkeypatch.setitem(EXPORTS, "last", fail)
    publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=())
    reported = [
        (re.sub(r"\d+\.\d s", "N s", record.getMessage()), "begins" in vars(record)) for record in caplog.records
    ]
    whole = ["database", *early_exports(BY_DEFAULT)[:-1]]
    pairs = [((f"Writing: {name}", True), (f"Written: {name} (N s)", False)) for name in whole]
    assert reported == [
        *(line for pair in pairs for line in pair),
        ("Writing: last", True),
        ("Not written: last", False),
    ]


def test_files_of_an_older_lake_are_valid(older: SmallLake, tmp_path: Path) -> None:
    folder = export(older, tmp_path / "publish")
    assert ocsf.faults(ocsf.read_lines(folder / OCSF)) == []
    assert [fault for record in ocsf.read_lines(folder / ASFF) for fault in asff.faults(record)] == []
    for framework_id in FRAMEWORKS:
        assert oscal.faults(json.loads((folder / file_name(framework_id)).read_text("utf-8"))) == []
