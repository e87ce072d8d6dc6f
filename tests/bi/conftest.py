"""A Superset that has never been started before, as `make bi` starts it, over a few nights of the demo's history."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from ecr_audit.catalog import Catalog
from ecr_audit.demo import history
from ecr_audit.demo.story import NIGHTS
from ecr_audit.lake import Lake
from ecr_audit.publish import publish
from support.processes import free_port
from support.superset import HOSTILE_ACCOUNT, HOSTILE_UNIT, LONG_ACCOUNT, LONG_NAME, LONG_OWNER, LONG_UNIT, ROOT

PYTHON = ROOT / ".venv-superset" / "bin" / "python"
ADMIN = "admin"

TODAY = date(2026, 11, 23)
OWNER_TAGS = ("owner", "team")
# The newest, seven days before it, the bad week, and the first.
AUDITED = (0, 43, NIGHTS - 8, NIGHTS - 1)

# Seconds until Superset has made its database and answers, on a machine that has other things to do.
STARTS_WITHIN = 240


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory, catalog: Catalog) -> Lake:
    """A few nights of the demo's history, with hostile names among them."""
    if os.environ.get("BI_DEV") == "1": return Lake("/tmp/ss/dev/lake")  # DEV
    found = Lake("/tmp/ss/dev/lake" if "BI_DEV" in os.environ else str(tmp_path_factory.mktemp("lake")))  # DEV
    with pytest.MonkeyPatch.context() as patch:
        accounts, repository = history._accounts, history._repository
        patch.setattr(history, "_accounts", lambda *given: map(_with_hostile_names, accounts(*given)))
        patch.setattr(history, "_repository", lambda *given: _with_long_names(repository(*given)))
        history.write_history(found, catalog, TODAY, owner_tags=OWNER_TAGS, nights=AUDITED)
    return found


def _with_hostile_names(account: dict[str, Any]) -> dict[str, Any]:
    changed = {
        HOSTILE_ACCOUNT: {"ou_path": HOSTILE_UNIT},
        LONG_ACCOUNT: {"ou_path": LONG_UNIT, "account_name": LONG_NAME},
    }
    return account | changed.get(account["account_id"], {})


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


@pytest.fixture(scope="session")
def published(lake: Lake, catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if os.environ.get("BI_DEV") == "1": return Path("/tmp/ss/dev/publish/compliance.duckdb")  # DEV
    folder = Path("/tmp/ss/dev/publish") if "BI_DEV" in os.environ else tmp_path_factory.mktemp("publish")
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


@pytest.fixture(scope="session")
def superset(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    """Superset, from an empty folder, with the export imported."""
    if os.environ.get("BI_DEV") == "1":
        import re
        password = re.search(r"password (\S+)", Path("/tmp/ss/serve.log").read_text()).group(1)
        with httpx.Client(base_url="http://127.0.0.1:18088", timeout=60, trust_env=False) as client:
            token = client.post("/api/v1/security/login", json={"username": ADMIN, "password": password, "provider": "db"}).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            yield Superset(password, client)
        return
    if not PYTHON.exists():
        pytest.skip("Superset is not installed: `make test` does it")
    home = tmp_path_factory.mktemp("superset") / "home"
    port = free_port()
    command = [PYTHON, ROOT / "bi" / "superset" / "serve.py", published, "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=home.parent, env=environment | {"SUPERSET_HOME": str(home)}
    ) as server:
        try:
            assert server.stdout is not None
            printed = [server.stdout.readline() for _ in range(3)]
            assert "password" in printed[-1], f"{printed} {(home / 'setup.log').read_text()[-3000:]}"
            password = printed[-1].partition("password ")[2].split()[0]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
                _wait_until_it_answers(client)
                login = {"username": ADMIN, "password": password, "provider": "db"}
                token = client.post("/api/v1/security/login", json=login).raise_for_status().json()["access_token"]
                client.headers["Authorization"] = f"Bearer {token}"
                yield Superset(password, client)
        finally:
            server.terminate()


def _wait_until_it_answers(client: httpx.Client) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            client.get("/health").raise_for_status()
            return
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
