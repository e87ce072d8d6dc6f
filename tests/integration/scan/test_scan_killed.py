"""Killed with SIGKILL, whatever is on the disk by then: no snapshot is harmed, the next run ends as if undisturbed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ecr_audit.aws.ecr.facets import FACETS
from ecr_audit.inventory.commit import commit_snapshot
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import ACCOUNTS, REPOSITORIES, SCAN_TARGETS, STAGES

from .conftest import Audit, MakeAudit, MakeWorld

DAY, NEXT_DAY = date(2026, 3, 1), date(2026, 3, 2)
# The id and the batches of a plan.
Planned = tuple[str, list[int]]
Step = Callable[[Audit, Any], Any]

INVENTORY = STAGES["inventory"]
# Columns in which two runs that saw the same differ.
TIMES = (
    *("started_at", "duration_ms", "collected_at", "details_read_at", "request_id"),
    *(declaration.read_at for declaration in FACETS),
)


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
    names: set[str] = {lake.read_table(found, table)["account_id"].to_pylist()[0] for table in INVENTORY}
    assert names == {found.details["name"]}
    return names.pop()


@pytest.mark.parametrize("earlier", [None, "old"])
def test_a_reader_sees_the_old_snapshot_or_the_new_one_and_the_next_commit_leaves_one_file_a_table(
    tmp_path: Path, is_killed_after: Callable[..., bool], earlier: str | None
) -> None:
    outcomes = []
    for changes in range(100):
        root = tmp_path / str(changes)
        if earlier:
            commit(root, earlier)
        if not is_killed_after(changes, root, partial(commit, root, "new")):
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


def rows(lake: Lake, day: date) -> list[list[dict[str, Any]]]:
    found = lake.read_commit("inventory", day)
    assert found is not None
    return [
        [
            {column: row[column] for column in row if column not in TIMES}
            for row in lake.read_table(found, table).to_pylist()
        ]
        for table in (ACCOUNTS, SCAN_TARGETS, REPOSITORIES)
    ]


@pytest.fixture
def tonight(audit_of: MakeAudit, organization_of: MakeWorld) -> Audit:
    """The audit of an organization with a snapshot of yesterday. Today a member is dark: something is carried over."""
    audit = audit_of(organization_of(2), batch_accounts=2)
    audit.run(DAY)
    audit.aws.world = organization_of(2, changed={"100000000002": {"assumable": False}})
    return audit


# The steps of tonight. Each is given what the one before it returned.


def plan(audit: Audit, _: object = None) -> Planned:
    return audit.plan(NEXT_DAY)


def scan(audit: Audit, planned: Planned) -> Planned:
    plan_id, batches = planned
    for batch in batches:
        audit.scan(plan_id, batch)
    return planned


def finish(audit: Audit, planned: Planned) -> None:
    commit_snapshot(audit.lake, planned[0])


@pytest.mark.parametrize(
    ("before", "step", "after"),
    [([], plan, [scan, finish]), ([plan], scan, [finish]), ([plan, scan], finish, [])],
    ids=["plan", "scan", "commit"],
)
def test_a_step_that_is_killed_and_run_again_ends_as_if_undisturbed(
    tonight: Audit,
    is_killed_after: Callable[..., bool],
    tmp_path: Path,
    before: list[Step],
    step: Step,
    after: list[Step],
) -> None:
    audit = tonight
    given = None
    for each in before:
        given = each(audit, given)
    prepared, yesterday = Path(audit.lake.root), rows(audit.lake, DAY)

    def end_the_night(changes: int) -> tuple[bool, list[list[dict[str, Any]]]]:
        """On a copy of the prepared lake; with the step killed after `changes` changes, or not at all (0)."""
        root = tmp_path / str(changes)
        shutil.copytree(prepared, root)
        audit.lake = Lake(str(root))
        killed = changes > 0 and is_killed_after(changes, root, lambda: step(audit, given))
        assert rows(audit.lake, DAY) == yesterday
        result = given
        for each in (step, *after):
            result = each(audit, result)
        for table in INVENTORY:
            assert len(audit.lake.storage.files(f"{table.name}/snapshot_date={NEXT_DAY}")) == 1
        assert audit.lake.storage.files("_scratch") == []
        return killed, rows(audit.lake, NEXT_DAY)

    _, undisturbed = end_the_night(0)
    audit.assert_true(NEXT_DAY)
    # Every third state, for time's sake: a night takes a third of a second.
    for changes in range(1, 100, 3):
        killed, result = end_the_night(changes)
        assert result == undisturbed
        if not killed:
            break
    assert 5 < changes < 99
