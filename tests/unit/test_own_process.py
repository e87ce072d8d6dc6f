"""A step in a process of its own: its result, its log and its faults are the caller's, and so is its end."""

from __future__ import annotations

import importlib
import inspect
import itertools
import logging
import os
import pickle
import pkgutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NoReturn, TypeVar

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials

import demo
import ecr_audit
from demo.emulated_aws.protocols import AwsError
from ecr_audit.aws import handover
from ecr_audit.aws.access import AwsAccess, aws_access, use_access
from ecr_audit.errors import FinalError
from ecr_audit.own_process import ProcessEndedError, in_own_process, kept_processes
from ecr_audit.warehouse.checks import CheckError, Violation
from ecr_audit.yaml_files.faults import CatalogError

Found = TypeVar("Found")


class DriverError(Exception):
    """Cannot be unpickled, as those of ADBC cannot."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)


class UnknownThere:
    """To read it, a module is needed that the other process lacks."""

    def __reduce__(self) -> tuple[object, ...]:
        return __import__, ("unknown_there",)


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


def test_its_result_is_the_callers() -> None:
    (values, process) = in_own_process(f"{__name__}:give", "2026-11-01", None)
    assert values == ("2026-11-01", None)
    assert process != os.getpid()


def test_it_holds_nothing_of_its_caller() -> None:
    assert in_own_process("builtins:eval", "'pytest' in __import__('sys').modules") is False


def test_each_function_has_a_new_one() -> None:
    _, first = in_own_process(f"{__name__}:give")
    _, second = in_own_process(f"{__name__}:give")
    assert first != second


def test_one_that_is_kept_runs_the_next_function_as_its_caller_is_by_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ECR_AUDIT_SNAPSHOT_DATE", "2026-11-01")
    monkeypatch.setenv("ECR_AUDIT_REGIONS", "eu-west-1")
    settings = "{n: v for n, v in __import__('os').environ.items() if n.startswith('ECR_AUDIT_')}"
    with kept_processes():
        _, process = in_own_process(f"{__name__}:give")
        before = in_own_process("builtins:eval", settings)
        assert (before["ECR_AUDIT_SNAPSHOT_DATE"], before["ECR_AUDIT_REGIONS"]) == ("2026-11-01", "eu-west-1")
        monkeypatch.setenv("ECR_AUDIT_SNAPSHOT_DATE", "2026-11-02")
        monkeypatch.delenv("ECR_AUDIT_REGIONS")
        assert in_own_process("builtins:eval", settings) == {
            name: value for name, value in os.environ.items() if name.startswith("ECR_AUDIT_")
        }
        caplog.set_level(logging.WARNING)
        in_own_process(f"{__name__}:log_some")
        caplog.set_level(logging.INFO)
        in_own_process(f"{__name__}:log_some")
        assert [each.getMessage() for each in caplog.records].count("Published") == 1
        assert in_own_process(f"{__name__}:give") == ((), process)
    assert not is_running(process)


@pytest.mark.parametrize("function", ["fail", "fail_as_a_driver", "be_killed"])
def test_one_that_has_failed_is_not_kept(function: str) -> None:
    with kept_processes():
        _, process = in_own_process(f"{__name__}:give")
        with pytest.raises((FinalError, RuntimeError)):
            in_own_process(f"{__name__}:{function}")
        assert not is_running(process)
        _, next_process = in_own_process(f"{__name__}:give")
        assert next_process != process
    assert not is_running(next_process)


def test_arguments_that_it_cannot_read_are_reported() -> None:
    with pytest.raises(RuntimeError, match="ModuleNotFoundError: No module named 'unknown_there'"):
        in_own_process(f"{__name__}:give", UnknownThere())


def test_duckdb_draws_no_progress_bars_into_the_log() -> None:
    setting = "__import__('duckdb').execute(\"SELECT current_setting('enable_progress_bar')\").fetchall()"
    assert in_own_process("builtins:eval", setting) == [(False,)]


def test_its_log_is_the_callers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    in_own_process(f"{__name__}:log_some")
    assert [(each.name, each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ecr_audit.some", "WARNING", "3 nights are left out"),
        ("ecr_audit.other", "INFO", "Published"),
    ]


def test_its_fault_is_raised_in_the_caller_with_its_traceback() -> None:
    with pytest.raises(FinalError) as raised:
        in_own_process(f"{__name__}:fail")
    assert str(raised.value) == "no snapshot"
    [note] = raised.value.__notes__
    assert "in fail" in note
    assert "ValueError: the cause" in note


# Exceptions of the project that take more than a message.
EXAMPLES: dict[str, Exception] = {
    "CatalogError": CatalogError(["a.yaml:1: Key 'x' is missing", "b.yaml:2: Key 'y' is missing"]),
    "CheckError": CheckError([Violation("status_is_known", "fail", "", 1, [{"status": "NONE"}])]),
    "AwsError": AwsError("AccessDeniedException", "Not authorized", 403),
}


def exceptions_of_the_project() -> list[type[Exception]]:
    """All exception classes of the library and the demo; a private one does not leave its module."""
    found = []
    for package in (ecr_audit, demo):
        for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(each.name)
            classes = [value for value in vars(module).values() if isinstance(value, type)]
            found += [one for one in classes if issubclass(one, Exception) and one.__module__ == each.name]
    return sorted((one for one in found if not one.__name__.startswith("_")), key=lambda one: one.__name__)


def test_every_exception_of_the_project_can_be_sent() -> None:
    """With its type, text, attributes and notes, and again once a note was added, as its process does."""
    classes = exceptions_of_the_project()
    assert {"FinalError", "SettingsError", *EXAMPLES} <= {each.__name__ for each in classes}
    for each in classes:
        assert each.__name__ in EXAMPLES or not inspect.isfunction(each.__init__), f"Add an example of {each.__name__}"
        fault = EXAMPLES.get(each.__name__) or each("no snapshot")
        sent = pickle.loads(pickle.dumps(fault))
        sent.add_note("where")
        again = pickle.loads(pickle.dumps(sent))
        assert type(again) is type(fault) is each
        assert str(again) == str(fault)
        assert vars(again) == vars(fault) | {"__notes__": ["where"]}


def test_a_fault_that_cannot_be_sent_is_reported() -> None:
    with pytest.raises(RuntimeError) as raised:
        in_own_process(f"{__name__}:fail_as_a_driver")
    assert str(raised.value) == "DriverError: refused"


def test_one_that_is_killed_is_reported() -> None:
    with pytest.raises(ProcessEndedError, match=r":be_killed was ended by signal 9$"):
        in_own_process(f"{__name__}:be_killed")


def keys_of_two_calls() -> list[str]:
    credentials = aws_access().session.get_credentials()
    assert credentials is not None
    return [str(credentials.get_frozen_credentials().access_key) for _ in range(2)]


def how_aws_is_reached() -> tuple[object, ...]:
    access = aws_access()
    client = access.client("ecr", config=Config(read_timeout=20, connect_timeout=5))
    config = client.meta.config
    return (access.region, client.meta.endpoint_url, access.verify, config.read_timeout, config.connect_timeout)


class NumberedKeys:
    """Credentials that are others at each look."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return ReadOnlyCredentials(f"key-{next(self._numbers)}", "secret", None)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller reaches AWS by a connection that somebody has named, and not by the environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-the-environment")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://environment.test")
    session = boto3.Session(region_name="eu-south-1")
    keys = NumberedKeys()
    monkeypatch.setattr(session, "get_credentials", lambda: keys)
    access = AwsAccess(session, Config(read_timeout=7), False, {"": "http://connection.test"})
    use_access(lambda: access)


def test_its_way_to_aws_is_the_callers(named: None) -> None:
    expected = ("eu-south-1", "http://connection.test", False, 7, 5)
    assert in_own_process(f"{__name__}:how_aws_is_reached") == expected


def test_its_credentials_are_the_callers_and_renewed_by_it(named: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_own_process(f"{__name__}:keys_of_two_calls") == ["key-1", "key-1"]
    # Within the time before their end in which botocore renews credentials.
    monkeypatch.setattr(handover, "TAKEN_FOR", timedelta(minutes=1))
    assert in_own_process(f"{__name__}:keys_of_two_calls") == ["key-3", "key-4"]


def test_by_boto3s_own_chain_nothing_crosses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert in_own_process(f"{__name__}:keys_of_two_calls") == ["of-the-environment"] * 2


def test_a_way_to_aws_that_the_caller_cannot_find_is_its_fault() -> None:
    def refuse() -> NoReturn:
        raise FinalError("connection 'aws_hub' cannot be used")

    use_access(refuse)
    with pytest.raises(FinalError, match="'aws_hub' cannot be used"):
        in_own_process(f"{__name__}:keys_of_two_calls")


def test_it_does_not_outlive_a_caller_that_is_killed(tmp_path: Path) -> None:
    """As the task's time-out, or somebody who clears it, kills it."""
    place = tmp_path / "its process"
    program = (
        f"from ecr_audit.own_process import in_own_process; in_own_process('{__name__}:wait_for_ever', {str(place)!r})"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", program], env=environment) as caller:
        process = int(wait_for(lambda: place.read_text("utf-8") if place.exists() else ""))
        caller.kill()
    wait_for(lambda: not is_running(process))


def wait_for(condition: Callable[[], Found]) -> Found:
    while not (found := condition()):
        time.sleep(0.01)
    return found


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # its parent is gone, and nobody may care to bury it
