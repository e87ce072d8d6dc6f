"""Runs a program for as long as the test run lives: `python keeper.py <pid of the test run> <program> <arguments>…`.

A test run that is ended by a signal ends no program that it started, since no fixture gets to do so. This process gets
a signal from the kernel, and ends the program and all that it started, detached processes included.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path
from types import FrameType

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

ORDERS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def signal_at_end_of_parent(number: signal.Signals) -> None:
    """Have this process sent a signal when the thread that started it ends."""
    _prctl(_PR_SET_PDEATHSIG, number)


def descendants(pid: int) -> list[int]:
    """All processes that a process has started, and theirs."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, children.read_text().split()):
                found += [child, *descendants(child)]
    return found


def kill_descendants(pid: int) -> None:
    """SIGKILL all that a process has started. They are halted first, so that none gets to start another."""
    halted: set[int] = set()
    while new := set(descendants(pid)) - halted:
        for each in new:
            _send(each, signal.SIGSTOP)
        halted |= new
    for each in halted:
        _send(each, signal.SIGKILL)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _end(*_: object) -> None:
    kill_descendants(os.getpid())
    os._exit(1)


def _main(test_run: int, command: list[str]) -> None:
    # Processes that the program leaves behind become this process's children.
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGUSR1, _end)
    signal_at_end_of_parent(signal.SIGUSR1)
    if os.getppid() != test_run:
        _end()
    program = os.fork()
    if program == 0:
        signal_at_end_of_parent(signal.SIGKILL)
        os.setsid()
        os.execvp(command[0], command)

    def hand_on(number: int, _: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program, number)

    for order in ORDERS:
        signal.signal(order, hand_on)
    while True:
        pid, status = os.wait()
        if pid == program:
            kill_descendants(os.getpid())
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2:])
