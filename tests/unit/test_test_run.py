"""A test run that is ended by a signal leaves none of the programs behind that its tests started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import keeper
from support.processes import PATIENCE, Processes, with_the_run

pytestmark = pytest.mark.slow

TESTS = Path(__file__).resolve().parents[1]

# A server with a child, one that has left its session, and one that has left its parent, too.
SERVER = "sleep 900 & setsid sleep 900 & (setsid sleep 900 &) ; exec sleep 900"

PROGRAM = f"""
import subprocess, time
from pathlib import Path
from support.processes import Processes

def test_that_never_ends(postgres):
    processes = Processes(Path.cwd())
    processes.start("server", ["sh", "-c", {SERVER!r}])
    Path("ready").touch()
    time.sleep(900)
"""


def at_work_in(folder: Path) -> set[int]:
    """The processes that work in a folder, or in one below it."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            where = str((process / "cwd").readlink())
            if f"{where}/".startswith(f"{folder}/"):
                found.add(int(process.name))
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user may enter, too."""
    with tempfile.TemporaryDirectory(prefix="ecr-audit-run-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.mark.parametrize(("ending", "processes"), [(signal.SIGTERM, "0"), (signal.SIGKILL, "1")])
def test_processes_of_tests_end_with_the_test_run(folder: Path, ending: signal.Signals, processes: str) -> None:
    """Of one process, and of another that works for it; also PostgreSQL, whose processes are another user's."""
    (folder / "test_it.py").write_text(PROGRAM, encoding="utf-8")
    options = ["-n", processes, "-p", "conftest", "-p", "no:cacheprovider", "--rootdir", str(folder), "-c", os.devnull]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {
        "PYTHONPATH": os.pathsep.join(map(str, (TESTS, TESTS.parent / "plugins", TESTS.parent))),
        "TMPDIR": str(folder),
    }
    with (folder / "log").open("wb") as log:
        run = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, "test_it.py"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            # Should this very run be ended meanwhile.
            preexec_fn=lambda: keeper.signal_at_end_of_parent(signal.SIGKILL),
        )
    wait_until(lambda: (folder / "ready").exists() or run.poll() is not None)
    assert run.poll() is None, (folder / "log").read_text()
    # The run, its server's four processes with what keeps them, and PostgreSQL's.
    assert len(at_work_in(folder)) > 8
    run.send_signal(ending)
    assert run.wait() == -ending
    wait_until(lambda: not at_work_in(folder))


def test_children_of_a_program_end_with_it(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    for end in (processes.stop, processes.kill):
        processes.start("server", ["sh", "-c", SERVER])
        wait_until(lambda: len(at_work_in(tmp_path)) == 5)
        end("server")
        wait_until(lambda: not at_work_in(tmp_path))


def test_it_ends_as_the_program_does() -> None:
    assert subprocess.run(with_the_run("sh", "-c", "exit 3")).returncode == 3
