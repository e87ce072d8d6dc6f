"""The remediation plan where tags move: `python benchmarks/remediation.py` (100,000 repositories of 50 tags).

The tables that the plan reads are made, in files as publishing has them, in place of 30 nights of scans. All
repositories are MUTABLE, with a finding under two policies. Tags moved in half of them: latest and main in three of
ten, a family of six cache tags in one, a release tag in one. Measured is the part of `publish` that makes the table.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from measuring import Cost, measure, print_table

from ecr_audit.macros import create_session_macros
from ecr_audit.publish import remediation_plan
from ecr_audit.settings import RemediationSettings
from ecr_audit.warehouse.session import Warehouse, resources_for
from ecr_audit.warehouse.statements import read_statement

NIGHT = date(2026, 11, 22)
TAGS = 50
# In each account, all in one region.
REPOSITORIES = 200

_REPOSITORY = """
    SELECT
        number,
        format('{:012d}', number // $per_account) AS account_id,
        'eu-west-1' AS region,
        format('team/service-{:03d}', number % $per_account) AS repository_name,
        concat('arn:aws:ecr:eu-west-1:', account_id, ':repository/', repository_name) AS repository_arn,
        TIMESTAMPTZ '2026-01-01 00:00:00Z' AS created_at
    FROM range($repositories) AS repositories(number)
"""
# The tags of each: two that many pipelines push again, six of a cache, and releases.
_TAG = f"""
    SELECT
        r.*,
        place,
        CASE
            WHEN place = 0 THEN 'latest'
            WHEN place = 1 THEN 'main'
            WHEN place < 8 THEN 'layers-' || place
            ELSE format('1.{{}}.0', place)
        END AS tag
    FROM ({_REPOSITORY}) AS r
    CROSS JOIN range($tags) AS tags(place)
"""
MADE = {
    "staging.repositories": f"""
        SELECT
            * EXCLUDE (number),
            'MUTABLE' AS image_tag_mutability,
            []::VARCHAR[] AS exclusion_filters,
            'all' AS overwritable_tags,
            CASE WHEN number % 4 = 0 THEN MAP {{'ManagedBy': 'terraform'}} ELSE MAP {{'owner': 'team'}} END AS tags,
            created_at AS tags_read_at
        FROM ({_REPOSITORY})
    """,
    "staging.registries": f"""
        SELECT DISTINCT
            account_id,
            region,
            concat('arn:aws:ecr:eu-west-1:', account_id, ':registry') AS registry_arn,
            NULL::VARCHAR AS registries_unread,
            []::STRUCT(prefix VARCHAR, upstream_registry_url VARCHAR)[] AS pull_through_rules
        FROM ({_REPOSITORY})
    """,
    "lake.accounts": f"SELECT DISTINCT account_id, 'shop' AS account_name, 'Root/Prod' AS ou_path FROM ({_REPOSITORY})",
    "lake.policy_output": f"""
        SELECT
            policy_id,
            repository_arn AS object_id,
            'INCOMPLIANT' AS status,
            'team' AS owner,
            DATE '2026-01-01' AS incompliant_start_date,
            NULL::DATE AS incompliant_end_date
        FROM ({_REPOSITORY})
        CROSS JOIN (VALUES ('mutability'), ('strict')) AS policies(policy_id)
    """,
    "lake.waived_findings": "SELECT '' AS policy_id, '' AS object_id, '' AS waiver_id WHERE FALSE",
    "lake.image_tags": f"SELECT repository_arn, tag, TRUE AS is_current, created_at AS first_seen FROM ({_TAG})",
    "catalog.policies": """
        FROM (VALUES ('mutability', ['IMMUTABLE', 'IMMUTABLE_WITH_EXCLUSION']), ('strict', ['IMMUTABLE']))
            AS policies(policy_id, passing_mutability)
    """,
    "published.repository_image_tags": f"""
        SELECT repository_arn, 30::BIGINT AS nights_read, $tags::BIGINT AS tags FROM ({_REPOSITORY})
    """,
    "published.tag_moves": f"""
        SELECT repository_arn, tag, is_release_tag(tag) AS is_release, 'moved' AS kind, created_at AS seen_before
        FROM ({_TAG})
        CROSS JOIN range(30) AS nights(night)
        WHERE CASE number % 10
            WHEN 0 THEN place BETWEEN 2 AND 7
            WHEN 1 THEN place = 9 AND night = 0
            WHEN 2 THEN place < 2
            WHEN 3 THEN place < 2
            WHEN 4 THEN place < 2
            ELSE FALSE
        END
    """,
}


def main() -> None:
    """Make the tables, then measure the plan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repositories", type=int, nargs="*", default=[100_000])
    rows: list[tuple[Any, ...]] = []
    for repositories in parser.parse_args().repositories:
        with tempfile.TemporaryDirectory() as folder:
            moves = in_fresh_process(make_tables, folder, repositories)
            cost = in_fresh_process(measured, folder, repositories)
            by_api, in_code, held = cost.result
            rows.append(
                (
                    repositories,
                    repositories * TAGS,
                    moves,
                    by_api,
                    in_code,
                    held,
                    round(cost.wall, 2),
                    round(cost.cpu, 2),
                    round(cost.peak_mb),
                )
            )
    header = ("repositories", "tags", "moves", "FIX_BY_API", "FIX_IN_CODE", "HOLD", "wall s", "CPU s", "peak MB")
    print_table(header, rows)


def in_fresh_process(function: Callable[..., Any], *arguments: object) -> Any:
    """The result of a function of this file, run in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as process:
        return process.submit(function, *arguments).result()


def make_tables(folder: str, repositories: int) -> int:
    """Write the tables that the plan reads; returns how many moves there are."""
    given = {"repositories": repositories, "per_account": REPOSITORIES, "tags": TAGS}
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        create_session_macros(database)
        for table, text in MADE.items():
            named = {name: value for name, value in given.items() if f"${name}" in text}
            database.execute(f"COPY ({text}) TO '{folder}/{table}.parquet' (COMPRESSION zstd)", named or None)
        [(moves,)] = database.execute(f"SELECT count(*) FROM '{folder}/published.tag_moves.parquet'").fetchall()
    return int(moves)


def measured(folder: str, repositories: int) -> Cost:
    """Make the plan, and return its cost, with its rows by action."""
    return measure(make_plan, Path(folder), repositories)


def make_plan(folder: Path, repositories: int) -> tuple[int, int, int]:
    """The plan as publishing makes it; returns how many of its rows are FIX_BY_API, FIX_IN_CODE and HOLD."""
    warehouse = Warehouse(NIGHT, folder, resources_for(repositories))
    database = warehouse.connection
    database.execute(f"ATTACH '{folder}/compliance.duckdb' AS published")
    for table in MADE:
        kind = "TABLE" if table.startswith("published.") else "VIEW"
        database.execute(f"CREATE {kind} {table} AS FROM '{folder}/{table}.parquet'")
    warehouse.set_variable("image_tags_known", True)
    remediation_plan.stage_plan(warehouse, RemediationSettings())
    mart = read_statement(f"marts/{remediation_plan.TABLE}")
    warehouse.create_table(f"published.{remediation_plan.TABLE}", mart, snapshot_date=NIGHT)
    remediation_plan.drop_staged(warehouse)
    [counts] = database.execute(
        """
        SELECT
            count(*) FILTER (WHERE action = 'FIX_BY_API'),
            count(*) FILTER (WHERE action = 'FIX_IN_CODE'),
            count(*) FILTER (WHERE action = 'HOLD')
        FROM published.remediation_plan
        """
    ).fetchall()
    database.close()
    return counts


if __name__ == "__main__":
    main()
