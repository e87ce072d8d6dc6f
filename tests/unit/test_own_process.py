"""A step in a process of its own: its result, its log and its faults are the caller's, and so is its end."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ecr_audit.errors import FinalError
from ecr_audit.own_process import ProcessEndedError, in_own_process


class DriverError(Exception):
    """Cannot be unpickled, as those of ADBC cannot."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)


def give(*values: object) -> tuple[object, ...]:
    return values, os.getpid()


def log_some() -> None:
    logging.getLogger("ecr_audit.some").warning("%d nights are left out", 3)
    logging.getLogger("ecr_audit.other").info("Published")
    logging.getLogger("ecr_audit.other").debug("Too much")


def fail() -> None:
    try:
        raise ValueError("the cause")
    except ValueError as cause:
        raise FinalError("no snapshot") from cause


def fail_as_a_driver() -> None:
    raise DriverError("refused", status=1)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for_ever(place: str) -> None:
    Path(place).write_text(str(os.getpid()), "utf-8")
    signal.pause()


def test_its_result_is_the_callers():
    (values, process) = in_own_process(f"{__name__}:give", "2026-11-01", None)
    assert values == ("2026-11-01", None)
    assert process != os.getpid()


def test_it_holds_nothing_of_its_caller():
    assert in_own_process("builtins:eval", "'pytest' in __import__('sys').modules") is False


def test_its_log_is_the_callers(caplog):
    caplog.set_level(logging.INFO)
    in_own_process(f"{__name__}:log_some")
    assert [(each.name, each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ecr_audit.some", "WARNING", "3 nights are left out"),
        ("ecr_audit.other", "INFO", "Published"),
    ]


def test_its_fault_is_the_callers_and_says_where_it_comes_from():
    with pytest.raises(FinalError) as raised:
        in_own_process(f"{__name__}:fail")
    assert str(raised.value) == "no snapshot"
    [note] = raised.value.__notes__
    assert "in fail" in note
    assert "ValueError: the cause" in note


def test_a_fault_that_cannot_be_sent_is_told():
    with pytest.raises(RuntimeError) as raised:
        in_own_process(f"{__name__}:fail_as_a_driver")
    assert str(raised.value) == "DriverError: refused"


def test_one_that_is_killed_is_told():
    with pytest.raises(ProcessEndedError, match=r":be_killed was ended by signal 9$"):
        in_own_process(f"{__name__}:be_killed")


def test_it_does_not_outlive_a_caller_that_is_killed(tmp_path):
    """As the task's time-out, or somebody who clears it, kills it."""
    place = tmp_path / "its process"
    program = (
        f"from ecr_audit.own_process import in_own_process; in_own_process('{__name__}:wait_for_ever', {str(place)!r})"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", program], env=environment) as caller:
        process = int(wait_for(lambda: place.exists() and place.read_text("utf-8")))
        caller.kill()
    wait_for(lambda: not is_running(process))


def wait_for(condition):
    while not (found := condition()):
        time.sleep(0.01)
    return found


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # its parent is gone, and nobody may care to bury it
