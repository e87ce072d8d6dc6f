"""The steps around the scan, for a large organization: `python benchmarks/discovery.py` (10,000 accounts x 17).

Discovery keeps the pace of AWS Organizations, 8 calls a second. The parts that the commit joins are made from the
world, in place of a scan; the second night has a snapshot to carry on from.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import date
from functools import partial
from typing import Any

from measuring import Cost, emulated_aws, in_fresh_process, measure, print_table

from demo.large import large_world

NIGHTS = (date(2026, 11, 21), date(2026, 11, 22))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--regions", type=int, default=17)
    options = parser.parse_args()
    rows: list[tuple[Any, ...]] = []

    def print_step(step: str, calls: int, cost: Cost, rest: str) -> None:
        rows.append((step, calls, cost.wall, cost.cpu, round(cost.peak_mb), rest))

    world = partial(large_world, options.accounts, options.regions)
    with emulated_aws(world) as aws, tempfile.TemporaryDirectory() as folder:
        for night in NIGHTS:
            before = aws.seen().calls
            found = in_fresh_process(aws, discover, folder, night)
            print_step("discover_organization", aws.seen().calls - before, found, f"{options.accounts:,} accounts")
            plan_id = found.result
            planned = in_fresh_process(aws, plan, folder, plan_id)
            print_step("plan_scan", 1, planned, f"{len(planned.result)} batches")
            in_fresh_process(aws, make_parts, folder, plan_id, planned.result, options.accounts, options.regions)
            committed = in_fresh_process(aws, commit, folder, plan_id)
            print_step("commit_snapshot", 0, committed, f"{committed.result:,} repositories")
    print_table(("step", "calls", "wall s", "CPU s", "peak MB", ""), rows)


def discover(folder: str, night: date) -> Cost:
    """Cost of discovery; the result is the plan's id."""
    from ecr_audit.aws.session import connect_hub
    from ecr_audit.inventory import plan
    from ecr_audit.lake.lake import Lake

    hub, scope = connect_hub(), plan.ScanScope()
    return measure(lambda: plan.discover(Lake(folder), hub, snapshot_date=night, run_id="b", scope=scope).plan_id)


def plan(folder: str, plan_id: str) -> Cost:
    """Cost of planning; the result is the batches."""
    from ecr_audit.aws.session import connect_hub
    from ecr_audit.inventory.plan import ScanScope, cut_batches
    from ecr_audit.lake.lake import Lake
    from ecr_audit.settings import Settings

    return measure(cut_batches, Lake(folder), connect_hub(), plan_id, Settings(), ScanScope())


def make_parts(folder: str, plan_id: str, batches: list[int], accounts: int, regions: int) -> None:
    """Write the part of each batch as a scan would have left it."""
    import pyarrow.compute as pc

    from ecr_audit.aws.answers import Unread
    from ecr_audit.aws.dispatcher import Effort
    from ecr_audit.aws.ecr.repositories import read_repositories
    from ecr_audit.aws.ecr.target import TargetScan
    from ecr_audit.aws.outcomes import Outcome
    from ecr_audit.inventory.parts import write_part
    from ecr_audit.inventory.plan_files import read_plan, read_plan_table
    from ecr_audit.lake.lake import Lake

    world, lake = large_world(accounts, regions), Lake(folder)
    plan = read_plan(lake, plan_id)
    planned = read_plan_table(lake, plan, "targets.parquet")
    for batch in batches:
        ended = []
        for target in planned.filter(pc.field("batch") == batch).to_pylist():
            account_id, region = target["account_id"], target["region"]
            found = [
                {
                    "repositoryName": each.name,
                    "repositoryArn": f"arn:aws:ecr:{region}:{account_id}:repository/{each.name}",
                    "createdAt": each.created_at,
                    "imageTagMutability": each.image_tag_mutability,
                }
                for each in world.repositories(account_id, region)
            ]
            repositories = read_repositories(found, account_id, region, Unread())
            scan = TargetScan(account_id, region, Outcome.COLLECTED, repositories)
            ended.append((scan, Effort(calls=1)))
        with write_part(lake, plan, batch) as part:
            part.add(ended)


def commit(folder: str, plan_id: str) -> Cost:
    """Cost of the commit; the result is the number of repositories."""
    from ecr_audit.inventory.commit import commit_snapshot
    from ecr_audit.lake.lake import Lake

    return measure(lambda: commit_snapshot(Lake(folder), plan_id).rows["repositories"])


if __name__ == "__main__":
    main()
