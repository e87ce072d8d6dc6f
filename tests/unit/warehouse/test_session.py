"""A DuckDB session over the lake: its tables, and its errors."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from ecr_audit.lake.schemas import REPOSITORIES
from ecr_audit.lake.snapshot import fetch_snapshot
from ecr_audit.lake.storage import LakeError, Storage
from ecr_audit.warehouse.session import open_warehouse
from ecr_audit.warehouse.statements import WarehouseError, parse_statement, read_statement
from support.small_lake import SmallLake

DAY_1, DAY_2 = date(2026, 11, 1), date(2026, 11, 2)
REPOSITORIES_OF_TWO_ACCOUNTS = [{"repository_name": "a"}, {"repository_name": "b", "account_id": "222222222222"}]


def query(warehouse: Any, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    return list(warehouse.query(parse_statement("test.sql", sql), **parameters).to_pylist())


def opened(small_lake: SmallLake, day: date) -> Any:
    return small_lake.opened(day, owner_tags=("owner",))


def test_tables_have_their_snapshot_date(small_lake: SmallLake) -> None:
    small_lake.night(DAY_1, repositories=[{}])
    small_lake.scan(DAY_2, repositories=[{}])
    with opened(small_lake, DAY_2) as warehouse:
        assert query(warehouse, "SELECT snapshot_date FROM lake.repositories") == [{"snapshot_date": DAY_2}]
        for table in ("policy_run", "accounts"):
            found = query(warehouse, f"SELECT DISTINCT snapshot_date FROM lake.previous_{table}")
            assert found == [{"snapshot_date": DAY_1}]


def test_previous_tables_are_typed_when_there_is_no_previous_snapshot(small_lake: SmallLake) -> None:
    small_lake.scan(DAY_1)
    with opened(small_lake, DAY_1) as warehouse:
        [types] = query(
            warehouse,
            """
            SELECT count(*) AS rows, any_value(typeof(incompliant_start_date)) AS kind
            FROM (SELECT NULL) LEFT JOIN lake.previous_policy_output ON TRUE
            """,
        )
        assert query(warehouse, "FROM lake.previous_policy_output") == []
    assert types == {"rows": 1, "kind": "DATE"}


def test_accounts_can_be_shown_in_parts(small_lake: SmallLake) -> None:
    small_lake.scan(DAY_1, accounts=[{}, {"account_id": "222222222222"}], repositories=REPOSITORIES_OF_TWO_ACCOUNTS)
    with opened(small_lake, DAY_1) as warehouse:

        def shown() -> list[str]:
            return [row["repository_name"] for row in query(warehouse, "FROM staging.repositories ORDER BY ALL")]

        assert shown() == ["a", "b"]
        warehouse.show_accounts("111111111111", "222222222222")
        assert shown() == ["b"]
        warehouse.show_accounts()
        assert shown() == ["a", "b"]


def test_owner_tags_may_be_none(small_lake: SmallLake) -> None:
    small_lake.scan(DAY_1, repositories=[{"tags": {"owner": "payments"}}])
    with small_lake.opened(DAY_1) as warehouse:
        assert query(warehouse, "SELECT owner FROM staging.repositories") == [{"owner": None}]


def test_a_remote_lake_is_read_through_its_file_system(small_lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    small_lake.scan(DAY_1, repositories=[{}])
    monkeypatch.setattr(Storage, "is_local", False)
    with opened(small_lake, DAY_1) as warehouse:
        assert query(warehouse, "SELECT repository_name FROM lake.repositories") == [{"repository_name": "app"}]


def test_a_truncated_file_is_named(small_lake: SmallLake) -> None:
    commit = small_lake.scan(DAY_1, repositories=[{}])
    [path] = map(Path, small_lake.lake.locations(commit, REPOSITORIES))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(LakeError, match=str(path)), opened(small_lake, DAY_1):
        pass


def test_a_date_without_inventory_lists_the_others(small_lake: SmallLake) -> None:
    small_lake.scan(DAY_1)
    with pytest.raises(LakeError, match=r"no inventory of 2026-11-02. The newest are: 2026-11-01"):
        opened(small_lake, DAY_2).__enter__()


def test_nothing_is_left_behind(small_lake: SmallLake) -> None:
    small_lake.scan(DAY_1)
    with opened(small_lake, DAY_1):
        pass
    assert list(Path(small_lake.lake.storage.absolute("_scratch")).iterdir()) == []


def test_only_named_parameters_are_bound(small_lake: SmallLake) -> None:
    small_lake.scan(DAY_1)
    with opened(small_lake, DAY_1) as warehouse:
        assert query(warehouse, "SELECT $wanted AS x", wanted=1, unwanted=2) == [{"x": 1}]


@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "DROP TABLE x", "-- nothing", "SELEC 1"])
def test_a_file_must_be_one_select(sql: str) -> None:
    with pytest.raises(WarehouseError, match=r"marts/x.sql: "):
        parse_statement("marts/x.sql", sql)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match=r"marts/none.sql: cannot be read"):
        read_statement("marts/none", tmp_path)


@pytest.mark.parametrize("sql", ["SELECT no_such_column FROM lake.repositories", "SELECT error('at run time')"])
def test_a_fault_in_sql_names_its_file(small_lake: SmallLake, sql: str) -> None:
    small_lake.scan(DAY_1)
    with opened(small_lake, DAY_1) as warehouse, pytest.raises(WarehouseError, match=r"marts/x.sql: "):
        warehouse.query(parse_statement("marts/x.sql", sql))


def test_a_confined_session_reads_its_tables_and_writes_to_its_folder(
    small_lake: SmallLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also through a link, as where the lake is on a larger disk."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=4 << 30))
    real = tmp_path / "disk"
    Path(small_lake.lake.root).mkdir()
    Path(small_lake.lake.root).rename(real)
    Path(small_lake.lake.root).symlink_to(real)
    small_lake.scan(DAY_1, repositories=[{}, {"repository_name": "b"}])
    folder = tmp_path / "out"
    folder.mkdir()
    with (
        fetch_snapshot(small_lake.lake, DAY_1, purpose="test") as snapshot,
        open_warehouse(snapshot, small_lake.catalog, confined_to=[folder]) as warehouse,
    ):
        rows = parse_statement("rows", "SELECT repository_name FROM lake.repositories ORDER BY ALL")
        assert warehouse.query(rows).to_pylist() == [{"repository_name": "app"}, {"repository_name": "b"}]
        warehouse.write(rows, folder / "rows.parquet")
        with pytest.raises(WarehouseError, match="Permission Error"):
            warehouse.write(rows, tmp_path / "rows.parquet")
        for elsewhere in ("/etc/hostname", f"{small_lake.lake.root}/_commits/inventory/{DAY_1}.json"):
            with pytest.raises(WarehouseError, match="Permission Error"):
                warehouse.query(parse_statement("elsewhere", f"FROM read_text('{elsewhere}')"))
        with pytest.raises(duckdb.InvalidInputException, match="locked"):
            warehouse.connection.execute("SET enable_external_access = TRUE")
        [(spill,)] = warehouse.connection.execute("SELECT current_setting('max_temp_directory_size')").fetchall()
        assert spill == "2.0 GiB"  # half of what is free
