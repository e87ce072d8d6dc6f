"""A module that is hidden is not imported by those who look for it, and is found again afterwards."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ecr_audit.hidden_modules import hidden_modules
from support.paths import PYTHONPATH

# pyarrow and DuckDB look for pandas at the first list, and at the first parameter.
LIBRARIES = """
import sys
from ecr_audit.hidden_modules import hidden_modules

with hidden_modules("pandas"):
    import duckdb, pyarrow, pyarrow.dataset

    table = pyarrow.table({"a": [1]})
    assert duckdb.connect().execute("SELECT $a", {"a": 1}).fetchall() == [(1,)]
    assert "pandas" not in sys.modules
print(table.to_pandas()["a"].sum())
"""


def test_libraries_do_without_pandas_and_find_it_again() -> None:
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    done = subprocess.run([sys.executable, "-c", LIBRARIES], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr


def test_it_is_hidden_within_a_function_and_a_loaded_module_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    @hidden_modules("this", "sys")
    def look() -> None:
        import sys as known

        assert known
        with pytest.raises(ModuleNotFoundError, match="'this': it is hidden here"):
            import this  # noqa: F401

    before = list(sys.meta_path)
    monkeypatch.delitem(sys.modules, "this", raising=False)
    look()
    look()
    assert sys.meta_path == before
