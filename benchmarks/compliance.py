"""How long evaluating, rolling up and publishing take, and in how much memory, on made-up organizations of growing
size.

    python benchmarks/compliance.py                            # 0.1, 1 and 10 million repositories
    python benchmarks/compliance.py 1000000 --publish          # one size, and publish it as well
    python benchmarks/compliance.py 1000000 --unread           # no facet was read, and why is counted
    python benchmarks/compliance.py 300000 --image-tags        # the image tags of all repositories were read
    python benchmarks/compliance.py 1000000 --policies repository-image-tag-   # under two policies only

Two nights are evaluated under all policies; the second has a history to continue: 1 % of the repositories have changed
since, 0.1 % are gone and as many are new. Accounts have 10 regions of 200 repositories each, of which 40 % are MUTABLE.
Each step runs in a process of its own, so that its peak of memory is its own.

The floor of a night is DuckDB alone, in as many threads: it reads every file that the two steps read, once and with all
columns, and writes every file that they commit, in the same form; nothing is evaluated.

With --unread the policies that read a facet find it of no repository. Publishing then counts, for each policy, why its
verdicts are undetermined; that statement alone is the step `reasons`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from measuring import Cost, measure, print_table

from ecr_audit.catalog import Catalog, load_catalog
from ecr_audit.compliance import evaluate, roll_up
from ecr_audit.hidden_modules import hidden_modules
from ecr_audit.lake.commits import INVENTORY_CHECKS
from ecr_audit.lake.lake import Lake, SnapshotWriter
from ecr_audit.lake.schemas import (
    ACCOUNTS,
    IMAGE_TAG_READS,
    IMAGE_TAGS,
    REGISTRIES,
    REPOSITORIES,
    SCAN_TARGETS,
    TAG_MOVES,
)
from ecr_audit.lake.snapshot import fetch_snapshot, fetch_stage
from ecr_audit.lake.tables import Input, LakeTable
from ecr_audit.publish.build import publish
from ecr_audit.settings import SQL_ROOT, ExportSettings
from ecr_audit.vocabulary import ImageTags
from ecr_audit.warehouse.checks import inventory_checks
from ecr_audit.warehouse.session import open_session, open_warehouse
from ecr_audit.warehouse.statements import parse_statement, read_statement

SIZES = (100_000, 1_000_000, 10_000_000)
NIGHTS = (date(2026, 11, 1), date(2026, 11, 2))
OWNER_TAGS = ("owner", "team")
POLICIES_HELP = "a part of the ids of those that are evaluated; default: all"

ORGANIZATION = """
CREATE TABLE accounts AS
SELECT
    (100000000000 + i)::VARCHAR AS account_id,
    'account-' || i AS account_name,
    'ACTIVE' AS state,
    'ou-ab12-' || (i % 50) AS ou_id,
    'Root/Unit' || (i % 10) || '/Team' || (i % 50) AS ou_path,
    ['r-ab12', 'ou-ab12-unit' || (i % 10), 'ou-ab12-' || (i % 50)] AS unit_ids,
    TIMESTAMPTZ '2020-01-01' AS joined_at,
    TIMESTAMPTZ '2026-11-01 02:00' AS collected_at,
    collected_at AS details_read_at
FROM range(getvariable('accounts')) AS t(i);

CREATE TABLE scan_targets AS
SELECT
    account_id,
    region,
    'COLLECTED' AS outcome,
    NULL::VARCHAR AS error_code,
    NULL::VARCHAR AS error_message,
    getvariable('per_region')::BIGINT AS repository_count,
    1::BIGINT AS api_calls,
    0::BIGINT AS retries,
    0::BIGINT AS throttles,
    TIMESTAMPTZ '2026-11-01 02:00' AS started_at,
    100::BIGINT AS duration_ms,
    []::STRUCT(facet VARCHAR, error_code VARCHAR, error_message VARCHAR, objects BIGINT)[] AS facets_failed,
    uuid()::VARCHAR AS request_id
FROM accounts
CROSS JOIN (SELECT unnest(['ap-south-1', 'ap-southeast-1', 'eu-central-1', 'eu-west-1', 'eu-west-2', 'sa-east-1',
    'us-east-1', 'us-east-2', 'us-west-1', 'us-west-2']) AS region);

CREATE VIEW repositories AS
WITH named AS (
    SELECT
        account_id,
        region,
        k,
        getvariable('night') = 2 AND hash(k, account_id, region) % 1000 = 0 AS is_new,
        getvariable('night') = 2 AND hash(k, region, account_id) % 100 = 0 AS is_changed,
        concat(
            'payments/service-', lpad(k::VARCHAR, 4, '0'), '-', substr(md5(concat(account_id, region, k, is_new)), 1, 8)
        ) AS repository_name,
        (hash(account_id, region, k) + is_changed::INTEGER) % 10 AS kind
    FROM scan_targets
    CROSS JOIN range(getvariable('per_region')) AS t(k)
)
SELECT
    account_id,
    region,
    repository_name,
    concat('arn:aws:ecr:', region, ':', account_id, ':repository/', repository_name) AS repository_arn,
    concat(account_id, '.dkr.ecr.', region, '.amazonaws.com/', repository_name) AS repository_uri,
    CASE
        WHEN is_new THEN TIMESTAMPTZ '2026-11-01 12:00'
        ELSE TIMESTAMPTZ '2024-01-01' + to_minutes(k::INTEGER)
    END AS created_at,
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
    TIMESTAMPTZ '2026-11-01 02:00' + to_days(getvariable('night')::INTEGER - 1) AS collected_at,
    collected_at AS tags_read_at,
    TRUE AS observed,
    'SCAN_ON_PUSH' AS scan_frequency,
    ['*'] AS scan_filters,
    CASE WHEN NOT getvariable('unread') THEN collected_at END AS scanning_read_at,
    NULL::VARCHAR AS kms_key_manager,
    CASE WHEN NOT getvariable('unread') THEN collected_at END AS keys_read_at,
    NULL::VARCHAR AS lifecycle_policy,
    CASE WHEN NOT getvariable('unread') THEN collected_at END AS lifecycle_read_at,
    NULL::VARCHAR AS repository_policy,
    CASE WHEN NOT getvariable('unread') THEN collected_at END AS policies_read_at,
    []::STRUCT(facet VARCHAR, error_code VARCHAR)[] AS facets_failed
FROM named;

CREATE VIEW registries AS
SELECT
    account_id,
    region,
    concat('arn:aws:ecr:', region, ':', account_id, ':registry') AS registry_arn,
    []::STRUCT(
        prefix VARCHAR, applied_for VARCHAR[], image_tag_mutability VARCHAR, exclusion_filters VARCHAR[]
    )[] AS creation_templates,
    []::STRUCT(prefix VARCHAR, upstream_registry_url VARCHAR)[] AS pull_through_rules,
    TIMESTAMPTZ '2026-11-01 02:00' + to_days(getvariable('night')::INTEGER - 1) AS collected_at,
    CASE WHEN NOT getvariable('unread') THEN collected_at END AS registries_read_at,
    TRUE AS observed,
    []::STRUCT(facet VARCHAR, error_code VARCHAR)[] AS facets_failed
FROM scan_targets;

CREATE VIEW image_tag_reads AS
SELECT
    repository_arn,
    account_id,
    region,
    repository_name,
    'COLLECTED' AS outcome,
    NULL::VARCHAR AS error_code,
    NULL::VARCHAR AS error_message,
    50::BIGINT AS tags,
    1::BIGINT AS calls,
    TRUE AS complete,
    TRUE AS compared,
    collected_at AS read_at,
    collected_at AS complete_at,
    tags AS complete_tags,
    created_at,
    image_tag_mutability,
    []::VARCHAR[] AS exclusion_filters,
    0::BIGINT AS tags_added,
    0::BIGINT AS tags_removed,
    [collected_at::DATE] AS read_nights,
    read_nights AS compared_nights,
    0::BIGINT AS moves,
    0::BIGINT AS tags_moved,
    0::BIGINT AS release_tags_moved,
    0::BIGINT AS tags_moved_though_immutable,
    NULL::TIMESTAMPTZ AS last_moved_at,
    []::VARCHAR[] AS moved_release_tags,
    []::VARCHAR[] AS moved_immutable_tags
FROM (SELECT * EXCLUDE (tags) FROM repositories)
"""

# A night's inventory is checked before it is committed; without that, evaluating would look for keys with several rows.
CHECKED = {INVENTORY_CHECKS: [check.name for check in inventory_checks()]}


def main() -> None:
    """Make each organization, then measure each step on it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", type=int, nargs="*", default=SIZES)
    parser.add_argument("--publish", action="store_true")
    parser.add_argument(
        "--unread", action="store_true", help="no facet was read; one night, and why that leaves it undetermined"
    )
    parser.add_argument("--image-tags", action="store_true", help="the image tags of all repositories were read")
    parser.add_argument("--policies", default="", help=POLICIES_HELP)
    arguments = parser.parse_args()
    policies = arguments.policies
    rows = []
    for repositories in arguments.repositories:
        with tempfile.TemporaryDirectory(prefix="ecr-audit-benchmark-") as folder:
            in_fresh_process(make, folder, repositories, arguments.unread, arguments.image_tags)
            if arguments.unread:
                for step in ("evaluate", "roll_up"):
                    in_fresh_process(run, folder, 1, step, policies)
                cost = in_fresh_process(count_reasons, folder, policies)
                rows.append([repositories, 1, "reasons", cost.wall, cost.cpu, "-", round(cost.peak_mb)])
                continue
            for night in (1, 2):
                steps = ["evaluate", "roll_up", *(["publish"] if arguments.publish and night == 2 else [])]
                costs = {step: in_fresh_process(run, folder, night, step, policies) for step in steps}
                costs["evaluate + roll_up"] = together(costs["evaluate"], costs["roll_up"])
                costs["floor"] = floor = in_fresh_process(run, folder, night, "floor")
                rows += [
                    [repositories, night, step, cost.wall, cost.cpu, cost.cpu / floor.cpu, round(cost.peak_mb)]
                    for step, cost in costs.items()
                ]
    print_table(["repositories", "night", "step", "wall s", "CPU s", "CPU / floor", "peak MB"], rows)


def together(*costs: Cost) -> Cost:
    """The cost of several steps, one after the other."""
    return Cost(
        None, sum(cost.wall for cost in costs), sum(cost.cpu for cost in costs), max(cost.peak_mb for cost in costs)
    )


def in_fresh_process(function: Callable[..., Cost | None], *arguments: object) -> Any:
    """The result of a function of this file, run in a process of its own."""
    # Forked from one that does nothing itself: in a spawned one, DuckDB shows progress bars as in a shell.
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as process:
        return process.submit(function, *arguments).result()


def catalog_of(policies: str) -> Catalog:
    """The audit's catalog with the policies whose ids contain a text; SystemExit if there is none."""
    catalog = load_catalog(SQL_ROOT)
    kept = [policy for policy in catalog.policies if policies in policy.id]
    if not kept:
        raise SystemExit(f"--policies={policies}: no id contains that: {', '.join(p.id for p in catalog.policies)}")
    return Catalog(kept, catalog.frameworks)


def run(folder: str, night: int, step: str, policies: str = "") -> Cost:
    """Run one step on a night, and return its cost. `policies`: see `catalog_of`."""
    lake, catalog, day = Lake(f"{folder}/lake"), catalog_of(policies), NIGHTS[night - 1]
    steps = {
        "evaluate": lambda: evaluate(lake, catalog, day, owner_tags=OWNER_TAGS),
        "roll_up": lambda: roll_up(lake, catalog, day),
        "publish": lambda: publish(
            lake, catalog, Path(folder, "publish"), owner_tags=OWNER_TAGS, options=ExportSettings(exports=())
        ),
        "floor": lambda: read_and_write(lake, day),
    }
    with hidden_modules("pandas"):  # as in the process of a step
        cost = measure(steps[step])
    return Cost(None, cost.wall, cost.cpu, cost.peak_mb)


def count_reasons(folder: str, policies: str) -> Cost:
    """Count why the verdicts of the first night are undetermined, in a session like that of publishing."""
    lake, catalog, day = Lake(f"{folder}/lake"), catalog_of(policies), NIGHTS[0]
    with (
        fetch_snapshot(lake, day, purpose="reasons") as snapshot,
        open_warehouse(snapshot, catalog, owner_tags=OWNER_TAGS) as warehouse,
    ):
        for given in fetch_stage(lake, lake.read_commit("compliance", day), "compliance", snapshot.folder):
            warehouse.register_input(given)
        cost = measure(
            lambda: warehouse.query(read_statement("marts/undetermined_reasons"), snapshot_date=day).num_rows
        )
    assert cost.result, "no verdict is undetermined"
    return cost


def read_and_write(lake: Lake, day: date) -> None:
    """Read what `evaluate` and `roll_up` read for a night that is committed, and write what they commit."""
    with fetch_snapshot(lake, day, purpose="floor") as snapshot, open_session(snapshot) as warehouse:
        committed = fetch_stage(lake, lake.read_commit("compliance", day), "compliance", snapshot.folder)
        for path in paths(snapshot.inputs):
            # Reads and decodes all rows, and keeps none; count() would read the file's own statistics only.
            warehouse.connection.execute(f"EXPLAIN ANALYZE FROM read_parquet('{path}')")
        for path in paths(committed):
            rows = parse_statement(path.name, f"FROM read_parquet('{path}', hive_partitioning = FALSE)")
            warehouse.write(rows, snapshot.folder / "written.parquet")


def paths(inputs: Sequence[Input]) -> list[Path]:
    """The files of tables."""
    return [path for given in inputs for files in given.snapshots for path in files.paths]


def make(folder: str, repositories: int, unread: bool, image_tags: bool) -> None:
    """Commit the inventories of both nights, `unread` without a facet, and with `image_tags` how those were read."""
    lake = Lake(f"{folder}/lake")
    accounts = max(1, repositories // 2000)
    with organization(folder, accounts=accounts, per_region=200, unread=unread) as database:
        for number, night in enumerate(NIGHTS, start=1):
            scan(database, lake, number, night)
            if image_tags:
                read_image_tags(database, lake, night)


@contextmanager
def organization(
    folder: str, *, accounts: int, per_region: int, unread: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A session that has the tables of ORGANIZATION: accounts of 10 regions with a number of repositories each."""
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'; SET memory_limit = '2GB'; SET preserve_insertion_order = FALSE")
        database.execute("SET temp_directory = $folder", {"folder": f"{folder}/making"})
        for name, value in (("accounts", accounts), ("per_region", per_region), ("unread", unread)):
            database.execute(f"SET VARIABLE {name} = $value", {"value": value})
        database.execute(ORGANIZATION)
        yield database


def scan(database: duckdb.DuckDBPyConnection, lake: Lake, number: int, night: date) -> None:
    """Commit the first or the second inventory of an organization as that of a night."""
    database.execute("SET VARIABLE night = $number", {"number": number})
    with lake.writer("inventory", night) as writer:
        for table in (ACCOUNTS, SCAN_TARGETS, REPOSITORIES, REGISTRIES):
            write(database, writer, table)
        writer.commit(CHECKED)


def read_image_tags(database: duckdb.DuckDBPyConnection, lake: Lake, night: date) -> None:
    """Commit how the image tags of the inventory made last were read: no tag moved."""
    with lake.writer("image_tags", night) as writer:
        write(database, writer, IMAGE_TAG_READS)
        for table in (IMAGE_TAGS, TAG_MOVES):
            writer.write(table, table.schema.empty_table())
        writer.commit({"image_tags": ImageTags.ALL.value})


def write(database: duckdb.DuckDBPyConnection, writer: SnapshotWriter, table: LakeTable) -> None:
    """Write a table of the organization as a file of the lake."""
    columns, order = ", ".join(table.schema.names), ", ".join(table.sort_by)
    database.execute(
        f"COPY (SELECT {columns} FROM {table.name} ORDER BY {order}) TO $path (COMPRESSION zstd)",
        {"path": str(writer.path(table))},
    )


if __name__ == "__main__":
    main()
