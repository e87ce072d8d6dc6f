"""Shared by the benchmarks: an emulated AWS in a process of its own, steps measured in another, and tables.

Every process is a fresh one, so that its peak of memory and its CPU time are its own.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "plugins"), str(ROOT)]

from demo.emulated_aws.faults import Delay, Fault, Faults  # noqa: E402
from demo.emulated_aws.identities import HUB_ACCESS_KEY_ID, HUB_SECRET_ACCESS_KEY  # noqa: E402
from demo.emulated_aws.server import EmulatedAws  # noqa: E402
from demo.emulated_aws.world import World  # noqa: E402

_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Seen:
    """The calls that the emulated AWS has seen so far. `operations`: calls by "service:Operation". For the times see
    `Counters`."""

    operations: Counter[str]
    connections: int
    max_in_flight: int
    first_called: dict[str, float]
    answered_at: float

    @property
    def calls(self) -> int:
        return self.operations.total()


class Aws:
    """An emulated AWS in another process."""

    def __init__(self, pipe: Connection, endpoint_url: str, pid: int) -> None:
        self._pipe = pipe
        self.endpoint_url = endpoint_url
        self.pid = pid

    def seen(self) -> Seen:
        self._pipe.send("seen")
        seen: Seen = self._pipe.recv()
        return seen

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which a program is the hub of this AWS, and reaches no other."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": HUB_ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": HUB_SECRET_ACCESS_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }


@contextmanager
def emulated_aws(world: Callable[[], World], *, latency: float = 0.0, faults: Sequence[Fault] = ()) -> Iterator[Aws]:
    """Serve a world; every answer takes `latency` seconds longer than the emulation does. `world` must be picklable."""
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(world, latency, faults, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Aws(ours, ours.recv(), process.pid or 0)
    finally:
        process.terminate()
        process.join()


def _serve(world: Callable[[], World], latency: float, faults: Sequence[Fault], pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    delays = [Fault(Delay(latency))] if latency else []
    with EmulatedAws(world(), Faults([*faults, *delays])) as aws:
        gc.freeze()  # a look through the whole world for garbage would be a latency of its own
        pipe.send(aws.endpoint_url)
        while pipe.recv():
            counters = aws.counters
            pipe.send(
                Seen(
                    Counter(counters.operations),
                    counters.connections,
                    counters.max_in_flight,
                    dict(counters.first_called),
                    counters.answered_at,
                )
            )


def terminal_environment(folder: Path, root: Path = ROOT) -> dict[str, str]:
    """The environment of bin/audit.py as the Makefile of a checkout sets it, with data and a database in a folder."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "ECR_AUDIT_", "AIRFLOW"))}
    return {
        **kept,
        "ECR_AUDIT_DATA": str(folder / "data"),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": os.pathsep.join([str(root / "plugins"), str(root)]),
    }


@dataclass(frozen=True)
class Cost:
    """The cost of a step: seconds by the clock and of CPU, and the process's peak of memory in MB."""

    result: Any
    wall: float
    cpu: float
    peak_mb: float


def in_fresh_process(aws: Aws, function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function, run in a process of its own as the hub of an emulated AWS."""
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_run, args=(aws.environment, function, arguments, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        raise SystemExit(f"{function.__name__} failed") from None
    finally:
        process.join()


def _run(
    environment: dict[str, str], function: Callable[..., Any], arguments: tuple[Any, ...], pipe: Connection
) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "ECR_AUDIT_")):
            del os.environ[name]
    os.environ.update(environment)
    pipe.send(function(*arguments))


def measure(function: Callable[..., Any], *arguments: Any) -> Cost:
    """Run a function in this process, and return its cost."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return Cost(result, time.perf_counter() - wall, time.process_time() - cpu, peak_mb("self"))


def peak_mb(pid: int | str) -> float:
    """The most memory that a process has held so far, in MB (VmHWM of proc(5)); 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a Markdown table: text to the left, numbers to the right."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(len(line[n]) for line in [list(headings), *texts]) for n in range(len(headings))]
    right = [any(not isinstance(row[n], str) for row in rows) for n in range(len(headings))]

    def line(cells: Sequence[str]) -> str:
        aligned = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
        return "| " + " | ".join(aligned) + " |"

    print(line(headings))
    print("|" + "|".join("-" * (w + 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)) + "|")
    for cells in texts:
        print(line(cells), flush=True)


def _text(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:,.2f}" if cell < 100 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
