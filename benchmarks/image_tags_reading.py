"""Reading image tags against the floor: `python benchmarks/image_tags_reading.py` (300,000 repositories of 50 tags).

The floor is a bound for any program: its calls x latency / calls in flight. Accounts have 200 repositories each, in one
region. `--slow` adds an account whose registry answers ten calls a second, with as many repositories as given, and
reads several nights: what a night did not reach goes on in the next, and the other registries do not wait.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
from measuring import emulated_aws, in_fresh_process, measure, print_table

from demo.emulated_aws.faults import Delay, Fault
from demo.emulated_aws.world import Account, Image, Region, Repository, World

NIGHT = date(2026, 11, 22)
HUB, SLOW, REGION = "900000000000", "800000000000", "eu-west-1"
REPOSITORIES, TAGS = 200, 50
BATCH_ACCOUNTS = 100

# The calls in flight for one registry, and the answer of the slow one, in seconds: together ten calls a second.
REGISTRY_CONCURRENCY, SLOW_SECONDS = 8, 0.8

# The rows of a plan, see sql/image_tags/plan.sql, as far as reading needs them.
PLAN = """
SELECT
    format('arn:aws:ecr:eu-west-1:{}:repository/service-{:06d}', account_id, number) AS repository_arn,
    account_id,
    'eu-west-1' AS region,
    format('service-{:06d}', number) AS repository_name,
    TRUE AS is_read,
    NULL::TIMESTAMPTZ AS last_read_at,
    (rank // $batch_accounts)::INTEGER AS batch
FROM (
    SELECT format('{:012d}', 1 + number) AS account_id, number AS rank, $per_account AS repositories
    FROM range($accounts) AS accounts(number)
    UNION ALL
    -- Among those of the first batch.
    SELECT $slow_account, 0, $slow_repositories
)
CROSS JOIN LATERAL range(repositories) AS repositories(number)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repositories", type=int, default=300_000)
    parser.add_argument("--latency", type=float, default=40, help="milliseconds")
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument(
        "--slow", type=int, default=0, help="repositories of a registry that answers ten calls a second"
    )
    parser.add_argument("--nights", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2400, help="ECR_AUDIT_BATCH_SECONDS")
    options = parser.parse_args()
    latency = options.latency / 1000
    accounts = max(1, options.repositories // REPOSITORIES)
    slow = Fault(Delay(SLOW_SECONDS), operation="ListImages", account=SLOW)
    rows = []
    with (
        emulated_aws(partial(make_world, accounts, options.slow), latency=latency, faults=[slow]) as aws,
        tempfile.TemporaryDirectory() as folder,
    ):
        for number in range(options.nights):
            plan_night(folder, NIGHT + timedelta(number), accounts, options.slow)
            before = aws.seen()
            cost = in_fresh_process(
                aws, read_night, folder, NIGHT + timedelta(number), options.in_flight, options.seconds
            )
            calls = aws.seen().operations["ecr:ListImages"] - before.operations["ecr:ListImages"]
            read, of_slow, tags = cost.result
            floor = calls * latency / options.in_flight
            ratio = "-" if options.slow else cost.wall / floor
            per_call = cost.cpu / calls * 1000
            row = (number + 1, read, of_slow, tags, calls, floor, cost.wall, ratio, per_call, round(cost.peak_mb))
            rows.append(row)
    headings = (
        "night",
        "repositories read",
        "in the slow registry",
        "tags",
        "calls",
        "floor s",
        "wall s",
        "wall/floor",
    )
    print_table((*headings, "CPU ms/call", "peak MB"), rows)


def make_world(accounts: int, slow: int) -> World:
    """Accounts whose repositories all have the same tags; the slow one has as many repositories as given."""
    images = tuple(Image(f"sha256:{number:064x}", (f"1.{number}.0",)) for number in range(TAGS))
    of_account = [Repository(f"service-{number:06d}", images=images) for number in range(REPOSITORIES)]
    of_slow = [Repository(f"service-{number:06d}", images=images) for number in range(slow)]
    ids = [f"{1 + number:012d}" for number in range(accounts)]

    def repositories(account_id: str, _: str) -> Sequence[Repository]:
        return of_slow if account_id == SLOW else of_account

    return World(
        accounts={account_id: Account(account_id, account_id, "r-demo") for account_id in (HUB, SLOW, *ids)},
        regions=[Region(REGION)],
        hub_account_id=HUB,
        management_account_id=HUB,
        repository_source=repositories,
    )


def plan_night(folder: str, night: date, accounts: int, slow: int) -> None:
    """Plan the reading of all repositories, those whose turn was longest ago first, as the night before read them."""
    from ecr_audit.image_tags.plan import FOLDER, TagPlan, folder_of
    from ecr_audit.lake.lake import Lake
    from ecr_audit.vocabulary import ImageTags

    lake = Lake(folder)
    earlier = [str(path) for path in Path(folder).glob(f"{FOLDER}/*/tag_reads-*.parquet")]
    with duckdb.connect() as database, lake.storage.scratch("plan") as scratch:
        database.execute("SET TimeZone = 'UTC'")
        given = {
            "accounts": accounts,
            "per_account": REPOSITORIES,
            "batch_accounts": BATCH_ACCOUNTS,
            "slow_account": SLOW,
            "slow_repositories": slow,
        }
        database.execute(f"CREATE TABLE plan AS {PLAN}", given)
        if earlier:
            database.execute(
                """
                UPDATE plan SET last_read_at = r.read_at
                FROM (SELECT repository_arn, max(read_at) AS read_at FROM read_parquet($earlier) GROUP BY ALL) AS r
                WHERE r.repository_arn = plan.repository_arn
                """,
                {"earlier": earlier},
            )
        path = scratch / "plan.parquet"
        database.execute(f"COPY plan TO '{path}'")
        batches = tuple(range((accounts - 1) // BATCH_ACCOUNTS + 1))
        plan = TagPlan(night, "made", ImageTags.ALL, "plan-00000000.parquet", batches)
        lake.storage.move_in(path, f"{folder_of(night)}/{plan.file}")
        (scratch / "plan.json").write_text(json.dumps(asdict(plan), default=str), encoding="utf-8")
        lake.storage.move_in(scratch / "plan.json", f"{folder_of(night)}/plan.json")


def read_night(folder: str, night: date, in_flight: int, seconds: float) -> Any:
    """Read all batches, one after the other. The result: repositories that were read, those of the slow one, tags."""
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    from ecr_audit.aws.session import connect_hub
    from ecr_audit.image_tags.plan import folder_of, read_plan
    from ecr_audit.image_tags.read import read_batch
    from ecr_audit.lake.lake import Lake
    from ecr_audit.settings import Settings

    lake, hub = Lake(folder), connect_hub()
    settings = Settings(concurrency=in_flight, registry_concurrency=REGISTRY_CONCURRENCY, batch_seconds=seconds)
    plan = read_plan(lake, night)

    def read() -> tuple[int, int, int]:
        done = [read_batch(lake, hub, plan, batch, settings, "benchmark") for batch in plan.batches]
        reads = ds.dataset(sorted(Path(folder, folder_of(night)).glob("tag_reads-*.parquet"))).to_table()
        complete = reads.filter(pc.field("complete"))["repository_arn"]
        of_slow = pc.sum(pc.match_substring(complete, SLOW)).as_py() or 0
        return len(complete), of_slow, sum(each.tags for each in done)

    return measure(read)


if __name__ == "__main__":
    main()
