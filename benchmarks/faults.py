"""The cost of one bad account to the others: `python benchmarks/faults.py`.

The same organization is scanned undisturbed, with an account that is throttled for ever, and with one that never
answers. The last column is when the other accounts were done, compared with the undisturbed scan.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

from measuring import emulated_aws, in_fresh_process, print_table
from scan import plan_night

from demo.emulated_aws.faults import Fault, Hang, Throttle
from demo.large import large_world

ACCOUNTS, REGIONS, LATENCY, IN_FLIGHT, TARGET_SECONDS = 600, 17, 0.04, 64, 25
BAD = "100000000300"
NIGHTS = {
    "undisturbed": [],
    "one account throttled for ever": [Fault(Throttle(), service="ecr", account=BAD)],
    "one account never answers": [Fault(Hang(), service="ecr", account=BAD)],
}


def main() -> None:
    rows: list[tuple[Any, ...]] = []
    undisturbed = 0.0
    for name, faults in NIGHTS.items():
        world = partial(large_world, ACCOUNTS, REGIONS)
        with emulated_aws(world, latency=LATENCY, faults=faults) as aws, tempfile.TemporaryDirectory() as folder:
            plan = in_fresh_process(aws, plan_night, folder, IN_FLIGHT)
            others, outcomes, everything = in_fresh_process(aws, scan_night, *plan)
        undisturbed = undisturbed or others
        ended = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
        rows.append((name, ended, everything, others, others / undisturbed))
    print_table(("night", "its targets", "all done after s", "others done after s", "others, ratio"), rows)


def scan_night(lake_root: str, plan_id: str, batches: list[int]) -> tuple[float, Counter[str], float]:
    """Scan; returns when the other accounts were done, the bad one's outcomes, and when all was done."""
    from ecr_audit.aws.session import connect_hub
    from ecr_audit.inventory.parts import read_part
    from ecr_audit.inventory.plan_files import read_plan
    from ecr_audit.inventory.scan import scan_batch
    from ecr_audit.lake.lake import Lake
    from ecr_audit.settings import Settings

    lake = Lake(lake_root)
    settings = Settings(concurrency=IN_FLIGHT, target_seconds=TARGET_SECONDS)
    rows: list[dict[str, Any]] = []
    for batch in batches:
        scan_batch(lake, connect_hub(), plan_id, batch, settings)
        part = read_part(lake, read_plan(lake, plan_id), batch)
        rows += part[0].to_pylist() if part else []
    began = min(row["started_at"] for row in rows)

    def done(wanted: list[dict[str, Any]]) -> float:
        ends = [row["started_at"] + timedelta(milliseconds=row["duration_ms"]) for row in wanted]
        seconds: float = (max(ends) - began).total_seconds()
        return seconds

    outcomes = Counter(row["outcome"] for row in rows if row["account_id"] == BAD)
    return done([row for row in rows if row["account_id"] != BAD]), outcomes, done(rows)


if __name__ == "__main__":
    main()
