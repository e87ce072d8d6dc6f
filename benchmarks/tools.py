"""The same question asked of other tools: `python benchmarks/tools.py` (some minutes, most of them Prowler's).

In which repositories can an image tag be overwritten? 19 accounts x 4 regions of an emulated AWS hold 760 repositories,
as many of each of ECR's four settings. Each tool comes from PyPI into a virtual environment of its own, and gets the
accounts, their role and the regions. A verdict is wrong if it claims that no tag can be overwritten where one can, or
the reverse; a repository without a verdict is one that the tool did not report.

Prowler evaluates an account a run, and c7n-org has no check of its own: its policy is `benchmarks/c7n.yaml`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import ROOT, Aws, emulated_aws, peak_mb, print_table

from demo.emulated_aws.world import Account, Region, Repository, World

VERSIONS = {"c7n-org": "0.6.52", "prowler": "5.46.0", "boto3": "1.44.5"}
HUB = "100000000000"
MEMBERS = [f"2000000000{number:02}" for number in range(19)]
REGIONS = ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1"]
SETTINGS = ("MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION")
ROLE = "arn:aws:iam::{}:role/ecr-audit"

# By ARN: whether a tag of the repository can be overwritten.
Verdicts = dict[str, bool]


def repositories(account_id: str, region: str) -> list[Repository]:
    """Ten repositories in each target of a member."""
    if account_id == HUB:
        return []
    start = (int(account_id) + REGIONS.index(region)) * 10
    settings = [SETTINGS[(start + number) % 4] for number in range(10)]
    return [
        Repository(f"service-{n}", image_tag_mutability=s, exclusion_filters=("latest",) * s.endswith("_EXCLUSION"))
        for n, s in enumerate(settings)
    ]


def organization() -> World:
    accounts = {each: Account(each, f"account-{each}", "r-demo") for each in (HUB, *MEMBERS)}
    return World(accounts, [Region(name) for name in REGIONS], HUB, HUB, repository_source=repositories)


def truth() -> Verdicts:
    return {
        f"arn:aws:ecr:{region}:{account_id}:repository/{each.name}": each.image_tag_mutability != "IMMUTABLE"
        for account_id in MEMBERS
        for region in REGIONS
        for each in repositories(account_id, region)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tools", nargs="*", type=tool, default=list(TOOLS), help=f"of {', '.join(TOOLS)}; default: all")
    expected = truth()
    rows: list[tuple[Any, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in parser.parse_args().tools:
            with emulated_aws(organization) as aws:
                work = Path(folder, name)
                work.mkdir()
                run = _Run(aws, work)
                verdicts = TOOLS[name](run)
                calls = aws.seen().calls
            wrong = sum(verdicts[arn] != expected[arn] for arn in verdicts)
            missing = len(expected.keys() - verdicts.keys())
            rows.append((name, calls, run.scan or run.wall, run.wall, run.cpu, round(run.peak_mb), wrong, missing))
    print_table(("tool", "calls", "scan s", "all s", "CPU s", "peak MB", "wrong verdicts", "without verdict"), rows)


def tool(name: str) -> str:
    """A name in TOOLS; argparse's own `choices` would refuse the default."""
    if name not in TOOLS:
        raise argparse.ArgumentTypeError(f"{name!r}: not one of {', '.join(map(repr, TOOLS))}")
    return name


class _Run:
    """Runs a tool's commands against an emulated AWS, and adds up what they take."""

    def __init__(self, aws: Aws, folder: Path) -> None:
        self.aws = aws
        self.folder = folder
        self.wall = self.cpu = self.peak_mb = 0.0
        # Seconds of the scan proper, where the tool does more than that.
        self.scan: float | None = None

    def command(self, *words: str | Path, **environment: str) -> None:
        """Run a command to its end; its own and its children's largest process counts for memory."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ECR_AUDIT_"))}
        environment = {**kept, "HOME": str(self.folder), **self.aws.environment, **environment}
        wall, cpu = time.perf_counter(), os.times()
        with (self.folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in words], cwd=self.folder, env=environment, stdout=log, stderr=log
            )
            while process.poll() is None:
                self.peak_mb = max(self.peak_mb, *(peak_mb(pid) for pid in _family(process.pid)))
                time.sleep(0.05)
        after = os.times()
        self.wall += time.perf_counter() - wall
        self.cpu += after.children_user + after.children_system - cpu.children_user - cpu.children_system

    def install(self, package: str) -> Path:
        """A virtual environment with a package of PyPI; returns its folder of programs. Not part of the time."""
        uv = ROOT / ".venv" / "bin" / "uv"
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, self.folder / "venv"], check=True)
        python = self.folder / "venv" / "bin" / "python"
        subprocess.run([uv, "pip", "install", "-q", "--python", python, f"{package}=={VERSIONS[package]}"], check=True)
        return python.parent


def _family(pid: int) -> list[int]:
    """A process and all its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(each for child in children for each in _family(int(child)))]


def ours(run: _Run) -> Verdicts:
    """Discovery, plan, scan, commit, verdicts: all but Airflow."""
    settings = {"ECR_AUDIT_DATA": str(run.folder), "ECR_AUDIT_ACCOUNTS": ",".join(MEMBERS)}
    run.command(sys.executable, ROOT / "benchmarks" / "tools_ours.py", **settings)
    result = json.loads((run.folder / "verdicts.json").read_text())
    run.scan = result["scan_seconds"]
    return dict(result["verdicts"])


def bare_boto3(run: _Run) -> Verdicts:
    """The loop that one writes first."""
    run.command(sys.executable, ROOT / "benchmarks" / "tools_boto3.py", *MEMBERS, *REGIONS)
    return dict(json.loads((run.folder / "verdicts.json").read_text()))


def c7n_org(run: _Run) -> Verdicts:
    """Repositories that match the policy are those in which a tag can be overwritten; the others are not reported."""
    programs = run.install("c7n-org")
    accounts = [{"account_id": each, "name": each, "role": ROLE.format(each), "regions": REGIONS} for each in MEMBERS]
    config = run.folder / "accounts.json"
    config.write_text(json.dumps({"accounts": accounts}))
    policy = ROOT / "benchmarks" / "c7n.yaml"
    run.command(programs / "c7n-org", "run", "-c", config, "-u", policy, "-s", "output", "--cache-period", "0")
    found = [json.loads(path.read_text()) for path in run.folder.glob("output/*/*/*/resources.json")]
    matched = {each["repositoryArn"] for page in found for each in page}
    return {arn: arn in matched for arn in truth()} if found else {}


def prowler(run: _Run) -> Verdicts:
    programs = run.install("prowler")
    for account_id in MEMBERS:
        run.command(
            programs / "prowler",
            *("aws", "--role", ROLE.format(account_id), "--filter-region", *REGIONS),
            *("--checks", "ecr_repositories_tag_immutability", "--output-formats", "csv"),
            *("--output-directory", "output", "--output-filename", account_id),
            *("--ignore-exit-code-3", "--no-banner"),
        )
    verdicts = {}
    for path in run.folder.glob("output/*.csv"):
        with path.open(newline="") as file:
            for row in csv.DictReader(file, delimiter=";"):
                verdicts[row["RESOURCE_UID"]] = row["STATUS"] == "FAIL"
    return verdicts


TOOLS: dict[str, Callable[[_Run], Verdicts]] = {
    "ecr-audit": ours,
    "bare boto3 loop": bare_boto3,
    "c7n-org": c7n_org,
    "Prowler": prowler,
}

if __name__ == "__main__":
    main()
