"""Fixtures for tests of several folders: small lakes, a PostgreSQL, and work that is killed in the middle."""

from __future__ import annotations

import ctypes
import gc
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from botocore.loaders import create_loader

import ecr_audit
from ecr_audit.aws.access import use_access
from ecr_audit.catalog import Catalog
from ecr_audit.publish import database, exports
from support import distribution
from support.airflow import migrated_database
from support.keeper import signal_at_end_of_parent
from support.policies import mutability_catalog
from support.processes import Processes, free_port
from support.small_lake import SmallLake

POSTGRES_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
OLDER_LAKES = sorted((Path(__file__).parent / "fixtures").glob("lake-v*"))
# Tests that start a server, and those over each older version of the lake.
SLOW_FIXTURES = {"postgres", "older"}
# Seconds until a test is ended that waits several times for a server.
WITH_A_SERVER_SECONDS = 2400


def pytest_configure() -> None:
    """A process of `pytest -n` ends with the one that it works for, and with it what it started (support/keeper.py)."""
    # Until all tests are collected: half the time of that would go into looking through what stays.
    gc.disable()
    if "PYTEST_XDIST_WORKER" in os.environ:
        signal_at_end_of_parent(signal.SIGKILL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests. Those that take longest begin, so that processes that share the tests end together."""
    for item in items:
        if not distribution.is_quick(item.path) or not SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
        if item.path.parent.name in distribution.WITH_A_SERVER:
            item.add_marker(pytest.mark.timeout(WITH_A_SERVER_SECONDS))
    items.sort(key=lambda item: distribution.place(item.path))


def pytest_collection_finish() -> None:
    """Leave what is loaded by now out of the garbage collection, which is a tenth of the time of the quick tests."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 100)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """See `support.distribution`."""
    return distribution.ByServer(config, log)


@pytest.fixture(autouse=True)
def fresh_access() -> None:
    """A process keeps the session that it once made, and so the environment of that time; a test has one of its own."""
    use_access(None)


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk() -> Iterator[None]:
    """No test cuts the power, and a folder of the tests is not worth keeping."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def api_models_are_read_once() -> Iterator[None]:
    """Every session of botocore would read those of its services again, from files of megabytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", cache(create_loader))
        yield


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return mutability_catalog()


@pytest.fixture(scope="session")
def lake_of() -> type[SmallLake]:
    """Makes a small lake in a folder, of a catalog of its own."""
    return SmallLake


@pytest.fixture
def small_lake(tmp_path: Path, catalog: Catalog) -> SmallLake:
    return SmallLake(tmp_path / "lake", catalog)


@pytest.fixture
def database_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish no file beside the database, and no meanings in it: they take as long as evaluating a small night."""
    monkeypatch.setattr(exports, "EXPORTS", {})
    monkeypatch.setattr(database, "comment_on", lambda *_: None)


@pytest.fixture(params=OLDER_LAKES, ids=lambda path: path.name)
def older(request: pytest.FixtureRequest, small_lake: SmallLake) -> SmallLake:
    """A copy of a lake that an older version wrote, of tests/fixtures."""
    shutil.copytree(request.param, small_lake.lake.root)
    return small_lake


@pytest.fixture(scope="session")
def made_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `once` keeps what was made."""
    return tmp_path_factory.mktemp("once")


@pytest.fixture
def once(made_before: Path, tmp_path: Path) -> Callable[..., None]:
    """Lets a function fill the test's folder: the first time in a session; from then on what it made is copied.

    `given` are the values that it makes it of.
    """

    def fill(make: Callable[[], Any], *given: Any) -> None:
        made_of = repr((make.__module__, make.__qualname__, given))
        kept = made_before / hashlib.sha256(made_of.encode()).hexdigest()
        if kept.exists():
            shutil.copytree(kept, tmp_path, symlinks=True, dirs_exist_ok=True)
        else:
            make()
            shutil.copytree(tmp_path, kept, symlinks=True)

    return fill


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder of all processes of the run, see support/made_once.py."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def airflow_tables(shared: Path) -> Path:
    """A SQLite file with Airflow's tables, to be copied."""
    return migrated_database(shared)


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
    port = free_port()
    processes = Processes(folder)

    def command(program: str, *arguments: str) -> list[str]:
        return [*as_user, str(POSTGRES_BINARIES[-1] / program), *arguments]

    data = ["-D", str(folder / "data")]
    initdb = command("initdb", *data, "--auth=trust", "--username=publisher", "--encoding=UTF8", "--no-sync")
    subprocess.run(initdb, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    options = ["-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    is_ready = command("pg_isready", "--quiet", f"--host={folder}", f"--port={port}")
    try:
        processes.start("postgres", command("postgres", *data, *options))
        processes.wait_for("PostgreSQL", lambda: subprocess.run(is_ready, cwd=folder).returncode == 0)
        yield f"postgresql://publisher@127.0.0.1:{port}/postgres"
    finally:
        processes.stop("postgres", order=signal.SIGQUIT)
        shutil.rmtree(folder)


# Where a change of the disk is looked for: in the library, not in the tests or its dependencies.
PROGRAM = str(Path(ecr_audit.__file__).parent)


@pytest.fixture(scope="session")
def is_killed_after() -> Callable[[int, Path, Callable[[], Any]], bool]:
    """Does some work in a child process, and kills it in the middle; see `_is_killed_after`."""
    return _is_killed_after


def _is_killed_after(changes: int, root: Path, work: Callable[[], Any]) -> bool:
    """Do some work in a child process, killed with SIGKILL after its n-th change below `root`; False: it made fewer.

    Looked for whenever the program, in its main thread, calls anything or is called. So no state of the disk between
    two steps of the program is left out, whatever it comes to do.
    """
    disk = _Changes(root)
    left = changes

    def watch(frame: FrameType, event: str, _: Any) -> None:
        nonlocal left
        called_from = frame.f_back.f_code.co_filename if frame.f_back and event == "call" else ""
        if not (frame.f_code.co_filename.startswith(PROGRAM) or called_from.startswith(PROGRAM)):
            return
        if disk.have_come():
            left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            sys.setprofile(watch)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "The work failed by itself"
    return os.WIFSIGNALED(status)


# linux/inotify.h
_IN_CREATE, _IN_DELETE, _IN_MOVED_FROM, _IN_MOVED_TO = 0x100, 0x200, 0x40, 0x80


class _Changes:
    """Names that come, go or move in a folder, in those below it, and in the one it is in.

    The kernel notes them (inotify): to look at each folder, thousands of times, takes longer than the work.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._notes = self._libc.inotify_init1(os.O_NONBLOCK)
        self._watch()

    def have_come(self) -> bool:
        """Whether there were any since this was last asked."""
        try:
            os.read(self._notes, 1 << 16)
        except BlockingIOError:
            return False
        self._watch()
        return True

    def _watch(self) -> None:
        """Watch every folder that there is now; one that is watched already stays so."""
        kinds = _IN_CREATE | _IN_DELETE | _IN_MOVED_FROM | _IN_MOVED_TO
        for folder in (str(self._root.parent), *(folder for folder, _, _ in os.walk(self._root))):
            self._libc.inotify_add_watch(self._notes, os.fsencode(folder), kinds)
