"""controls.csv: the findings that a section holds."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb

from ecr_audit.publish.build import publish
from ecr_audit.warehouse.statements import read_statement
from support.small_lake import SmallLake

# With the columns that the query reads; a temporary table precedes the published one. Half of each 100,000 are waived.
MANY = """
CREATE TEMP TABLE findings AS
SELECT
    policy_id,
    account_id,
    incompliant_start_date - (n % 50)::INTEGER AS incompliant_start_date,
    CASE WHEN n % 2 = 0 THEN 'W-' || n // 100_000 END AS waiver_id
FROM findings, range(500_000) AS many(n)
"""


def test_a_section_has_the_oldest_and_the_waivers_of_its_findings_however_many(
    small_lake: SmallLake, tmp_path: Path
) -> None:
    """Within memory that a list with a waiver for each finding of each section would not fit into."""
    small_lake.night(date(2026, 11, 23), repositories=[{}])
    database = publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=()).published.database
    with duckdb.connect(
        database, read_only=True, config={"memory_limit": "150MB", "threads": 1, "max_temp_directory_size": "0B"}
    ) as session:
        session.execute(MANY)
        query = f"SELECT DISTINCT oldest_finding, waivers FROM ({read_statement('exports/controls').text}\n)"
        found = session.execute(query, {"account_id": None}).fetchall()
    assert sorted(found, key=str) == [
        (None, None),
        (date(2026, 10, 5), ["W-0", "W-1", "W-2", "W-3", "W-4"]),
    ]
