"""The cost that sealing adds to a night, and the cost of verifying it against evaluating it.

    python benchmarks/evidence.py            # 120,000 repositories, some 1 million verdicts
    python benchmarks/evidence.py 20000

The second night of the organization of benchmarks/compliance.py is evaluated under all policies, rolled up, published
(without files for other tools) and sealed, into a log beside the lake; then it is verified from the log: restored and
compared with its hashes (steps 3 to 5), its verdicts derived again and compared (step 6), rolled up and compared
(step 7, with step 6 once more). Each step runs in a process of its own.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import datetime
from pathlib import Path

from compliance import NIGHTS, OWNER_TAGS, in_fresh_process, organization, scan
from measuring import Cost, measure, print_table

from ecr_audit.catalog import load_catalog
from ecr_audit.compliance import evaluate, roll_up
from ecr_audit.evidence.contents import restore, row_faults, text_faults
from ecr_audit.evidence.log import EvidenceLog
from ecr_audit.evidence.rederivation import compare_verdicts, rederive_here
from ecr_audit.evidence.seal import seal
from ecr_audit.hidden_modules import hidden_modules
from ecr_audit.lake.lake import Lake
from ecr_audit.publish.build import publish
from ecr_audit.settings import SQL_ROOT, ExportSettings

# Nine policies, of which eight evaluate repositories.
REPOSITORIES = 120_000
DAY = NIGHTS[1]


def main() -> None:
    """Make the night, then measure each step on it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", type=int, nargs="?", default=REPOSITORIES)
    repositories = parser.parse_args().repositories
    with tempfile.TemporaryDirectory(prefix="ecr-audit-benchmark-") as folder:
        in_fresh_process(make, folder, repositories)
        steps = ("evaluate", "roll up", "publish", "seal", "steps 3 to 5", "step 6", "steps 6 and 7")
        costs = {step: in_fresh_process(run, folder, step) for step in steps}
    night = sum(costs[step].cpu for step in ("evaluate", "roll up", "publish"))
    against = {"seal": night, "step 6": costs["evaluate"].cpu}
    rows = [
        [step, cost.wall, cost.cpu, f"{cost.cpu / against[step]:.2f}" if step in against else "-", round(cost.peak_mb)]
        for step, cost in costs.items()
    ]
    print_table(["step", "wall s", "CPU s", "CPU / night or evaluate", "peak MB"], rows)
    print(f"{costs['step 6'].result:,} verdicts; sealed: {costs['seal'].result:,} bytes")


def make(folder: str, repositories: int) -> None:
    """Commit both inventories, evaluate the first night and seal it: the second has a history, and files to share."""
    lake, catalog = Lake(f"{folder}/lake"), load_catalog(SQL_ROOT)
    with organization(folder, accounts=max(1, repositories // 2000), per_region=200) as database:
        for number, night in enumerate(NIGHTS, start=1):
            scan(database, lake, number, night)
    evaluate(lake, catalog, NIGHTS[0], owner_tags=OWNER_TAGS)
    roll_up(lake, catalog, NIGHTS[0])
    seal(lake, EvidenceLog(f"{folder}/evidence"), None, SQL_ROOT)


def run(folder: str, step: str) -> Cost:
    """Run one step on the second night; its result is the number of verdicts, or of bytes that were sealed."""
    lake, evidence, catalog = Lake(f"{folder}/lake"), EvidenceLog(f"{folder}/evidence"), load_catalog(SQL_ROOT)

    def sealed() -> int:
        before = _bytes(folder)
        assert len(seal(lake, evidence, None, SQL_ROOT).added) == 1
        return _bytes(folder) - before

    def restored() -> Path:
        place = Path(tempfile.mkdtemp(dir=folder))
        found, faults = restore(evidence, evidence.read(evidence.names()[0][-1]), place)
        assert (faults, row_faults(found), text_faults(found)[0]) == ([], [], [])
        return place

    def verdicts(place: Path) -> int:
        again = Lake(str(place / "lake"))
        commit = again.read_commit("compliance", DAY)
        assert commit is not None
        run_time = datetime.fromisoformat(commit.detail("run_time"))
        evaluate(again, load_catalog(place / "sql"), DAY, owner_tags=OWNER_TAGS, run_time=run_time)
        assert compare_verdicts(again, commit, [policy.id for policy in catalog.policies]) == []
        return commit.rows["policy_output"]

    def both(place: Path) -> None:
        found = rederive_here(str(place), str(DAY), 600)
        assert not found.verdict_faults
        assert not found.roll_up_faults

    none = ExportSettings(exports=())
    place = restored() if step.startswith(("step 6", "steps 6")) else Path()
    steps = {
        "evaluate": lambda: evaluate(lake, catalog, DAY, owner_tags=OWNER_TAGS),
        "roll up": lambda: roll_up(lake, catalog, DAY),
        "publish": lambda: publish(lake, catalog, Path(folder, "publish"), owner_tags=OWNER_TAGS, options=none),
        "seal": sealed,
        "steps 3 to 5": restored,
        "step 6": lambda: verdicts(place),
        "steps 6 and 7": lambda: both(place),
    }
    with hidden_modules("pandas"):  # as in the process of a step
        cost = measure(steps[step])
    return Cost(cost.result if step in ("seal", "step 6") else None, cost.wall, cost.cpu, cost.peak_mb)


def _bytes(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder, "evidence").rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
