"""Hides modules that libraries import, at a price, though nothing here uses them.

pyarrow imports numpy; and both pyarrow and DuckDB import pandas, for the first list that becomes an array and the first
parameter that is bound, only to see whether the value is one of pandas' own. Either takes as much CPU time as pyarrow
itself. For the first table of pyarrow that it is given, DuckDB also imports pyarrow.dataset, which makes hundreds of
functions. Both libraries do without where the modules are not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder


class _NotFound(MetaPathFinder):
    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}: it is hidden here", name=name)


@contextmanager
def hidden_modules(*names: str) -> Iterator[None]:
    """Within the block, or the function that this decorates, these modules cannot be found; those loaded before stay.

    pandas is found again after the block by whoever then needs it. numpy is not, by pyarrow: hide it only in a process
    that ends with the block.
    """
    finder = _NotFound(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
