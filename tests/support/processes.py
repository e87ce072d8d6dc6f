"""Programs that a test starts beside itself: each in a group of its own, with a log, and ended with the test run."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from support import keeper

# Seconds; far more than any step takes, even on a busy machine. A wait ends as soon as what it waits for is there.
PATIENCE = 600


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of Airflow, of AWS and of the audit."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_", "ECR_"))}


def with_the_run(*command: str | Path) -> list[str]:
    """A command that runs a program which ends when this process does, however it ends. It hands signals on."""
    return [sys.executable, "-S", keeper.__file__, str(os.getpid()), *map(str, command)]


class Processes:
    """Running programs by name. Their logs are `<folder>/<name>.log`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start a program in `folder`; what it writes is added to its log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                with_the_run(*command),
                env=environment,
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """SIGKILL a program and all that it started, as if its machine were lost."""
        process = self._running.pop(name)
        keeper.kill_descendants(process.pid)
        process.kill()
        process.wait()

    def stop(self, *names: str, order: signal.Signals = signal.SIGTERM) -> None:
        """End programs in order, as a stop of their containers does."""
        for name in names:
            self._running[name].send_signal(order)
        for name in names:
            try:
                self._running[name].wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill(name)
            else:
                del self._running[name]

    def kill_all(self) -> None:
        """End everything at once: it is thrown away."""
        for name in list(self._running):
            self.kill(name)

    def pids(self, name: str) -> set[int]:
        """A program's process and all that it started; none when it does not run."""
        process = self._running.get(name)
        return {process.pid, *keeper.descendants(process.pid)} if process else set()

    def wait_for(self, what: str, condition: Callable[[], bool], every: float = 0.2) -> None:
        """Wait until a condition holds; a server that does not answer, or not yet with all, counts as not holding.

        `every`: seconds from one look to the next. Raises TimeoutError with the ends of the logs.
        """
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            # URLError is an OSError, and so are refused and broken connections.
            with contextlib.suppress(OSError, KeyError):
                if condition():
                    return
            time.sleep(every)
        logs = "\n".join(
            f"{path.name}: {path.read_text(errors='replace')[-3000:]}" for path in self.folder.glob("*.log")
        )
        raise TimeoutError(f"{what}: not there after {PATIENCE} s\n{logs}")
