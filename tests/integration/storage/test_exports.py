"""A file format that is added to EXPORTS: published and checksummed, in a folder and on S3, and gone once left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from ecr_audit.lake.s3 import S3
from ecr_audit.publish.build import publish
from ecr_audit.publish.completion import complete
from ecr_audit.publish.exports import BY_DEFAULT, EXPORTS, WORKBOOK, Source, late_exports
from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.publication import CHECKSUMS
from ecr_audit.publish.s3_store import S3PublicationStore
from support.small_lake import SmallLake

from .conftest import BUCKET, EmulatedS3

DAY = date(2026, 11, 1)
FILE = "findings.jsonl"


def write_json_lines(source: Source, folder: Path) -> None:
    """The format: the findings as JSON, one a line."""
    rows = source.database.execute("SELECT to_json(findings) FROM findings").fetchall()
    (folder / FILE).write_text("".join(f"{finding}\n" for (finding,) in rows), encoding="utf-8")


# A store, and what it holds of a version: the bytes of each file by name.
Place = tuple[PublicationStore | S3PublicationStore, Callable[[str], dict[str, bytes]]]


@pytest.fixture
def in_a_folder(tmp_path: Path) -> Place:
    folder = tmp_path / "publish"

    def read(version: str) -> dict[str, bytes]:
        files, stable = (
            {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}
            for place in (folder / "versions" / version, folder)
        )
        # Under the names that stay are the same files, beside what names the version.
        assert stable.keys() - files.keys() == {"latest.json", ".lock"}
        assert files.items() <= stable.items()
        return files

    return PublicationStore(folder), read


@pytest.fixture
def on_s3(s3: EmulatedS3, tmp_path: Path) -> Place:
    place = S3(f"s3://{BUCKET}/audit/reports")

    def read(version: str) -> dict[str, bytes]:
        prefix = f"versions/{version}/"
        return {name.removeprefix(prefix): place.get(name) or b"" for name in place.names(prefix)}

    return S3PublicationStore(place, tmp_path / "cache"), read


@pytest.mark.parametrize("place", ["in_a_folder", "on_s3"])
def test_a_format_is_a_function_and_an_entry(
    place: str,
    request: pytest.FixtureRequest,
    small_lake: SmallLake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, read = request.getfixturevalue(place)
    small_lake.night(DAY, repositories=[{}, {"repository_name": "other"}])

    def published() -> tuple[dict[str, bytes], dict[str, str]]:
        publish(small_lake.lake, small_lake.catalog, store, owner_tags=())
        assert [*store.newest().missing_exports] == late_exports(BY_DEFAULT)
        completed = complete(small_lake.lake, store)
        assert store.newest() == completed and completed.missing_exports == {}
        files = read(completed.version)
        assert WORKBOOK in files
        assert store.sizes(completed) == {name: len(content) for name, content in files.items()}
        store.fetch(completed, WORKBOOK, tmp_path / "fetched")
        assert (tmp_path / "fetched").read_bytes() == files[WORKBOOK]
        sums = dict(reversed(line.split("  ")) for line in files[CHECKSUMS].decode().splitlines())
        assert sums == {
            name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != CHECKSUMS
        }
        return files, sums

    monkeypatch.setitem(EXPORTS, "JSON lines", write_json_lines)
    files, sums = published()
    findings = [json.loads(line) for line in files[FILE].splitlines()]
    assert {finding["repository_name"] for finding in findings} == {"app", "other"}
    assert FILE in sums

    monkeypatch.delitem(EXPORTS, "JSON lines")
    again, _ = published()
    assert files.keys() - again.keys() == {FILE}
