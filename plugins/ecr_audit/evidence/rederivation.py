"""Steps 6 and 7: the verdicts once more, from the stored texts over the stored inventory, in a process of their own.

Text out of a log is code of whoever could write it. It runs after its hash has been checked, in a session that was
confined before its first statement, and for a limited time; and what is not one SELECT with the functions of policies
is not run at all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ecr_audit import macros
from ecr_audit.catalog import load_catalog
from ecr_audit.catalog.texts import read_texts
from ecr_audit.catalog.waivers import SCHEMA
from ecr_audit.compliance import KnownWaivers, evaluate, roll_up
from ecr_audit.compliance.evaluation import find_verdicts
from ecr_audit.compliance.policies import FUNCTIONS
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import POLICY_OUTPUT, ROLLED_UP, WAIVERS
from ecr_audit.lake.storage import link_or_copy
from ecr_audit.lake.tables import LakeTable
from ecr_audit.literals import literal, literals
from ecr_audit.own_process import ProcessEndedError, in_own_process
from ecr_audit.warehouse.sandbox import NO_EXTENSIONS, confine, path_list, spill_limit, syntax_nodes

# For the night's evaluation and its comparison. A night of 10 million verdicts takes a minute or two.
TIME_LIMIT_SECONDS = 1800
_TIME_IS_UP = 75

_EXAMPLES = 3

_MACRO = re.compile(r"^CREATE MACRO ", re.MULTILINE)


@dataclass
class Rederived:
    """The outcome: rows that were compared, and the faults of each of the two steps."""

    verdicts: int = 0
    verdict_faults: list[str] = field(default_factory=list)
    rolled_up: int = 0
    roll_up_faults: list[str] = field(default_factory=list)


def rederive(folder: Path, night: date, seconds: float = TIME_LIMIT_SECONDS) -> Rederived:
    """Evaluate and roll up the night that `contents.restore` put into a folder, and compare.

    `seconds`: the time that it may take.
    """
    # In another folder, for rolling up replaces the files of the night: what was sealed stays as it was restored.
    again = folder / "again"
    for name in ("lake", "sql"):
        shutil.copytree(folder / name, again / name, copy_function=_copy)
    try:
        found = in_own_process(f"{__name__}:rederive_here", str(again), night.isoformat(), seconds)
    except ProcessEndedError as fault:
        is_over = f"exit code {_TIME_IS_UP}" in str(fault)
        why = f"stopped after {seconds:,.0f} seconds" if is_over else f"the process was ended by its SQL ({fault})"
        return Rederived(verdict_faults=[why])
    except Exception as fault:  # whatever the stored texts raise
        return Rederived(verdict_faults=[f"{type(fault).__name__}: {' '.join(str(fault).split())[:500]}"])
    assert isinstance(found, Rederived)  # noqa: S101 - its own
    return found


def _copy(source: str, target: str) -> None:
    link_or_copy(Path(source), Path(target))


def rederive_here(folder: str, night: str, seconds: float) -> Rederived:
    """The same in this process, which ends when the time is up."""
    timer = threading.Timer(seconds, os._exit, [_TIME_IS_UP])
    timer.daemon = True
    timer.start()
    try:
        return _rederive(Path(folder), date.fromisoformat(night))
    finally:
        timer.cancel()


def _rederive(folder: Path, night: date) -> Rederived:
    sql_root, lake = folder / "sql", Lake(str(folder / "lake"))
    if faults := list(harmful(read_texts(sql_root))):
        return Rederived(verdict_faults=faults)
    catalog = load_catalog(sql_root)
    sealed = lake.read_commit("compliance", night)
    assert sealed is not None, night  # noqa: S101 - step 4 has read it
    owner_tags, run_time = tuple(sealed.detail("owner_tags")), datetime.fromisoformat(sealed.detail("run_time"))
    evaluate(lake, catalog, night, owner_tags=owner_tags, run_time=run_time)
    outcome = Rederived(verdicts=sealed.rows[POLICY_OUTPUT.name])
    outcome.verdict_faults += compare_verdicts(lake, sealed, [policy.id for policy in catalog.policies])
    if outcome.verdict_faults:
        return outcome
    # Rolling up replaces the files of the night.
    tables = [(table, lake.read_table(sealed, table)) for table in ROLLED_UP]
    outcome.rolled_up = sum(rows.num_rows for _, rows in tables)
    commit, _ = roll_up(lake, catalog, night, waivers=_waivers(lake.read_table(sealed, WAIVERS), sealed))
    for table, rows in tables:
        outcome.roll_up_faults += _compare_rows(table, sealed, rows, lake.read_table(commit, table))
    return outcome


def _waivers(rows: pa.Table, sealed: Commit) -> KnownWaivers:
    given = WAIVERS.completed(rows).select(SCHEMA.names).cast(SCHEMA)
    return KnownWaivers(given, datetime.fromisoformat(sealed.detail("waivers_read_at")))


def harmful(texts: dict[str, bytes]) -> Iterator[str]:
    """Whatever a text would do and no text of the audit does, in words."""
    with duckdb.connect(config=dict(NO_EXTENSIONS)) as connection:
        for name, content in texts.items():
            if not name.endswith(".sql"):
                continue
            text = content.decode("utf-8", errors="replace")
            try:
                statements = duckdb.extract_statements(text)
            except duckdb.Error as fault:
                yield f"sql/{name}: {' '.join(str(fault).split())[:200]}"
                continue
            wanted = duckdb.StatementType.CREATE if name in macros.FILES else duckdb.StatementType.SELECT
            if kinds := sorted({each.type.name for each in statements if each.type != wanted}):
                yield f"sql/{name}: holds {', '.join(kinds)}, and is not run. Valid: {wanted.name}"
            elif wanted is duckdb.StatementType.SELECT:
                yield from _foreign_functions(connection, name, text)
            elif not all(_MACRO.search(each.query) for each in statements):
                yield f"sql/{name}: creates something else than a macro, and is not run"


def _foreign_functions(connection: duckdb.DuckDBPyConnection, name: str, text: str) -> Iterator[str]:
    [(tree,)] = connection.execute("SELECT json_serialize_sql($query)", {"query": text}).fetchall()
    try:
        nodes = list(syntax_nodes(tree))
    except ValueError as fault:
        yield f"sql/{name}: {fault}"
        return
    called = {node["function"]["function_name"] for node in nodes if node.get("type") == "TABLE_FUNCTION"}
    if foreign := sorted(called - set(FUNCTIONS)):
        yield f"sql/{name}: calls {', '.join(foreign)}, and is not run. Valid table functions: {', '.join(FUNCTIONS)}"


def compare_verdicts(lake: Lake, sealed: Commit, policies: Sequence[str]) -> list[str]:
    """The faults of the verdicts of a sealed night, compared with those that `evaluate` has left."""
    again = find_verdicts(lake, sealed.snapshot_date)
    assert again is not None  # noqa: S101 - they were evaluated right before
    columns = ", ".join(POLICY_OUTPUT.schema_of(sealed.schema_version).names)
    sources = {1: lake.locations(sealed, POLICY_OUTPUT), -1: [lake.storage.absolute(name) for name in again.files]}
    faults: list[str] = []
    with duckdb.connect(config=dict(NO_EXTENSIONS)) as connection:
        spill = lake.storage.absolute("spill")
        connection.execute(f"SET temp_directory = {literal(spill)}; SET memory_limit = '2GB'; SET TimeZone = 'UTC'")
        connection.execute(f"SET max_temp_directory_size = '{spill_limit(Path(lake.root))}'")
        connection.execute("SET preserve_insertion_order = FALSE")
        confine(connection, files=[path for paths in sources.values() for path in paths], folders=[])
        given = " UNION ALL ".join(
            f"SELECT {columns}, {sign} AS n FROM read_parquet({path_list(paths)}, hive_partitioning = FALSE)"
            for sign, paths in sources.items()
        )
        # A policy at a time: their rows lie together, and only they are in memory. With one that is in no catalog.
        others = f"policy_id NOT IN ({literals(policies)})"
        for where in (*(f"policy_id = {literal(policy)}" for policy in policies), others):
            faults += _differences(connection, f"SELECT * FROM ({given}) WHERE {where}", columns, "object_id")
    return faults


def _compare_rows(table: LakeTable, sealed: Commit, rows: pa.Table, again: pa.Table) -> list[str]:
    names = table.schema_of(sealed.schema_version).names
    columns = ", ".join(names)
    with duckdb.connect(config=dict(NO_EXTENSIONS)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("sealed", rows)
        connection.register("again", again)
        given = f"SELECT {columns}, 1 AS n FROM sealed UNION ALL SELECT {columns}, -1 AS n FROM again"
        return [f"{table.name}: {fault}" for fault in _differences(connection, given, columns, table.key[0])]


def _differences(connection: duckdb.DuckDBPyConnection, given: str, columns: str, key: str) -> list[str]:
    """Rows that one of two tables has more often than the other: EXCEPT ALL both ways, in one pass."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE differing AS"
        f" SELECT {columns}, sum(n)::BIGINT AS n FROM ({given}) GROUP BY {columns} HAVING sum(n) <> 0"
    )
    rows: list[Any] = connection.execute(
        "SELECT count(*) FILTER (n > 0), count(*) FILTER (n < 0) FROM differing"
    ).fetchall()
    [(only_sealed, only_again)] = rows
    if not only_sealed and not only_again:
        return []
    shown = connection.execute(
        f"SELECT DISTINCT {key}::VARCHAR FROM differing ORDER BY ALL LIMIT {_EXAMPLES}"
    ).fetchall()
    examples = json.dumps([name for (name,) in shown])
    return [
        f"{only_sealed:,} sealed rows do not follow from what they rest on, which gives {only_again:,} others, such as"
        f" of {examples}"
    ]
