"""A few nights of the demo's history, published once; and a PostgreSQL that is thrown away after the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from ecr_audit.catalog import Catalog
from ecr_audit.demo.history import write_history
from ecr_audit.lake import Lake
from ecr_audit.publish import publish

POSTGRES_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, catalog: Catalog) -> Path:
    """The data folder of a demo: its first nights, some while an account is dark, and the bad week."""
    folder = tmp_path_factory.mktemp("demo")
    lake = Lake(str(folder / "lake"))
    write_history(lake, catalog, date(2026, 11, 23), owner_tags=("owner", "team"), nights=(0, 1, 28, 38, 43, 60))
    publish(lake, catalog, folder / "publish", owner_tags=("owner", "team"))
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URI of an empty PostgreSQL, for this session alone."""
    if not POSTGRES_BINARIES:
        pytest.skip("PostgreSQL's server is not installed (apt-get install postgresql)")
    # Not pytest's folder, which only its user may enter: as root, the server has to be another user's.
    folder = Path(tempfile.mkdtemp(prefix="ecr-audit-postgres-"))
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(folder, "postgres", "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(program: str, *arguments: str) -> None:
        command = [*as_user, str(POSTGRES_BINARIES[-1] / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)

    run("initdb", "--auth=trust", "--username=publisher", "--encoding=UTF8", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
    try:
        run("pg_ctl", "start", "--wait", "-l", str(folder / "log"), "-o", options)
        yield f"postgresql://publisher@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "stop", "-m", "immediate")
        shutil.rmtree(folder)
