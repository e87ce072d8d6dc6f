"""A Superset that has never been started before, as `make bi` starts it, over a few nights of the demo's history."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo import history, rows
from demo.story import NIGHTS
from ecr_audit.catalog import Catalog
from ecr_audit.lake.lake import Lake
from ecr_audit.publish.build import publish
from support.demo_tags import read_image_tags
from support.processes import PATIENCE, free_port, with_the_run
from support.superset import (
    HOSTILE_ACCOUNT,
    HOSTILE_UNIT,
    LONG_ACCOUNT,
    LONG_NAME,
    LONG_OWNER,
    LONG_UNIT,
    OLD_NAME,
    OWNER_TAGS,
    RENAMED_UNIT,
    ROOT,
)
from support.units import unit_id

PYTHON = ROOT / ".venv-superset" / "bin" / "python"
ADMIN = "admin"

TODAY = date(2026, 11, 23)
# The newest, seven days before it, three in a row, which lines need, and the first.
AUDITED = (0, 41, 42, 43, NIGHTS - 8, NIGHTS - 1)


@pytest.fixture(scope="package")
def lake(tmp_path_factory: pytest.TempPathFactory, catalog: Catalog) -> Lake:
    """A few nights of the demo's history, with many units, one that was renamed, and hostile names."""
    found = Lake(str(tmp_path_factory.mktemp("lake")))
    with pytest.MonkeyPatch.context() as patch:
        accounts, repository = rows.account_rows, rows.repository_row
        patch.setattr(history, "account_rows", lambda world, at: (_placed(row, at) for row in accounts(world, at)))
        patch.setattr(history, "repository_row", lambda *given: _with_long_names(repository(*given)))
        history.write_history(found, catalog, TODAY, owner_tags=OWNER_TAGS, nights=AUDITED)
        read_image_tags(found, catalog, owner_tags=OWNER_TAGS)
    return found


def _placed(account: dict[str, Any], at: datetime) -> dict[str, Any]:
    """The account in units of its own, so that there are more than a page of a table or a chart's limit would have."""
    number = account["account_id"][-2:]
    path = f"{account['ou_path']}/Team {number}/Stage {number}"
    changed = {
        HOSTILE_ACCOUNT: {"ou_path": HOSTILE_UNIT},
        LONG_ACCOUNT: {"ou_path": LONG_UNIT, "account_name": LONG_NAME},
    }
    account = account | {"ou_path": path} | changed.get(account["account_id"], {})
    names = account["ou_path"].split("/")
    unit_ids = [unit_id("/".join(names[:depth])) for depth in range(1, len(names) + 1)]
    if at.date() < date(2026, 11, 1):
        account["ou_path"] = account["ou_path"].replace(RENAMED_UNIT, OLD_NAME)
    return account | {"unit_ids": unit_ids, "ou_id": unit_ids[-1]}


def _with_long_names(repository: dict[str, Any]) -> dict[str, Any]:
    if repository["account_id"] != LONG_ACCOUNT:
        return repository
    # ECR's names have at most 256 characters, and so have the values of tags.
    prefix = "r" * (256 - len(repository["repository_name"]))
    return repository | {
        "repository_name": prefix + repository["repository_name"],
        "repository_arn": repository["repository_arn"].replace(":repository/", f":repository/{prefix}"),
        "tags": [("owner", LONG_OWNER)],
    }


@pytest.fixture(scope="package")
def published(lake: Lake, catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published file of the lake."""
    folder = tmp_path_factory.mktemp("publish")
    publish(lake, catalog, folder, owner_tags=OWNER_TAGS)
    # As `make bi` is given it: the name that stays.
    return folder / "compliance.duckdb"


@dataclass(frozen=True)
class Superset:
    """A running Superset: the password that it printed, and a client that has logged in with it."""

    password: str
    client: httpx.Client

    @property
    def address(self) -> str:
        """Where it is served, without a slash at the end."""
        return str(self.client.base_url).rstrip("/")


@pytest.fixture(scope="package")
def superset(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    """Superset, from an empty folder, with the export imported."""
    if not PYTHON.exists():
        pytest.skip("Superset is not installed: `make test-slow` installs it")
    home = tmp_path_factory.mktemp("superset") / "home"
    port = free_port()
    command = with_the_run(PYTHON, ROOT / "bi" / "superset" / "serve.py", published, "--port", str(port))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=home.parent, env=environment | {"SUPERSET_HOME": str(home)}
    ) as server:
        try:
            assert server.stdout is not None
            printed = [server.stdout.readline() for _ in range(3)]
            assert "password" in printed[-1], f"{printed} {(home / 'setup.log').read_text()[-3000:]}"
            password = printed[-1].partition("password ")[2].split()[0]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False) as client:
                _wait_until_it_answers(client)
                login = {"username": ADMIN, "password": password, "provider": "db"}
                token = client.post("/api/v1/security/login", json=login).raise_for_status().json()["access_token"]
                client.headers["Authorization"] = f"Bearer {token}"
                yield Superset(password, client)
        finally:
            server.terminate()


def _wait_until_it_answers(client: httpx.Client) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            client.get("/health").raise_for_status()
            return
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
