"""The scan against the floor: `python benchmarks/scan.py` (1,000 accounts), or `… --accounts 10000`.

The floor is a bound for any program: its calls x latency / calls in flight. The first row, without latency, is
the one for CPU per target. Discovery is not part of it: `discovery.py` measures that. `--collect tags all` gives a
row with tags alone, as before there were facets, and one with all of them by rotation.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import date
from functools import partial
from typing import Any

from measuring import emulated_aws, in_fresh_process, measure, print_table

from demo.large import large_world

# The most in one batch, as in a night: memory is bounded by the batch.
BATCH_ACCOUNTS = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1_000)
    parser.add_argument("--regions", type=int, default=17)
    parser.add_argument("--latency", type=float, nargs="*", default=[0, 40], help="milliseconds; several give rows")
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--collect", nargs="*", default=["tags"], help="ECR_AUDIT_COLLECT; several give rows")
    parser.add_argument("--rotation-nights", type=int, default=7)
    options = parser.parse_args()
    rows = [_row(options, latency / 1000, collect) for collect in options.collect for latency in options.latency]
    headings = (
        "collect",
        "latency ms",
        "targets",
        "repositories",
        "calls",
        "calls/target",
        "floor s",
        "wall s",
        "wall/floor",
    )
    print_table((*headings, "CPU ms/target", "connections", "in flight", "peak MB"), rows)


def _row(options: argparse.Namespace, latency: float, collect: str) -> tuple[Any, ...]:
    world = partial(large_world, options.accounts, options.regions)
    given = (options.in_flight, collect, options.rotation_nights)
    with emulated_aws(world, latency=latency) as aws, tempfile.TemporaryDirectory() as folder:
        plan = in_fresh_process(aws, plan_night, folder, *given)
        before = aws.seen()
        cost = in_fresh_process(aws, scan_night, *plan, *given)
        after = aws.seen()
    targets, repositories = cost.result
    calls = after.calls - before.calls
    floor = calls * latency / options.in_flight
    return (
        collect,
        round(latency * 1000),
        targets,
        repositories,
        calls,
        calls / targets,
        floor,
        cost.wall,
        cost.wall / floor if floor else "-",
        cost.cpu / targets * 1000,
        after.connections - before.connections,
        after.max_in_flight,
        round(cost.peak_mb),
    )


def plan_night(folder: str, *given: Any) -> tuple[str, str, list[int]]:
    """Plan a scan of everything, without the pace that AWS Organizations asks for. Returns lake, plan and batches."""
    from ecr_audit.aws import organizations_reader
    from ecr_audit.aws.session import connect_hub
    from ecr_audit.inventory.plan import ScanScope, cut_batches, discover
    from ecr_audit.lake.lake import Lake

    organizations_reader.CALLS_PER_SECOND = 10_000
    lake = Lake(folder)
    hub = connect_hub()
    plan = discover(lake, hub, snapshot_date=date(2026, 11, 22), run_id="benchmark", scope=ScanScope())
    return lake.root, plan.plan_id, cut_batches(lake, hub, plan.plan_id, _settings(*given), ScanScope())


def scan_night(lake_root: str, plan_id: str, batches: list[int], *given: Any) -> Any:
    """Scan all batches, one after the other. Returns the cost, with the numbers of targets and repositories."""
    from ecr_audit.aws.session import connect_hub
    from ecr_audit.inventory.scan import scan_batch
    from ecr_audit.lake.lake import Lake

    lake, hub, settings = Lake(lake_root), connect_hub(), _settings(*given)

    def scan() -> tuple[int, int]:
        done = [scan_batch(lake, hub, plan_id, batch, settings) for batch in batches]
        return sum(each.targets for each in done), sum(each.repositories for each in done)

    return measure(scan)


def _settings(in_flight: int, collect: str, rotation_nights: int) -> Any:
    from ecr_audit.settings import Settings

    # Settings read a text as a variable's.
    given: dict[str, Any] = {"collect": collect, "collect_rotation_nights": rotation_nights}
    return Settings(concurrency=in_flight, batch_accounts=BATCH_ACCOUNTS, **given)


if __name__ == "__main__":
    main()
