"""Runs a step in a process of its own, which holds nothing of its caller's: not the 170 MB of an Airflow task.

`multiprocessing` does not serve: of a program that it is told to spawn it first imports the main module, which in a
task is all of Airflow.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from logging.handlers import QueueHandler
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pkgutil import resolve_name
from typing import Any


class ProcessEndedError(RuntimeError):
    """The process has ended without a result: something has killed it."""


def in_own_process(function: str, *arguments: Any) -> Any:
    """The result of a function, run in a new process. Its log lines become the caller's.

    `function` is named, `package.module:function`: only the new process has to import it. Raises what the function
    raises, or ProcessEndedError. Whatever ends the caller ends the process, too.
    """
    ours, theirs = Pipe()
    command = [sys.executable, "-m", __name__, str(theirs.fileno())]
    # Modules are found where the caller finds them: Airflow adds its folders to the path of its own process only.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with (
        ours,
        subprocess.Popen(  # noqa: S603 - this very program
            command, env=environment, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
        ) as process,
    ):
        theirs.close()
        try:
            # Through the pipe, for a connection's password is among the arguments of some.
            ours.send((function, arguments, logging.getLogger().level))
            while isinstance(said := ours.recv(), logging.LogRecord):
                logging.getLogger(said.name).handle(said)
        except (EOFError, ConnectionError):
            raise ProcessEndedError(f"{function} was ended by {_what_ended_it(process.wait())}") from None
        finally:
            process.kill()
    result, fault = said
    if fault is not None:
        raise fault
    return result


def _what_ended_it(exit_code: int) -> str:
    return f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"


class _Relay(QueueHandler):
    """Sends log records to the caller, their messages complete."""

    def enqueue(self, record: logging.LogRecord) -> None:
        self.queue.send(record)  # type: ignore[attr-defined]


def _main(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's Ctrl-C ends the caller, and that ends this
    function, arguments, level = pipe.recv()
    logging.getLogger().setLevel(level)
    logging.getLogger().addHandler(_Relay(pipe))  # type: ignore[arg-type]
    threading.Thread(target=_end_with_caller, args=(pipe,), daemon=True).start()
    try:
        pipe.send((resolve_name(function)(*arguments), None))
    except Exception as fault:
        pipe.send((None, _sendable(fault)))


def _end_with_caller(pipe: Connection) -> None:
    try:
        pipe.recv()
    except EOFError:
        os._exit(1)


def _sendable(fault: Exception) -> Exception:
    """The exception with, as a note, where it comes from: a traceback cannot be sent, nor can those of some drivers."""
    where = "".join(traceback.format_exception(fault))
    try:
        fault = pickle.loads(pickle.dumps(fault))  # noqa: S301 - its own
    except Exception:
        fault = RuntimeError(f"{type(fault).__name__}: {fault}")
    fault.add_note(where)
    return fault


if __name__ == "__main__":
    _main(Connection(int(sys.argv[1])))
