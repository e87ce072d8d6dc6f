"""How long judging, rolling up and publishing take, and in how much memory, on a made-up organization of any size.

    python benchmarks/compliance.py 1000000 /tmp/benchmark            # repositories, a folder that is overwritten
    python benchmarks/compliance.py 1000000 /tmp/benchmark --publish

Two nights are judged; the second has a history to continue. Accounts have 10 regions of 200 repositories each, of which
40 % are MUTABLE.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins"))

import duckdb

from ecr_audit.catalog import load_catalog
from ecr_audit.compliance import evaluate, roll_up
from ecr_audit.lake import Lake
from ecr_audit.publish import publish
from ecr_audit.schemas import ACCOUNTS, REPOSITORIES, SCAN_TARGETS
from ecr_audit.settings import SQL_ROOT

NIGHTS = (date(2026, 11, 1), date(2026, 11, 2))
OWNER_TAGS = ("owner", "team")

ORGANIZATION = """
CREATE TABLE accounts AS
SELECT
    (100000000000 + i)::VARCHAR AS account_id,
    'account-' || i AS account_name,
    'ACTIVE' AS state,
    'ou-ab12-' || (i % 50) AS ou_id,
    'Root/Unit' || (i % 10) || '/Team' || (i % 50) AS ou_path,
    TIMESTAMPTZ '2020-01-01' AS joined_at
FROM range(greatest(1, $repositories // 2000)) AS t(i);

CREATE TABLE scan_targets AS
SELECT
    account_id,
    region,
    'COLLECTED' AS outcome,
    NULL::VARCHAR AS error_code,
    NULL::VARCHAR AS error_message,
    200::BIGINT AS repository_count,
    1::BIGINT AS api_calls,
    0::BIGINT AS retries,
    TIMESTAMPTZ '2026-11-01 02:00' AS started_at,
    100::BIGINT AS duration_ms
FROM accounts
CROSS JOIN (SELECT unnest(['ap-south-1', 'ap-southeast-1', 'eu-central-1', 'eu-west-1', 'eu-west-2', 'sa-east-1',
    'us-east-1', 'us-east-2', 'us-west-1', 'us-west-2']) AS region);

CREATE VIEW repositories AS
WITH named AS (
    SELECT
        account_id,
        region,
        'payments/service-' || lpad(k::VARCHAR, 4, '0') || '-' || substr(md5(account_id || region || k), 1, 8)
            AS repository_name,
        k,
        hash(account_id, region, k) % 10 AS kind
    FROM scan_targets
    CROSS JOIN range(200) AS t(k)
)
SELECT
    account_id,
    region,
    repository_name,
    concat('arn:aws:ecr:', region, ':', account_id, ':repository/', repository_name) AS repository_arn,
    concat(account_id, '.dkr.ecr.', region, '.amazonaws.com/', repository_name) AS repository_uri,
    TIMESTAMPTZ '2024-01-01' + to_minutes(k::INTEGER) AS created_at,
    CASE
        WHEN kind < 4 THEN 'MUTABLE'
        WHEN kind < 8 THEN 'IMMUTABLE'
        WHEN kind < 9 THEN 'IMMUTABLE_WITH_EXCLUSION'
        ELSE 'MUTABLE_WITH_EXCLUSION'
    END AS image_tag_mutability,
    CASE WHEN kind > 7 THEN [{'filter_type': 'WILDCARD', 'filter': 'latest'}] END
        AS image_tag_mutability_exclusion_filters,
    TRUE AS scan_on_push,
    'AES256' AS encryption_type,
    NULL::VARCHAR AS kms_key,
    MAP {'owner': 'team-' || k, 'env': 'prod'} AS tags,
    TIMESTAMPTZ '2026-11-01 02:00' AS collected_at,
    TRUE AS observed
FROM named
"""


def main() -> None:
    """Make the organization, then time each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--publish", action="store_true")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.folder, ignore_errors=True)
    lake, catalog = Lake(str(arguments.folder / "lake")), load_catalog(SQL_ROOT)
    make(lake, arguments.repositories)
    for night in NIGHTS:
        measure(f"{night} evaluate", lambda night=night: evaluate(lake, catalog, night, owner_tags=OWNER_TAGS))
        measure(f"{night} roll up", lambda night=night: roll_up(lake, catalog, night))
    if arguments.publish:
        folder = arguments.folder / "publish"
        measure("publish", lambda: publish(lake, catalog, folder, owner_tags=OWNER_TAGS))


def make(lake: Lake, repositories: int) -> None:
    """Commit the same inventory for both nights."""
    with duckdb.connect() as database:
        # Little memory, so that the peak measured later is not that of the making.
        database.execute("SET TimeZone = 'UTC'; SET memory_limit = '500MB'; SET preserve_insertion_order = FALSE")
        database.execute("SET temp_directory = $folder", {"folder": lake.absolute("_scratch/making")})
        for statement in duckdb.extract_statements(ORGANIZATION):
            named = {"repositories": repositories} if statement.named_parameters else None
            database.execute(statement, named)
        for night in NIGHTS:
            with lake.writer("inventory", night) as writer:
                for table in (ACCOUNTS, SCAN_TARGETS, REPOSITORIES):
                    database.execute(
                        f"COPY (FROM {table.name} ORDER BY {', '.join(table.sort_by)}) TO $path (COMPRESSION zstd)",
                        {"path": str(writer.path(table))},
                    )
                writer.commit({})


def measure(name: str, step: Callable[[], object]) -> None:
    """Run a step and print its wall time, CPU time, and the process's peak memory so far."""
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{name}: {time.perf_counter() - wall:.1f} s, CPU {time.process_time() - cpu:.1f} s, peak {peak} MB")


if __name__ == "__main__":
    main()
