"""The scan against the floor: `python benchmarks/scan.py` (1,000 accounts), or `… --accounts 10000`.

The floor is a bound for any program: its calls x latency / calls in flight. The first row, without latency, is
the one for CPU per target. Discovery is not part of it: `discovery.py` measures that. `--collect tags all` gives a
row with tags alone, as before there were facets, and one with all of them by rotation. `--count` scans nothing: it
counts the calls that a night should make, from the organization itself.

`--terminal` runs all of `make audit-aws`, and takes the time from the scan's first call to the last answer of AWS.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from measuring import ROOT, Aws, emulated_aws, in_fresh_process, measure, print_table, terminal_environment

from demo.large import large_world

# The most in one batch, as in a night: memory is bounded by the batch.
BATCH_ACCOUNTS = 1_000

# The calls of a scan, as the emulated AWS counts them.
SCAN_CALLS = ("sts:AssumeRole", "ecr:", "tagging:", "kms:")

NIGHT = date(2026, 11, 22)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1_000)
    parser.add_argument("--regions", type=int, default=17)
    parser.add_argument("--latency", type=float, nargs="*", default=[0, 40], help="milliseconds; several give rows")
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--collect", nargs="*", default=["tags"], help="ECR_AUDIT_COLLECT; several give rows")
    parser.add_argument("--rotation-nights", type=int, default=7)
    parser.add_argument("--count", action="store_true", help="count the calls of a night, without a scan")
    parser.add_argument("--terminal", action="store_true", help="run make audit-aws, with its own batches")
    options = parser.parse_args()
    if options.terminal:
        _print_terminal(options)
        return
    if options.count:
        counts = {collect: calls_of_a_night(options, collect) for collect in options.collect}
        columns = list(counts[options.collect[0]])
        print_table(
            ["collect", *columns, "calls"],
            [[collect, *each.values(), sum(each.values())] for collect, each in counts.items()],
        )
        return
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


def calls_of_a_night(options: argparse.Namespace, collect: str) -> dict[str, int]:
    """The calls that the night of a scan should make, by what they are for, if nothing is retried."""
    from ecr_audit.aws.ecr.facets import FACET, Wanted
    from ecr_audit.vocabulary import Facet

    settings = _settings(options.in_flight, collect, options.rotation_nights)
    wanted = Wanted(settings.collect, NIGHT, options.rotation_nights)
    calls = {"sts": 1, "list": 0} | dict.fromkeys(Facet, 0)
    world = large_world(options.accounts, options.regions)
    for account_id in world.accounts:
        calls["sts"] += account_id != world.hub_account_id
        for region in world.regions:
            repositories = world.repository_source(account_id, region.name)
            calls["list"] += max(1, math.ceil(len(repositories) / 1000))
            if not repositories:
                continue
            prefix = f"arn:aws:ecr:{region.name}:{account_id}:"
            arns = [f"{prefix}repository/{each.name}" for each in repositories]
            of_facet = {
                Facet.TAGS: max(1, math.ceil(sum(bool(each.tags) for each in repositories) / 100)),
                Facet.SCANNING: math.ceil(len(repositories) / 25),
                Facet.KEYS: len({each.kms_key for each in repositories if each.kms_key}),
                Facet.REGISTRIES: 2 * len(wanted.due(FACET[Facet.REGISTRIES], [f"{prefix}registry"])),
                Facet.LIFECYCLE: len(wanted.due(FACET[Facet.LIFECYCLE], arns)),
                Facet.POLICIES: len(wanted.due(FACET[Facet.POLICIES], arns)),
            }
            for facet in settings.collect:
                calls[facet] += of_facet[facet]
    return calls


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


def _print_terminal(options: argparse.Namespace) -> None:
    world = partial(large_world, options.accounts, options.regions)
    rows = []
    for collect in options.collect:
        for latency in filter(None, options.latency):
            with emulated_aws(world, latency=latency / 1000) as aws, tempfile.TemporaryDirectory() as folder:
                _audit_aws(aws, Path(folder), collect, options)
                seen = aws.seen()
            calls = {name: count for name, count in seen.operations.items() if name.startswith(SCAN_CALLS)}
            # The hub's own account is read without AssumeRole, and may begin before it.
            wall = seen.answered_at - min(seen.first_called[name] for name in calls)
            floor = sum(calls.values()) * latency / 1000 / options.in_flight
            rows.append((collect, round(latency), options.accounts, sum(calls.values()), floor, wall, wall / floor))
    print_table(("collect", "latency ms", "accounts", "calls", "floor s", "wall s", "wall/floor"), rows)


def _audit_aws(aws: Aws, folder: Path, collect: str, options: argparse.Namespace) -> None:
    settings = {
        "ECR_AUDIT_COLLECT": collect,
        "ECR_AUDIT_COLLECT_ROTATION_NIGHTS": str(options.rotation_nights),
        "ECR_AUDIT_CONCURRENCY": str(options.in_flight),
    }
    done = subprocess.run(
        [sys.executable, "bin/audit.py", "aws"],
        cwd=ROOT,
        env=terminal_environment(folder) | aws.environment | settings,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"make audit-aws failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def plan_night(folder: str, *given: Any) -> tuple[str, str, list[int]]:
    """Plan a scan of everything, without the pace that AWS Organizations asks for. Returns lake, plan and batches."""
    from ecr_audit.aws import organizations_reader
    from ecr_audit.aws.session import connect_hub
    from ecr_audit.inventory.plan import ScanScope, cut_batches, discover
    from ecr_audit.lake.lake import Lake

    organizations_reader.CALLS_PER_SECOND = 10_000
    lake = Lake(folder)
    hub = connect_hub()
    plan = discover(lake, hub, snapshot_date=NIGHT, run_id="benchmark", scope=ScanScope())
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
