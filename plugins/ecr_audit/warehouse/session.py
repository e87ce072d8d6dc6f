"""The session: its tables and variables, and how it runs SQL. See the package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ecr_audit.catalog import Catalog, input_names
from ecr_audit.lake.schemas import POLICY_OUTPUT
from ecr_audit.lake.tables import Input, LakeTable, SnapshotFiles, TableFiles
from ecr_audit.literals import literals
from ecr_audit.macros import create_session_macros
from ecr_audit.settings import SQL_ROOT
from ecr_audit.vocabulary import Status
from ecr_audit.warehouse.repeated_keys import merge_repeated_keys
from ecr_audit.warehouse.sandbox import NO_EXTENSIONS, confine, path_list, spill_limit
from ecr_audit.warehouse.statements import Statement, WarehouseError, parse_statement, read_statement

# The tables of which only some accounts can be shown at a time, see `Warehouse.show_accounts`.
SLICED = (
    *("repositories", "registries", "previous_repositories", "previous_registries", "previous_policy_output"),
    *("image_tag_reads", "previous_image_tags", "listed_tags"),
)

FEW_REPOSITORIES = 500_000


@dataclass(frozen=True)
class Resources:
    """The resources of a session. What does not fit into `memory` spills to disk, beside the lake."""

    memory: str = "2GB"
    threads: int = 2


def resources_for(repositories: int) -> Resources:
    """The resources for evaluating this many repositories.

    Few take seconds in any case; for them a second thread, which is 100 MB more of memory, does not pay.
    """
    return Resources(threads=1) if repositories <= FEW_REPOSITORIES else Resources()


class Warehouse:
    """The session. `open_warehouse` makes it."""

    def __init__(
        self,
        snapshot_date: date,
        folder: Path,
        resources: Resources,
        *,
        sql_root: Path = SQL_ROOT,
        confined_to: Sequence[Path] | None = None,
    ) -> None:
        """`folder`: what does not fit into memory spills to it. `sql_root`: the folder of the macros.

        `confined_to`: the files and folders that the session can use; None: all. It is confined before it runs the
        first text of `sql_root`.
        """
        self.snapshot_date = snapshot_date
        self.sql_root = sql_root
        # How many rows of each table are not shown, see `register_input`.
        self.left_out: dict[str, int] = {}
        spill = str(folder / "spill")
        limits: dict[str, str | int] = {"memory_limit": resources.memory, "threads": resources.threads}
        if confined_to is not None:
            limits["max_temp_directory_size"] = spill_limit(folder)
        self.connection = duckdb.connect(config={**NO_EXTENSIONS, **limits, "temp_directory": spill})
        self.connection.execute("SET TimeZone = 'UTC'")
        if confined_to is not None:
            files, folders = (
                [path for path in confined_to if path.is_dir() == is_folder] for is_folder in (False, True)
            )
            confine(self.connection, files=map(str, files), folders=folders)
        for schema in ("lake", "catalog", "staging", "marts"):
            self.connection.execute(f"CREATE SCHEMA {schema}")
        create_session_macros(self.connection, sql_root)
        self.create_enum("verdict_status", tuple(Status))
        self.create_enum("owner_source", ("tag", "account"))
        self.show_accounts()

    # Tables

    def register_input(self, given: Input) -> None:
        """Show a table as `lake.<name>`; one without snapshots is empty, and typed.

        Columns that older files lack are NULL. Rows that have the key of another one of their snapshot are left
        out, see `repeated_keys`.
        """
        if not given.snapshots:
            columns = ", ".join(f"{name} {kind}" for name, kind in column_types(given.table.schema).items())
            self.connection.execute(f"CREATE TABLE lake.{given.name} ({columns}, snapshot_date DATE)")
            return
        paths = [str(path) for files in given.snapshots for path in files.paths]
        if given.is_history:
            self._show_history(given.name, given.table, given.snapshots, path_list(paths))
        else:
            [files] = given.snapshots
            self._show_snapshot(given.name, given.table, files, path_list(paths))
        nights = [files.snapshot_date for files in given.snapshots if files.may_repeat_keys]
        self.left_out[given.name] = merge_repeated_keys(self.connection, given.name, given.table, nights)

    def _show_snapshot(self, name: str, table: LakeTable, files: TableFiles, paths: str) -> None:
        slice_of_accounts = (
            "WHERE account_id > getvariable('accounts_after') AND account_id <= getvariable('accounts_up_to')"
        )
        self.connection.execute(
            f"""
            CREATE VIEW lake.{name} AS
            SELECT {", ".join(select_list(table, files.schema_version))}, DATE '{files.snapshot_date}' AS snapshot_date
            FROM read_parquet({paths}, hive_partitioning = FALSE)
            {slice_of_accounts if name in SLICED else ""}
            """
        )
        prefix = name.removesuffix(POLICY_OUTPUT.name)
        if name != prefix and "owner" in table.lacking(files.schema_version):
            self._look_up_owners(prefix)

    def _look_up_owners(self, prefix: str) -> None:
        """Show the verdicts of a version that named no owner with those of their night, as evaluating names them
        now."""
        self.connection.execute(
            f"ALTER VIEW lake.{prefix}policy_output RENAME TO {prefix}policy_output_without_owner;"
            f" CREATE VIEW lake.{prefix}policy_output AS {with_owners(prefix)}"
        )

    def _show_history(self, name: str, table: LakeTable, snapshots: Sequence[TableFiles], paths: str) -> None:
        versions = {files.schema_version for files in snapshots}
        # Columns by name: a folder above the lake may look like a partition, too.
        self.connection.execute(
            f"""
            CREATE VIEW lake.{name} AS
            SELECT snapshot_date, {", ".join(select_list(table, max(versions)))}
            FROM read_parquet(
                {paths},
                hive_partitioning = TRUE,
                hive_types = {{'snapshot_date': DATE}},
                union_by_name = {len(versions) > 1}
            )
            """
        )

    def add_arrow(self, name: str, rows: pa.Table) -> None:
        """Make a table, such as `catalog.policies`, of rows in memory."""
        self.connection.register("given_rows", rows)
        self.connection.execute(f"CREATE TABLE {name} AS FROM given_rows")
        self.connection.unregister("given_rows")

    def create_enum(self, name: str, words: Sequence[str]) -> None:
        """Make a type of text of which there are these words only."""
        self.connection.execute(f"CREATE TYPE {name} AS ENUM ({literals(words)})")

    def show_accounts(self, after: str = "", up_to: str = "~") -> None:
        """Limit the large tables to the accounts `after` < id <= `up_to`; without arguments show all again.

        Files are sorted by account, so that little more is read than what is shown.
        """
        self.set_variable("accounts_after", after)
        self.set_variable("accounts_up_to", up_to)

    # SQL

    def create_view(self, name: str, statement: Statement) -> None:
        """Make a view of a statement, replacing the one of that name."""
        # On one line, so that errors count the lines of the file.
        self._run(f"CREATE OR REPLACE VIEW {name} AS ", statement, {})

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
            # A column with over 1,000 values in a row group mostly has as many as rows: looking further is wasted time.
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
        """The number of rows of a statement, and the first of them by all columns. Few rows are in memory at a time.

        Counted first: mostly there are none, and to count reads only the columns that decide on a row. For the same
        reason it is sorted here, and not in the statement.
        """
        try:
            [(count,)] = self._run("SELECT count(*) FROM (\n", statement, parameters, "\n)").fetchall()
            if not count:
                return 0, []
            first = self._run("FROM (\n", statement, parameters, f"\n) ORDER BY ALL LIMIT {shown}").to_arrow_table()
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

    def set_variable(self, variable: str, value: Any, kind: str | None = None) -> None:
        """Set what SQL reads with `getvariable`: views cannot have parameters."""
        cast = f"::{kind}" if kind else ""
        self.connection.execute(f"SET VARIABLE {variable} = $value{cast}", {"value": value})


def with_owners(prefix: str) -> str:
    """The verdicts of `lake.<prefix>policy_output_without_owner`, each with its owner."""
    return f"""
        SELECT o.* REPLACE (coalesce(tagged_owner(r.tags), nullif(a.account_name, ''), o.account_id) AS owner)
        FROM lake.{prefix}policy_output_without_owner AS o
        LEFT JOIN lake.{prefix}repositories AS r ON r.repository_arn = o.object_id
        LEFT JOIN lake.{prefix}accounts AS a ON a.account_id = o.account_id
    """


@cache
def column_types(schema: pa.Schema) -> dict[str, str]:
    """The type of each column as DuckDB calls it, which it does for a table of pyarrow's, if only an empty one."""
    return dict(zip(schema.names, map(str, duckdb.from_arrow(schema.empty_table()).types), strict=True))


def select_list(table: LakeTable, version: int) -> list[str]:
    """The columns to select from files of that version: typed NULLs for those that they lack."""
    lacking = table.lacking(version)
    return [f"NULL::{kind} AS {name}" if name in lacking else name for name, kind in column_types(table.schema).items()]


def read_objects(input_name: str, sql_root: Path = SQL_ROOT) -> Statement:
    """The objects of one input."""
    return read_statement(f"staging/objects/{input_name}", sql_root)


def _objects(sql_root: Path) -> Statement:
    """The objects of all inputs, each row with the name of its input.

    Every file has the columns of repositories.sql. An id is an ARN, which names account and region, so that the engine
    need not look them up. The lake tables that an input reads are SLICED.
    """
    queries = [
        f"SELECT '{name}' AS input, *\nFROM (\n{read_objects(name, sql_root).text}\n)" for name in input_names(sql_root)
    ]
    return parse_statement("sql/staging/objects", "\nUNION ALL BY NAME\n".join(queries))


@contextmanager
def open_session(
    snapshot: SnapshotFiles,
    *,
    owner_tags: tuple[str, ...] = (),
    resources: Resources | None = None,
    sql_root: Path = SQL_ROOT,
    confined_to: Sequence[Path] | None = None,
) -> Iterator[Warehouse]:
    """A session over the inputs of a snapshot, and nothing else. `resources`: default `resources_for`.

    `confined_to`: the files and folders that it can use beside the inputs; None: it is not confined.
    """
    inputs = [path for given in snapshot.inputs for files in given.snapshots for path in files.paths]
    warehouse = Warehouse(
        snapshot.snapshot_date,
        snapshot.folder,
        resources or resources_for(snapshot.repositories),
        sql_root=sql_root,
        confined_to=None if confined_to is None else [*inputs, *confined_to],
    )
    try:
        # First, because owners may be looked up in an input.
        warehouse.set_variable("owner_tags", list(owner_tags), "VARCHAR[]")
        warehouse.set_variable("collected_facets", list(snapshot.collected.facets), "VARCHAR[]")
        warehouse.set_variable("rotation_nights", snapshot.collected.rotation_nights)
        warehouse.set_variable("image_tags", snapshot.collected.image_tags)
        for given in snapshot.inputs:
            warehouse.register_input(given)
        yield warehouse
    finally:
        warehouse.connection.close()


@contextmanager
def open_warehouse(
    snapshot: SnapshotFiles,
    catalog: Catalog,
    *,
    owner_tags: tuple[str, ...] = (),
    resources: Resources | None = None,
    confined_to: Sequence[Path] | None = None,
) -> Iterator[Warehouse]:
    """A session over the inputs of a snapshot (see `fetch_snapshot`) and the catalog, with all staging views."""
    sql_root = catalog.sql_root
    with open_session(
        snapshot, owner_tags=owner_tags, resources=resources, sql_root=sql_root, confined_to=confined_to
    ) as warehouse:
        for name, rows in catalog.as_arrow().items():
            warehouse.add_arrow(f"catalog.{name}", rows)
        warehouse.create_enum("policy_id", [policy.id for policy in catalog.policies])
        for name in input_names(sql_root):
            warehouse.create_view(f"staging.{name}", read_statement(f"staging/{name}", sql_root))
        warehouse.create_view("staging.objects", _objects(sql_root))
        warehouse.create_view(
            "staging.repository_image_tags", read_statement("staging/repository_image_tags", sql_root)
        )
        yield warehouse
