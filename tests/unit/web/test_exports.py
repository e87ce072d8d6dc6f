"""The files of the publication: each is listed with its size, and comes as it was published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ecr_audit.publish.completion import complete
from ecr_audit.publish.exports import OCSF
from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.web.words import file_size
from support.small_lake import SmallLake


@pytest.fixture(autouse=True)
def pages_read_the_database_alone() -> None:
    """Not here: these pages are about the files beside it."""


@pytest.fixture
def folder_of_files(published: Callable[..., None], small_lake: SmallLake, folder: Path) -> Path:
    """A night with all its files."""
    published(repositories=[{}])
    return complete(small_lake.lake, folder).folder


def test_each_file_is_listed_with_its_size(client: TestClient, folder_of_files: Path) -> None:
    page = client.get("/exports").text
    for file in folder_of_files.iterdir():
        assert f'href="/ecr-audit/exports/{file.name}"' in page, file.name
        assert file_size(file.stat().st_size) in page
    assert "OCSF Compliance Findings" in page


@pytest.mark.parametrize("name", [OCSF, "controls.csv", "compliance.duckdb", "SHA256SUMS"])
def test_a_file_comes_as_it_was_published(client: TestClient, folder_of_files: Path, name: str) -> None:
    answer = client.get(f"/exports/{name}", headers={"Accept-Encoding": "identity"})
    assert answer.content == (folder_of_files / name).read_bytes()
    assert f'filename="2026-11-02-{name}"' in answer.headers["content-disposition"]


def test_no_other_file_comes(client: TestClient, folder_of_files: Path) -> None:
    (folder_of_files.parent / "secret").write_text("secret", encoding="utf-8")
    (folder_of_files / "link.csv").symlink_to("/etc/passwd")
    for name in ("nothing.csv", "../secret", "..%2Fsecret", "%2Fetc%2Fpasswd", ".", ".."):
        answer = client.get(f"/exports/{name}")
        assert answer.status_code == 404 or "secret" not in answer.text, name
    linked = client.get("/exports/link.csv")
    assert linked.status_code == 503 and "root:" not in linked.text


def test_a_missing_format_is_named(
    client: TestClient, published: Callable[..., None], folder: Path, database_alone: None
) -> None:
    published(repositories=[{}])
    store = PublicationStore(folder)
    with store.building() as aside:
        store.complete(store.newest(), aside, {"OCSF": "OSError: disk full"})
    page = client.get("/exports").text
    assert "OCSF: OSError: disk full" in page and "compliance.duckdb" in page and OCSF not in page


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (2_340_000, "2.3 MB"), (5 * 10**9, "5.0 GB")]
)
def test_sizes_are_in_words(count: int, words: str) -> None:
    assert file_size(count) == words
