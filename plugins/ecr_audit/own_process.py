"""Runs a step in a process of its own, without its caller's imports: an Airflow task has all of Airflow in memory.

`multiprocessing` does not fit: a spawned process first imports the main module, which in a
task is all of Airflow.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from logging.handlers import QueueHandler
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pkgutil import resolve_name
from queue import SimpleQueue
from typing import Any

from ecr_audit.aws.access import use_access
from ecr_audit.hidden_modules import hidden_modules

# New objects between two garbage collections, 700 by default. Most objects of a step are those of the libraries that it
# imports: to go through these again and again is a tenth of the time that importing takes.
_GC_THRESHOLD = 50_000

# pydantic would look for plugins of its own among all packages that are installed.
_NO_PLUGINS = {"PYDANTIC_DISABLE_PLUGINS": "__all__"}


class ProcessEndedError(RuntimeError):
    """The process has ended without a result: something has killed it."""


def in_own_process(function: str, *arguments: Any) -> Any:
    """The result of a function, run in another process. Its log lines become the caller's.

    `function` is named, `package.module:function`: only the other process has to import it. Raises what the function
    raises, or ProcessEndedError. Whatever ends the caller ends the process, too. While it waits, the caller answers
    what the process asks by `in_caller`: such as how AWS is reached, and with which credentials now.

    An exception is sent by pickle, which makes it again by calling its class with its `args`: a class with an
    `__init__` of its own gives `Exception.__init__` the same arguments, and has the text in `__str__`.
    """
    with ExitStack() as ends:
        process = _kept.pop() if _kept else _Process()
        ends.callback(process.end)
        result, fault = process.run(function, arguments)
        if fault is not None:
            raise fault
        if _kept is not None:
            ends.pop_all()
            _kept.append(process)
    return result


# Processes that wait for another function; None: each function has a new one.
_kept: list[_Process] | None = None


@contextmanager
def kept_processes() -> Iterator[None]:
    """Within the block, a process whose function has ended well runs the next one.

    To start one takes longer than many a step of a small organization. For a caller that runs several steps: a task of
    a scheduler runs one, and then ends.
    """
    global _kept
    _kept = []
    try:
        yield
    finally:
        for process in _kept:
            process.end()
        _kept = None


@dataclass(frozen=True)
class _Call:
    """A function to run, its arguments, and what may have changed in the caller since the last one."""

    function: str
    arguments: tuple[Any, ...]
    log_level: int
    environment: dict[str, str]


class _Process:
    """A new Python, and the pipe to it."""

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        command = [sys.executable, "-c", f"from {__name__} import _main; _main({theirs.fileno()})"]
        with theirs:
            self._program = subprocess.Popen(  # noqa: S603 - this very program
                command, env=_environment(), stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )

    def run(self, function: str, arguments: tuple[Any, ...]) -> tuple[Any, Exception | None]:
        """The result of a function, or its exception. Raises ProcessEndedError."""
        try:
            # Through the pipe, for a connection's password is among the arguments of some.
            self._pipe.send(_Call(function, arguments, logging.getLogger().level, _environment()))
            while not isinstance(received := self._pipe.recv(), tuple):
                if isinstance(received, logging.LogRecord):
                    logging.getLogger(received.name).handle(received)
                else:
                    self._pipe.send(_outcome(received.function))
        except (EOFError, ConnectionError):
            raise ProcessEndedError(f"{function} was ended by {_what_ended_it(self._program.wait())}") from None
        return received

    def end(self) -> None:
        """End it, whatever it does."""
        self._program.kill()
        self._program.wait()
        self._pipe.close()


def _environment() -> dict[str, str]:
    # Modules are found where the caller finds them: Airflow adds its folders to the path of its own process only.
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **_NO_PLUGINS}


def _what_ended_it(exit_code: int) -> str:
    return f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"


def in_caller(function: str) -> Any:
    """In a process of its own: the result of a function of the process that waits for it. Raises what that raises."""
    assert _caller is not None, "The parent process has ended"  # noqa: S101
    return _caller.ask(function)


@dataclass(frozen=True)
class _Question:
    """A call that a process requests from its caller."""

    function: str


class _Caller:
    """The other end of the pipe, as the process of its own sees it."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.calls = SimpleQueue[_Call]()
        self._answers = SimpleQueue[tuple[Any, Exception | None]]()
        self._sending, self._asking = threading.Lock(), threading.Lock()

    def send(self, what: Any) -> None:
        """Send a log record, a question or the outcome; any thread may."""
        with self._sending:
            self._pipe.send(what)

    def ask(self, function: str) -> Any:
        """See `in_caller`."""
        with self._asking:
            self.send(_Question(function))
            result, fault = self._answers.get()
        if fault is not None:
            raise fault
        return result

    def listen(self) -> None:
        """Take calls and answers, and end this process with its caller."""
        while True:
            try:
                received = self._pipe.recv()
                self.calls.put(received) if isinstance(received, _Call) else self._answers.put(received)
            except (EOFError, OSError):
                os._exit(1)
            except Exception as fault:  # its class may not exist in this process
                outcome = None, RuntimeError(f"{type(fault).__name__}: {fault}")
                self._answers.put(outcome) if self._asking.locked() else self.send(outcome)


_caller: _Caller | None = None


class _Relay(QueueHandler):
    """Sends log records to the caller, their messages complete."""

    def enqueue(self, record: logging.LogRecord) -> None:
        self.queue.send(record)  # type: ignore[attr-defined]  # its queue is a _Caller


def _main(descriptor: int) -> None:
    global _caller
    # Without a file, DuckDB takes it for a person's session, and draws progress bars into the task's log.
    sys.modules["__main__"].__file__ = __file__
    gc.set_threshold(_GC_THRESHOLD)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's Ctrl-C ends the caller, and that ends this
    _caller = _Caller(Connection(descriptor))
    threading.Thread(target=_caller.listen, daemon=True).start()
    logging.getLogger().addHandler(_Relay(_caller))  # type: ignore[arg-type]  # send() is all it needs
    use_access(_access_of_caller)
    with hidden_modules("numpy", "pandas"):
        while True:
            call = _caller.calls.get()
            os.environ.clear()
            os.environ.update(call.environment)
            logging.getLogger().setLevel(call.log_level)
            _caller.send(_outcome(call.function, *call.arguments))


def _access_of_caller() -> Any:
    from ecr_audit.aws.handover import access_of_caller  # late: most steps ask AWS nothing

    return access_of_caller(in_caller)


def _outcome(function: str, *arguments: Any) -> tuple[Any, Exception | None]:
    """The result of a named function, or its exception."""
    try:
        return resolve_name(function)(*arguments), None
    except Exception as fault:
        return None, _sendable(fault)


def _sendable(fault: Exception) -> Exception:
    """The exception with, as a note, where it comes from: a traceback cannot be sent, nor can those of some drivers."""
    where = "".join(traceback.format_exception(fault))
    try:
        fault = pickle.loads(pickle.dumps(fault))  # noqa: S301 - its own
    except Exception:
        fault = RuntimeError(f"{type(fault).__name__}: {fault}")
    fault.add_note(where)
    return fault
