"""A writer that is killed, whenever that is, leaves the old snapshot or the new one, and nothing for good."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow as pa
import pytest

import ecr_audit.lake
from ecr_audit.lake import Lake
from ecr_audit.schemas import STAGES

DAY = date(2026, 3, 1)
INVENTORY = STAGES["inventory"]


def commit(root: Path, name: str) -> None:
    with Lake(str(root)).writer("inventory", DAY) as writer:
        for table in INVENTORY:
            writer.write(table, pa.Table.from_pylist([{"account_id": name}], schema=table.schema))
        writer.commit({"name": name})


def seen(root: Path) -> str | None:
    """The name that was committed; all tables of the snapshot must be of that commit."""
    lake = Lake(str(root))
    found = lake.read_commit("inventory", DAY)
    if found is None:
        return None
    names = {lake.open_table(found, table).read()["account_id"].to_pylist()[0] for table in INVENTORY}
    assert names == {found.details["name"]}
    return names.pop()


def is_killed_after(changes: int, root: Path, work: Callable[[], None]) -> bool:
    """Do some work in a child process, killed with SIGKILL after its n-th change below `root`; False: it made fewer.

    Looked for whenever lake.py calls anything or is called. So no state is left out, whatever lake.py comes to do.
    """
    state: list[Any] = []

    def watch(frame: FrameType, event: str, _: Any) -> None:
        caller = frame.f_back if event == "call" and frame.f_code.co_filename != ecr_audit.lake.__file__ else frame
        if caller and caller.f_code.co_filename == ecr_audit.lake.__file__:
            found = sorted(os.walk(root))
            if not state or state[-1] != found:
                state.append(found)
            if len(state) > changes:
                os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            sys.setprofile(watch)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "The work failed by itself"
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("earlier", [None, "old"])
def test_a_reader_sees_the_old_snapshot_or_the_new_one_and_the_next_commit_leaves_one_file_a_table(tmp_path, earlier):
    outcomes = []
    for changes in range(100):
        root = tmp_path / str(changes)
        if earlier:
            commit(root, earlier)
        if not is_killed_after(changes, root, lambda root=root: commit(root, "new")):
            break
        outcomes.append(seen(root))
        commit(root, "next")
        assert seen(root) == "next"
        for table in INVENTORY:
            assert len(list((root / table.name / f"snapshot_date={DAY}").iterdir())) == 1
        assert list((root / "_scratch").iterdir()) == []
    # Three tables written, moved in, the commit file likewise, the clean-up: that many states at least were met.
    assert 10 <= len(outcomes) < 99
    # The commit file alone makes the difference: the old snapshot before it, the new one from there on.
    before, after = outcomes.count(earlier), outcomes.count("new")
    assert outcomes == [earlier] * before + ["new"] * after
    assert before and after
