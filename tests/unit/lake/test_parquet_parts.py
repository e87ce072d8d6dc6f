"""Joining Parquet files without decoding them: both readers see the same rows as in the parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ecr_audit.parquet_parts import join_parts

# Numbers of rows: none, one row group, many (more than fit the short form of a list in the footer), and one again.
SIZES = (0, 3, 40, 1)


def rows(start: int, count: int) -> pa.Table:
    numbers = range(start, start + count)
    return pa.table(
        {
            "number": pa.array(numbers, pa.int64()),
            "text": pa.array([None if number % 5 == 0 else f"text {number}" for number in numbers], pa.string()),
            "filters": pa.array([[f"{number}"] * (number % 3) for number in numbers], pa.list_(pa.string())),
            "few": pa.array([f"value {number % 2}" for number in numbers], pa.string()),
        }
    )


def by_pyarrow(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, row_group_size=2, write_page_index=True, compression="zstd")


def by_duckdb(table: pa.Table, path: Path) -> None:
    with duckdb.connect() as connection:
        connection.register("given", table)
        connection.execute(
            "COPY (FROM given) TO $path (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 2)", {"path": str(path)}
        )


@pytest.mark.parametrize("write", [by_pyarrow, by_duckdb])
def test_the_rows_of_all_parts_are_in_one_file(write: Callable[[pa.Table, Path], None], tmp_path: Path) -> None:
    parts, tables, start = [], [], 0
    for number, size in enumerate(SIZES):
        parts.append(tmp_path / f"{number}.parquet")
        tables.append(rows(start, size))
        write(tables[-1], parts[-1])
        start += size
    expected = pa.concat_tables(tables)
    target = tmp_path / "whole.parquet"
    join_parts(parts, target)

    assert pq.ParquetFile(target, page_checksum_verification=True).read().to_pylist() == expected.to_pylist()
    with duckdb.connect() as connection:
        whole = connection.read_parquet(str(target))
        assert whole.order("number").fetchall() == [tuple(row.values()) for row in expected.to_pylist()]
        # Through statistics and Bloom filters, which are found by their offsets too.
        for number in range(start):
            assert whole.filter(f"number = {number} AND few = 'value {number % 2}'").fetchall() != []
        assert whole.filter("few = 'value 2'").fetchall() == []
    assert [part for part in parts if part.exists()] == []


def test_parts_of_other_columns_are_refused(tmp_path: Path) -> None:
    parts = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    by_duckdb(rows(0, 1), parts[0])
    by_duckdb(rows(0, 1).drop_columns(["few"]), parts[1])
    with pytest.raises(ValueError, match=r"b.parquet: other columns than .*a.parquet"):
        join_parts(parts, tmp_path / "whole.parquet")


@pytest.mark.parametrize("keep", [0, 3, -5])
def test_a_part_that_is_cut_off_is_refused(tmp_path: Path, keep: int) -> None:
    part = tmp_path / "a.parquet"
    by_duckdb(rows(0, 9), part)
    part.write_bytes(part.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"a.parquet: not a Parquet file"):
        join_parts([part], tmp_path / "whole.parquet")


def test_no_parts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no parts to join"):
        join_parts([], tmp_path / "whole.parquet")
