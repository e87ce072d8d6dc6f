"""Comparing the image tags of a night with the night before: `python benchmarks/image_tags.py` (1 and 5 million tags).

Repositories have 50 tags each; since the night before 1 % of all tags have moved. The parts of the reading are made, in
place of a scan. Measured is the task `commit_tags`: intervals are joined with what is listed, and written again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import duckdb
from measuring import Cost, measure, print_table

from ecr_audit.aws.ecr.image_tags import TagRead
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.hidden_modules import hidden_modules
from ecr_audit.image_tags.history import commit_tags
from ecr_audit.image_tags.parts import write_part
from ecr_audit.image_tags.plan import TagPlan, folder_of
from ecr_audit.lake.lake import Lake
from ecr_audit.vocabulary import ImageTags

NIGHTS = (date(2026, 11, 21), date(2026, 11, 22))
NIGHT_TIMES = [datetime.combine(night, time(3), UTC) for night in NIGHTS]
TAGS, MOVED_PERCENT = 50, 1
# In each account, all in one region.
REPOSITORIES = 200

# The rows of a plan, see sql/image_tags/plan.sql; a batch for every 40 accounts.
PLAN = """
SELECT
    format('arn:aws:ecr:eu-west-1:{:012d}:repository/team/service-{:03d}', account, number) AS repository_arn,
    format('{:012d}', account) AS account_id,
    'account ' || account AS account_name,
    'ou-demo-00000001' AS ou_id,
    'Root/Prod' AS ou_path,
    'eu-west-1' AS region,
    format('team/service-{:03d}', number) AS repository_name,
    'team' AS owner,
    'tag' AS owner_source,
    TIMESTAMPTZ '2026-01-01 00:00:00Z' AS created_at,
    'MUTABLE' AS image_tag_mutability,
    []::VARCHAR[] AS exclusion_filters,
    TRUE AS is_wanted,
    TRUE AS is_read,
    'COLLECTED' AS outcome,
    NULL::VARCHAR AS error_code,
    NULL::VARCHAR AS error_message,
    NULL::TIMESTAMPTZ AS last_read_at,
    1::BIGINT AS calls,
    (account // 40)::INTEGER AS batch
FROM range($accounts) AS accounts(account)
CROSS JOIN range($per_account) AS repositories(number)
ORDER BY account, number
"""


def main() -> None:
    """Make two nights of each size, then measure the second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tags", type=int, nargs="*", default=[1_000_000, 5_000_000])
    rows: list[tuple[Any, ...]] = []
    for tags in parser.parse_args().tags:
        with tempfile.TemporaryDirectory() as folder:
            for number in (1, 2):
                in_fresh_process(make_parts, folder, tags, number)
                cost = in_fresh_process(commit, folder, number)
                megabytes = sum(
                    path.stat().st_size for path in Path(folder).glob(f"image_tags/*{NIGHTS[number - 1]}/*")
                )
                night = ("first", "second")[number - 1]
                rows.append(
                    (tags, night, cost.result, cost.wall, cost.cpu, round(cost.peak_mb), round(megabytes / 1e6))
                )
    print_table(("tags", "night", "moves", "wall s", "CPU s", "peak MB", "image_tags MB"), rows)


def in_fresh_process(function: Callable[..., Any], *arguments: object) -> Any:
    """The result of a function of this file, run in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as process:
        return process.submit(function, *arguments).result()


def make_parts(folder: str, tags: int, number: int) -> None:
    """Plan a night, and write the parts of its batches as if all repositories had been read."""
    lake, night = Lake(folder), NIGHTS[number - 1]
    accounts = max(1, tags // TAGS // REPOSITORIES)
    with duckdb.connect() as database, lake.storage.scratch("plan") as scratch:
        database.execute("SET TimeZone = 'UTC'")
        path = scratch / "plan.parquet"
        given = {"accounts": accounts, "per_account": REPOSITORIES}
        database.execute(f"COPY ({PLAN}) TO '{path}' (COMPRESSION zstd)", given)
        rows = database.execute(f"SELECT batch, account_id, repository_arn FROM '{path}'").fetchall()
        batches = sorted({batch for batch, *_ in rows})
        plan = TagPlan(night, "made", ImageTags.ALL, "plan-00000000.parquet", tuple(batches))
        lake.storage.move_in(path, f"{folder_of(night)}/{plan.file}")
        (scratch / "plan.json").write_text(json.dumps(asdict(plan), default=str), encoding="utf-8")
        lake.storage.move_in(scratch / "plan.json", f"{folder_of(night)}/plan.json")
    tag_number = 0
    for batch in batches:
        with write_part(lake, plan, batch) as part:
            for _, account_id, arn in (row for row in rows if row[0] == batch):
                read = TagRead(arn)
                for tag in range(TAGS):
                    tag_number += 1
                    moved = number == 2 and tag_number % 100 < MOVED_PERCENT
                    read.tags[f"1.{tag}.0"] = f"sha256:{hashlib.sha256(f'{tag_number} {moved}'.encode()).hexdigest()}"
                read.read_at = NIGHT_TIMES[number - 1]
                read.end(Outcome.COLLECTED)
                part.add(account_id, [(arn, read)])


def commit(folder: str, number: int) -> Cost:
    """Cost of comparing and committing a night; the result is the number of moves."""
    lake = Lake(folder)
    with hidden_modules("pandas"):  # as in the process of a step
        cost = measure(lambda: commit_tags(lake, NIGHTS[number - 1], 400).rows["tag_moves"])
    return Cost(cost.result, cost.wall, cost.cpu, cost.peak_mb)


if __name__ == "__main__":
    main()
