"""How `pytest -n` shares the tests out: a process takes a whole file, or a whole folder whose tests share a server.

So each server is started once, and what a module's tests have in common is made once. This is what xdist's own
`--dist loadgroup` is for, but it groups nothing under pytest 9.2 (pytest-xdist issue 1386): once a release of xdist
does, marks of `xdist_group` can take the place of `ByServer`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path, PurePosixPath

import pytest
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).resolve().parents[1]

# `make test` runs these, but for what is marked as slow there; all others are slow: they start servers or go through
# whole nights.
QUICK = ("unit", "sql", "published", "dags")

# In the order in which they begin: those that take longest first.
WITH_A_SERVER = ("cluster", "scheduler", "browser", "bi")
FIRST = (*WITH_A_SERVER, "dags", "sql")


@cache
def is_quick(path: Path) -> bool:
    """Whether a test file is in a folder of quick tests; none outside of tests/ is."""
    return any(TESTS / folder in path.parents for folder in QUICK)


def place(path: Path) -> int:
    """Where the tests of a file stand in the order."""
    folder = path.parent.name
    return FIRST.index(folder) if folder in FIRST else len(FIRST)


class ByServer(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out files and folders in the order of the collection."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        # Otherwise those of many tests go first, which are the quick ones.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = PurePosixPath(file).parent
        return str(folder) if folder.name in WITH_A_SERVER else file
