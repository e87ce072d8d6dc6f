"""A DuckDB session over one snapshot of the lake, in which the files of sql/ run.

    lake.<table>            the snapshot's files; `snapshot_date` is added
    lake.previous_<table>   the same of the newest evaluated snapshot before it; typed and empty when there is none
    lake.<table>_history    the same of many snapshots together, where they were added
    catalog.<table>         policies, frameworks, sections (see catalog/)
    staging.<name>          sql/staging; staging.objects is what policies judge, of all inputs (sql/staging/objects)
    marts.<table>           sql/marts
    published.<table>       what publishing has made so far

and the macros of sql/ (macros.py).

A file of sql/ is one SELECT under a comment. What it is made into (a view, a table, rows) is decided here, and it is
given those `$parameters` only that it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ecr_audit.catalog import Catalog, input_names
from ecr_audit.lake.lake import PARALLEL_READS, SCHEMA_VERSION, Commit, Lake, SnapshotWriter
from ecr_audit.lake.repeated_keys import may_repeat_keys, merge_repeated_keys
from ecr_audit.lake.schemas import POLICY_OUTPUT, REPOSITORIES, STAGES, LakeTable
from ecr_audit.lake.storage import LakeError
from ecr_audit.macros import create_session_macros
from ecr_audit.sandbox import NO_EXTENSIONS, confine
from ecr_audit.settings import SQL_ROOT

# Few rows, and DuckDB plans its joins by their number: of a view it would guess too many.
STAGING_TABLES = ("recreated", "young")

# The tables of which only some accounts can be shown at a time, see `Warehouse.show_accounts`.
SLICED = ("repositories", "previous_repositories", "previous_policy_output")

FEW_REPOSITORIES = 500_000


class WarehouseError(RuntimeError):
    """SQL failed; the message names its file."""


@dataclass(frozen=True)
class Resources:
    """What a session may use of this machine. What does not fit into `memory` spills to disk, beside the lake."""

    memory: str = "2GB"
    threads: int = 2


def resources_for(repositories: int) -> Resources:
    """What judging so many repositories may use.

    Of few it takes seconds in any case; there the second thread, which is 100 MB more of memory, does not pay.
    """
    return Resources(threads=1) if repositories <= FEW_REPOSITORIES else Resources()


@dataclass(frozen=True)
class Statement:
    """One SELECT of sql/, and the parameters that it names."""

    path: str
    text: str
    parameters: frozenset[str]


class Warehouse:
    """The session. `open_warehouse` makes it."""

    def __init__(self, lake: Lake, snapshot_date: date, folder: Path, resources: Resources) -> None:
        self.snapshot_date = snapshot_date
        self._lake = lake
        self._folder = folder
        # How many rows of each table are not shown, see `add_stage`.
        self.left_out: dict[str, int] = {}
        self._files: list[str] = []
        self.connection = duckdb.connect(config=dict(NO_EXTENSIONS))
        self.connection.execute("SET memory_limit = $memory", {"memory": resources.memory})
        self.connection.execute("SET threads = $threads", {"threads": resources.threads})
        self.connection.execute("SET temp_directory = $folder", {"folder": str(folder / "spill")})
        self.connection.execute("SET TimeZone = 'UTC'")
        for schema in ("lake", "catalog", "staging", "marts"):
            self.connection.execute(f"CREATE SCHEMA {schema}")
        create_session_macros(self.connection)
        self.show_accounts()

    # Tables

    def add_stage(self, commit: Commit | None, stage: str, prefix: str = "") -> None:
        """Show the tables of a committed stage as `lake.<prefix><table>`; empty ones when there is no commit.

        The inventory first: verdicts of an older version find their owners there. Rows that have the key of another
        one are left out, see `repeated_keys`.
        """
        for table in STAGES[stage]:
            name = f"{prefix}{table.name}"
            if commit is None:
                self._add_empty(name, table)
            else:
                relative, version = commit.files[table.name], commit.schema_version
                self.add_file(name, table, relative, commit.snapshot_date, version)
                self._merge_repeated_keys(name, table, [commit])
        if commit and stage == "compliance" and "owner" in POLICY_OUTPUT.lacking(commit.schema_version):
            self._look_up_owners(prefix)

    def _look_up_owners(self, prefix: str) -> None:
        """Show the verdicts of a version that named no owner with those of their night, as judging names them now."""
        self.connection.execute(
            f"""
            ALTER VIEW lake.{prefix}policy_output RENAME TO {prefix}policy_output_without_owner;
            CREATE VIEW lake.{prefix}policy_output AS
            SELECT o.* REPLACE (coalesce(tagged_owner(r.tags), nullif(a.account_name, ''), o.account_id) AS owner)
            FROM lake.{prefix}policy_output_without_owner AS o
            LEFT JOIN lake.{prefix}repositories AS r ON r.repository_arn = o.object_id
            LEFT JOIN lake.{prefix}accounts AS a ON a.account_id = o.account_id
            """
        )

    def _merge_repeated_keys(self, name: str, table: LakeTable, commits: Sequence[Commit]) -> None:
        nights = [commit.snapshot_date for commit in commits if may_repeat_keys(commit)]
        self.left_out[name] = merge_repeated_keys(self.connection, name, table, nights)

    def add_file(
        self, name: str, table: LakeTable, relative: str, snapshot_date: date, version: int = SCHEMA_VERSION
    ) -> None:
        """Show a Parquet file of the lake as `lake.<name>`; what a file of an older version lacks is NULL.

        Raises LakeError if it is missing, truncated or has other columns than its version.
        """
        location = self._fetched(relative)
        self._lake.open_parquet(relative, location, table.schema_of(version)).close()
        self._show_file(name, table, location, snapshot_date, version)

    def add_local_file(self, name: str, table: LakeTable, path: Path) -> None:
        """Show a Parquet file that is about to be committed as `lake.<name>`."""
        self._show_file(name, table, path, self.snapshot_date, SCHEMA_VERSION)

    def _show_file(self, name: str, table: LakeTable, path: Path, snapshot_date: date, version: int) -> None:
        self._files.append(str(path))
        self.set_variable(f"{name}_file", str(path))
        self.set_variable(f"{name}_date", snapshot_date)
        slice_of_accounts = (
            "WHERE account_id > getvariable('accounts_after') AND account_id <= getvariable('accounts_up_to')"
        )
        self.connection.execute(
            f"""
            CREATE VIEW lake.{name} AS
            SELECT {", ".join(select_list(table, version))}, getvariable('{name}_date') AS snapshot_date
            FROM read_parquet(getvariable('{name}_file'), hive_partitioning = FALSE)
            {slice_of_accounts if name in SLICED else ""}
            """
        )

    def add_history(self, table: LakeTable, commits: Sequence[Commit]) -> None:
        """Show a table of one or more commits, all together, as `lake.<table>_history`.

        What files of older versions lack is NULL. Rows that have the key of another one of their night are left out.
        Raises LakeError as `add_file` does.
        """
        name = f"{table.name}_history"

        def locate(commit: Commit) -> str:
            relative = commit.files[table.name]
            location = self._fetched(relative)
            self._lake.open_parquet(relative, location, table.schema_of(commit.schema_version)).close()
            return str(location)

        # Hundreds of small files, each of which S3 takes its time for.
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            locations = list(pool.map(locate, commits))
        self.set_variable(f"{name}_files", locations, "VARCHAR[]")
        versions = {commit.schema_version for commit in commits}
        # Columns by name: a folder above the lake may look like a partition, too.
        self.connection.execute(
            f"""
            CREATE VIEW lake.{name} AS
            SELECT snapshot_date, {", ".join(select_list(table, max(versions)))}
            FROM read_parquet(
                getvariable('{name}_files'),
                hive_partitioning = TRUE,
                hive_types = {{'snapshot_date': DATE}},
                union_by_name = {len(versions) > 1}
            )
            """
        )
        self._merge_repeated_keys(name, table, commits)

    def add_arrow(self, name: str, rows: pa.Table) -> None:
        """Make a table, such as `catalog.policies`, of rows in memory."""
        self.connection.register("given_rows", rows)
        self.connection.execute(f"CREATE TABLE {name} AS FROM given_rows")
        self.connection.unregister("given_rows")

    def confine(self, folder: Path) -> None:
        """Limit the session, for good, to the tables that it shows by now, and to a folder to write to."""
        confine(self.connection, files=self._files, folders=[folder])

    def show_accounts(self, after: str = "", up_to: str = "~") -> None:
        """Limit the large tables to the accounts `after` < id <= `up_to`; without arguments show all again.

        Files are sorted by account, so that little more is read than what is shown.
        """
        self.set_variable("accounts_after", after)
        self.set_variable("accounts_up_to", up_to)

    # SQL

    def create_view(self, name: str, statement: Statement) -> None:
        """Make a view of a statement, replacing the one of that name."""
        self._run(f"CREATE OR REPLACE VIEW {name} AS\n", statement, {})

    def create_table(self, name: str, statement: Statement, **parameters: Any) -> None:
        """Make a table of a statement."""
        self._run(f"CREATE TABLE {name} AS\n", statement, parameters)

    def write(self, statement: Statement, path: Path, **parameters: Any) -> None:
        """Write the rows of a statement to a new Parquet file."""
        self.set_variable("path", str(path))
        self._run(
            "COPY (\n",
            statement,
            parameters,
            # What has over 1,000 values in a row group has as many as rows, mostly: looking further is lost time.
            "\n) TO (getvariable('path'))"
            " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 1000)",
        )

    def write_table(self, name: str, table: LakeTable, path: Path) -> None:
        """Write a table of the session to a new Parquet file as the lake wants it: its columns, in its order."""
        columns, order = ", ".join(table.schema.names), ", ".join(table.sort_by)
        self.write(parse_statement(name, f"SELECT {columns} FROM {name} ORDER BY {order}"), path)

    def query(self, statement: Statement, **parameters: Any) -> pa.Table:
        """The rows of a statement."""
        try:
            return self._run("", statement, parameters).to_arrow_table()
        except duckdb.Error as fault:
            raise WarehouseError(f"{statement.path}: {fault}") from fault

    def examples(self, statement: Statement, shown: int, **parameters: Any) -> tuple[int, list[dict[str, Any]]]:
        """How many rows a statement has, and the first of them. However many there are, few are in memory at once.

        Counted first: mostly there are none, and to count reads only the columns that decide on a row.
        """
        try:
            [(count,)] = self._run("SELECT count(*) FROM (\n", statement, parameters, "\n)").fetchall()
            if not count:
                return 0, []
            first = self._run("FROM (\n", statement, parameters, f"\n) LIMIT {shown}").to_arrow_table()
        except duckdb.Error as fault:
            raise WarehouseError(f"{statement.path}: {fault}") from fault
        return count, first.to_pylist()

    def _run(
        self, prefix: str, statement: Statement, parameters: Mapping[str, Any], suffix: str = ""
    ) -> duckdb.DuckDBPyConnection:
        bound = {name: value for name, value in parameters.items() if name in statement.parameters}
        try:
            return self.connection.execute(prefix + statement.text + suffix, bound)
        except duckdb.Error as fault:
            raise WarehouseError(f"{statement.path}: {fault}") from fault

    def _fetched(self, relative: str) -> Path:
        """A file of the lake at a local path: DuckDB reads others by an extension only, to be downloaded first."""
        if self._lake.is_local:
            return Path(self._lake.absolute(relative))
        local = self._folder / relative
        if not local.exists():
            local.parent.mkdir(parents=True, exist_ok=True)
            self._lake.fetch(relative, local)
        return local

    def _add_empty(self, name: str, table: LakeTable) -> None:
        schema = table.schema.append(pa.field("snapshot_date", pa.date32()))
        self.add_arrow(f"lake.{name}", schema.empty_table())

    def set_variable(self, variable: str, value: Any, kind: str | None = None) -> None:
        """Set what SQL reads with `getvariable`: views cannot have parameters."""
        cast = f"::{kind}" if kind else ""
        self.connection.execute(f"SET VARIABLE {variable} = $value{cast}", {"value": value})


def select_list(table: LakeTable, version: int) -> list[str]:
    """The columns to select from files of that version: typed NULLs for those that they lack."""
    # An empty file of pyarrow's knows the type of a column as DuckDB calls it.
    kinds = dict(zip(table.schema.names, duckdb.from_arrow(table.schema.empty_table()).types, strict=True))
    lacking = table.lacking(version)
    return [f"NULL::{kinds[name]} AS {name}" if name in lacking else name for name in table.schema.names]


@contextmanager
def open_files(writer: SnapshotWriter, tables: Sequence[LakeTable]) -> Iterator[Warehouse]:
    """A session over tables that are written, but not committed: `lake.<table>`, and nothing else."""
    warehouse = Warehouse(writer.lake, writer.snapshot_date, writer.folder, Resources())
    try:
        for table in tables:
            warehouse.add_local_file(table.name, table, writer.path(table))
        yield warehouse
    finally:
        warehouse.connection.close()


def read_statement(relative: str, sql_root: Path = SQL_ROOT) -> Statement:
    """Read a file of sql/, named without its ending (`marts/findings`). Raises WarehouseError if it is no SELECT."""
    path = sql_root / f"{relative}.sql"
    try:
        return parse_statement(f"sql/{relative}.sql", path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise WarehouseError(f"{path}: cannot be read ({fault.strerror})") from fault


def parse_statement(path: str, text: str) -> Statement:
    """Take SQL text for a statement; `path` is what errors call it. Raises WarehouseError if it is no SELECT."""
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as fault:
        raise WarehouseError(f"{path}: {fault}") from fault
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise WarehouseError(f"{path}: must hold one SELECT and nothing else")
    return Statement(path, statements[0].query.rstrip().rstrip(";"), frozenset(statements[0].named_parameters))


def _objects() -> Statement:
    """The objects of all inputs, each row with the name of its input.

    Every file has the columns of repositories.sql. An id is an ARN, which names account and region, so that the engine
    need not look them up. The lake tables that an input reads are SLICED.
    """
    queries = [
        f"SELECT '{name}' AS input, *\nFROM (\n{read_statement(f'staging/objects/{name}').text}\n)"
        for name in input_names(SQL_ROOT)
    ]
    return parse_statement("sql/staging/objects", "\nUNION ALL BY NAME\n".join(queries))


@contextmanager
def open_warehouse(
    lake: Lake,
    catalog: Catalog,
    snapshot_date: date,
    *,
    purpose: str,
    owner_tags: tuple[str, ...] = (),
    resources: Resources | None = None,
) -> Iterator[Warehouse]:
    """A session over the inventory of a date and the evaluated snapshot before it, with all staging views.

    `purpose` names the folder that it spills to; two sessions open at once need two.
    `resources`: default `resources_for`.
    Raises LakeError when the date has no inventory, or a file of it is damaged.
    """
    inventory = lake.read_commit("inventory", snapshot_date)
    if inventory is None:
        dates = ", ".join(map(str, lake.snapshot_dates("inventory")[-5:])) or "none"
        raise LakeError(f"{lake.root}: no inventory of {snapshot_date}. The newest there are: {dates}")
    previous = lake.previous_commit("compliance", snapshot_date)
    with lake.scratch(f"{purpose}-{snapshot_date}") as folder:
        warehouse = Warehouse(
            lake, snapshot_date, folder, resources or resources_for(inventory.rows[REPOSITORIES.name])
        )
        try:
            warehouse.set_variable("owner_tags", list(owner_tags), "VARCHAR[]")
            warehouse.add_stage(inventory, "inventory")
            # Of that date's inventory only what is still there is of use: it tells a repository from its namesake.
            before = lake.read_commit("inventory", previous.snapshot_date) if previous else None
            warehouse.add_stage(before, "inventory", "previous_")
            warehouse.add_stage(previous, "compliance", "previous_")
            for name, rows in catalog.as_arrow().items():
                warehouse.add_arrow(f"catalog.{name}", rows)
            for name in input_names(SQL_ROOT):
                warehouse.create_view(f"staging.{name}", read_statement(f"staging/{name}"))
            warehouse.create_view("staging.objects", _objects())
            for table in STAGING_TABLES:
                warehouse.create_table(f"staging.{table}", read_statement(f"staging/{table}"))
            yield warehouse
        finally:
            warehouse.connection.close()
