"""Readers in a loop while one publication follows another: each answer is of one publication, the old or the new.

On day n there are n repositories, all of them findings; so whoever sees half finds another number than its date says.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from threading import Event
from typing import Any

import adbc_driver_postgresql.dbapi as postgresql
import pytest

from ecr_audit.publish.build import publish
from ecr_audit.publish.dictionary import load_dictionary
from ecr_audit.publish.postgres import publish_to_postgres
from ecr_audit.publish.tables import TABLES, VIEWS
from support.processes import with_the_run
from support.small_lake import SmallLake

pytestmark = pytest.mark.slow

DAYS = range(1, 4)

COUNTS = "SELECT (SELECT day(snapshot_date) FROM publication), (SELECT count(*) FROM repositories)"

# A process of its own, as readers are: within one, DuckDB goes on showing a file that was open when it was replaced.
READER = f"""
import duckdb, pathlib, sys
database, stop = map(pathlib.Path, sys.argv[1:])
while True:
    last = stop.exists()
    with duckdb.connect(database, read_only=True) as published:
        print(*published.execute("{COUNTS}").fetchone(), flush=True)
    if last:
        break
"""


def publish_day(small_lake: SmallLake, folder: Path, number: int) -> Path:
    day = date(2026, 11, number)
    small_lake.night(day, repositories=[{"repository_name": f"app-{each}"} for each in range(number)])
    publish(small_lake.lake, small_lake.catalog, folder, owner_tags=())
    return folder / "compliance.duckdb"


def test_readers_of_the_file_see_only_whole_publications(small_lake: SmallLake, tmp_path: Path) -> None:
    folder, stop = tmp_path / "publish", tmp_path / "stop"
    database = publish_day(small_lake, folder, 1)
    command = with_the_run(sys.executable, "-c", READER, database, stop)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        seen = [reader.stdout.readline().split()]
        for number in DAYS[1:]:
            publish_day(small_lake, folder, number)
        stop.touch()
        seen += [line.split() for line in reader.stdout]
    assert reader.returncode == 0
    assert [read for read in seen if read[0] != read[1]] == []
    assert seen[0] == ["1", "1"]
    assert seen[-1] == [str(DAYS[-1])] * 2
    assert seen == sorted(seen)


def test_readers_of_postgresql_see_only_whole_publications(
    small_lake: SmallLake, tmp_path: Path, postgres: str
) -> None:
    dictionary, schema = load_dictionary(TABLES | VIEWS), "audit_readers"
    first = publish_day(small_lake, tmp_path / "1", 1)
    publish_to_postgres(first, postgres, schema, dictionary)
    databases = [publish_day(small_lake, tmp_path / str(number), number) for number in DAYS[1:]]
    done = Event()
    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(_read, postgres, schema, done, read) for read in (_one_statement, _one_transaction)]
        try:
            for database in databases:
                publish_to_postgres(database, postgres, schema, dictionary)
        finally:
            done.set()
        for reader in readers:
            seen = reader.result()
            assert [read for read in seen if read[0] != read[1] or read[0] != read[2]] == []
            assert seen[-1][0] == DAYS[-1]
            assert seen == sorted(seen)


Read = tuple[int, int, int]


def _read(uri: str, schema: str, done: Event, read: Callable[[Any, str], Read]) -> list[Read]:
    """Read until all is published, and then once more."""
    seen = []
    with postgresql.connect(uri) as connection, connection.cursor() as cursor:
        last = False
        while not last:
            last = done.is_set()
            seen.append(read(cursor, schema))
            connection.rollback()
    return seen


def _one_statement(cursor: Any, schema: str) -> Read:
    cursor.execute(
        f"""
        SELECT
            (SELECT extract(day FROM snapshot_date)::bigint FROM {schema}.publication),
            (SELECT count(*) FROM {schema}.repositories),
            (SELECT count(DISTINCT repository_arn) FROM {schema}.findings)
        """
    )
    read: Read = cursor.fetchone()
    return read


def _one_transaction(cursor: Any, schema: str) -> Read:
    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    values = []
    for sql in (
        f"SELECT extract(day FROM snapshot_date)::bigint FROM {schema}.publication",
        f"SELECT count(*) FROM {schema}.repositories",
        f"SELECT count(DISTINCT repository_arn) FROM {schema}.findings",
    ):
        cursor.execute(sql)
        values.append(cursor.fetchone()[0])
    return values[0], values[1], values[2]
