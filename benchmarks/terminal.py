"""Cost of the audit beside Airflow's own: `python benchmarks/terminal.py` (some minutes).

`make audit` again, on the data and the database that it left, against an empty DAG of as many tasks; both are run by
dag.test(). And the process of each step: up to the step's first line, against one that imports duckdb and pyarrow; and
to its end. All are seconds of CPU, of a program and all that it starts, since other programs may be using the machine.

`--before COMMIT` measures that commit as well, in turn with the files that are here.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from measuring import ROOT, print_table, terminal_environment

# Audited by one `make audit`.
NIGHTS = 2

STEPS = ("compliance.steps:evaluate", "compliance.steps:roll_up", "publish.steps:publish")

_FLOOR = "import duckdb, pyarrow, time; print(time.process_time())"

# In the process of a step, as in_own_process starts it: the step is imported, but not run.
_FIRST_LINE = "(__import__('pkgutil').resolve_name({step!r}), __import__('time').process_time())[1]"

# Runs a step in its own process; prints its CPU seconds.
_WHOLE = """
import resource, sys
from ecr_audit.own_process import in_own_process

in_own_process(sys.argv[1], *eval(sys.argv[2]))
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime)
"""


class Version:
    """A checkout of the project, with a data folder and a database of Airflow of its own."""

    def __init__(self, name: str, root: Path, folder: Path) -> None:
        self.name = name
        self._root = root
        self._home = folder / "airflow"
        self._log = folder / "log.txt"
        folder.mkdir()
        self._environment = terminal_environment(folder, root)

    def audit(self) -> tuple[float, int]:
        """CPU seconds of `make audit`, and how many tasks it ran."""
        return self._cpu("bin/audit.py", "demo"), NIGHTS * self._tasks_of_a_night()

    def empty(self, tasks: int) -> float:
        """CPU seconds of an empty DAG of N tasks, on the same database."""
        file = ROOT / "benchmarks" / "empty_dag" / "empty.py"
        return self._cpu(str(file), EMPTY_TASKS=str(tasks), AIRFLOW__CORE__DAGS_FOLDER=str(file.parent))

    def first_line(self, step: str) -> float:
        """CPU seconds of a step's own process up to its first line."""
        code = _FIRST_LINE.format(step=f"ecr_audit.{step}")
        call = f"from ecr_audit.own_process import in_own_process; print(in_own_process('builtins:eval', {code!r}))"
        return float(self._output("-c", call))

    def whole(self, step: str) -> float:
        """CPU seconds of a step's own process from start to end, on the newest snapshot."""
        [newest] = sorted(Path(self._environment["ECR_AUDIT_DATA"]).glob("lake/_commits/inventory/*.json"))[-1:]
        arguments: tuple[Any, ...] = (newest.stem, []) if step.endswith("evaluate") else (newest.stem,)
        return float(self._output("-c", _WHOLE, f"ecr_audit.{step}", repr(arguments)))

    def _tasks_of_a_night(self) -> int:
        # dag.test() replaces the run before: those of the last night are left.
        with sqlite3.connect(self._home / "airflow.db") as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM task_instance WHERE dag_id LIKE 'ecr_%'").fetchall()
        return int(count)

    def _cpu(self, *words: str, **environment: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with self._log.open("ab") as log:
            done = subprocess.run(
                [sys.executable, *words], cwd=self._root, env=self._environment | environment, stdout=log, stderr=log
            )
        if done.returncode:
            raise SystemExit(f"{' '.join(words)} failed:\n{self._log.read_text()[-3000:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def _output(self, *words: str) -> str:
        command = [sys.executable, *words]
        return subprocess.run(
            command, cwd=self._root, env=self._environment, check=True, capture_output=True, text=True
        ).stdout


def floor() -> float:
    """CPU seconds of a process that has imported duckdb and pyarrow."""
    return float(subprocess.run([sys.executable, "-c", _FLOOR], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", metavar="COMMIT")
    parser.add_argument(
        "--rounds", type=int, default=3, help="of make audit; a process is measured three times as often"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        versions = [Version("here", ROOT, Path(folder, "here"))]
        if options.before:
            versions.insert(
                0, Version(options.before, _files_of(options.before, Path(folder, "files")), Path(folder, "before"))
            )
        _compare_audits(versions, options.rounds)
        print()
        _compare_processes(versions, 3 * options.rounds)


def _compare_audits(versions: list[Version], rounds: int) -> None:
    for version in versions:
        version.audit()  # makes the database and the first data
    runs: dict[str, list[tuple[float, int, float]]] = {version.name: [] for version in versions}
    for _ in range(rounds):
        for version in versions:
            seconds, tasks = version.audit()
            runs[version.name].append((seconds, tasks, version.empty(tasks)))
    rows = []
    for name, its_runs in runs.items():
        audits, tasks_of_all, empties = zip(*its_runs, strict=True)
        audit, empty = median(audits), median(empties)
        rows.append((name, tasks_of_all[0], audit, empty, audit / empty))
    print_table(("version", "tasks", "make audit again, CPU s", "empty DAG, CPU s", "ratio"), rows)


def _compare_processes(versions: list[Version], rounds: int) -> None:
    floors: list[float] = []
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        floors.append(floor())
        for version in versions:
            for step in STEPS:
                found.setdefault((version.name, step), []).append((version.first_line(step), version.whole(step)))
    least = median(floors)
    rows: list[tuple[Any, ...]] = [("-", "import duckdb, pyarrow", least, 1.0, "-")]
    for (name, step), seconds in found.items():
        first, whole = (median(each) for each in zip(*seconds, strict=True))
        rows.append((name, step.partition(":")[2], first, first / least, whole))
    print_table(("version", "process", "to its first line, CPU s", "ratio", "to its end, CPU s"), rows)


def _files_of(commit: str, folder: Path) -> Path:
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


if __name__ == "__main__":
    main()
