"""The pages over a small lake that a test fills by hand, asked without a server; whoever asks is logged in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ecr_audit.publish.build import publish
from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.publication import Published
from ecr_audit.web.app import begin, create_app
from ecr_audit.web.urls import PREFIX
from support.small_lake import SmallLake

DAY = date(2026, 11, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where is published."""
    return tmp_path / "publish"


@pytest.fixture(autouse=True)
def pages_read_the_database_alone(database_alone: None) -> None:
    """So that no test of a page waits for a workbook."""


@pytest.fixture
def published(once: Callable[..., None], small_lake: SmallLake, folder: Path, tmp_path: Path) -> Callable[..., None]:
    """Scan and evaluate a night of the given rows (see SmallLake.scan), and publish it.

    Tests that begin with the same night share it.
    """

    def night(day: date = DAY, **rows: Any) -> None:
        def audit() -> None:
            small_lake.night(day, **rows)
            publish(small_lake.lake, small_lake.catalog, folder, owner_tags=small_lake.owner_tags)

        if any(tmp_path.iterdir()):
            audit()
        else:
            once(audit, day, rows, small_lake.owner_tags, small_lake.waivers.to_pylist(), small_lake.waivers_unread)

    return night


@pytest.fixture(scope="session")
def application() -> FastAPI:
    """One for all tests: to make its routes takes longer than most tests of a page."""
    return create_app(_nothing, login=[])


def _nothing() -> Published:
    raise FileNotFoundError


@pytest.fixture
def pages(application: FastAPI, folder: Path) -> Iterator[FastAPI]:
    """The application."""
    begin(application, PublicationStore(folder).newest)
    yield application
    application.state.published.close()


@pytest.fixture
def client(pages: FastAPI) -> TestClient:
    """Asks the pages, mounted as Airflow mounts them: `client.get("/findings")`."""
    outer = FastAPI()
    outer.mount(PREFIX, pages)
    return TestClient(outer, base_url=f"http://testserver{PREFIX}", raise_server_exceptions=False)
