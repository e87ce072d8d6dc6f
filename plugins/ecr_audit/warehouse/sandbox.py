"""A sandbox for DuckDB sessions: they can read only the files that they were given.

Whatever SQL a session runs, a view or a function in it may read any file that the process may read, write some, and
fetch an extension from the internet. Neither a published file nor a policy's logic.sql has a reason to. A confined
session does nothing of it; but some functions that may not write end the process instead, so that both are also looked
at before they run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from ecr_audit.literals import literals

# For duckdb.connect. Opening a file can already fetch one: for an SQLite file, DuckDB loads its scanner.
NO_EXTENSIONS: Mapping[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
}


def confine(
    connection: duckdb.DuckDBPyConnection, *, files: Iterable[str] = (), folders: Iterable[str | Path] = ()
) -> None:
    """Limit a session for good to the database that it has open, its spill folder, and these files and folders.

    DuckDB resolves links before it compares, and also stops looking for tables among Python's variables. All other
    settings are to be made before. Source: "Securing DuckDB", duckdb.org.
    """
    connection.execute(f"SET allowed_paths = {path_list(files)}")
    connection.execute(f"SET allowed_directories = {path_list(folders)}")
    connection.execute("SET enable_external_access = FALSE")
    connection.execute("SET lock_configuration = TRUE")


def spill_limit(folder: Path) -> str:
    """The most that a confined session may spill into an existing folder, for max_temp_directory_size: half of what is
    free there. DuckDB would take nine tenths, and leave the lake on the same disk no room.
    """
    return f"{shutil.disk_usage(folder).free // 2}B"


def syntax_nodes(serialized: str) -> Iterator[dict[str, Any]]:
    """Every node of a query as json_serialize_sql gives it. Raises ValueError when it is not a query."""
    tree = json.loads(serialized)
    if tree["error"]:
        raise ValueError(tree["error_message"])
    ahead: list[Any] = [tree]
    while ahead:
        node = ahead.pop()
        ahead += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        if isinstance(node, dict):
            yield node


def path_list(paths: Iterable[str | Path]) -> str:
    """A list literal: to bind parameters, DuckDB imports pandas, which takes a second."""
    return f"[{literals(paths)}]"
