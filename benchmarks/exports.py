"""Writes the files for other tools of a large publication, each in a process of its own.

    python benchmarks/exports.py                     # 100,000 findings; then 10,000 accounts
    python benchmarks/exports.py --accounts 850 --per-region 4       # one organization

One night of the organization of benchmarks/compliance.py is evaluated under all policies and published without these
files; accounts have 10 regions with some repositories each. Then each format is written as complete_publication does.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from compliance import NIGHTS, OWNER_TAGS, in_fresh_process, organization, scan
from measuring import Cost, measure, print_table

from ecr_audit.catalog import load_catalog
from ecr_audit.compliance import evaluate, roll_up
from ecr_audit.hidden_modules import hidden_modules
from ecr_audit.lake.lake import Lake
from ecr_audit.publish import exports
from ecr_audit.publish.build import publish
from ecr_audit.publish.exports import Source
from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.published_file import open_published
from ecr_audit.settings import SQL_ROOT, ExportSettings
from ecr_audit.vocabulary import ExportFormat
from ecr_audit.warehouse.session import Resources

# Accounts, and repositories in each of their regions: 100,000 findings, and many accounts.
ORGANIZATIONS = ((850, 4), (10_000, 1))
FORMATS = ("controls", "OCSF", "ASFF", "OSCAL")
OPTIONS = ExportSettings(exports=tuple(ExportFormat))


def main() -> None:
    """Make each organization, then write each format of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int)
    parser.add_argument("--per-region", type=int, default=1)
    given = parser.parse_args()
    rows = []
    for accounts, per_region in ((given.accounts, given.per_region),) if given.accounts else ORGANIZATIONS:
        with tempfile.TemporaryDirectory(prefix="ecr-audit-benchmark-") as folder:
            findings = in_fresh_process(make, folder, accounts, per_region).result
            for name in FORMATS:
                cost = in_fresh_process(write, folder, name)
                rows.append([accounts, findings, name, *cost.result, cost.wall, cost.cpu, round(cost.peak_mb)])
    print_table(["accounts", "findings", "format", "files", "MB", "largest", "wall s", "CPU s", "peak MB"], rows)


def make(folder: str, accounts: int, per_region: int) -> Cost:
    """Evaluate and publish a night; the result is the number of findings."""
    lake, catalog, day = Lake(f"{folder}/lake"), load_catalog(SQL_ROOT), NIGHTS[0]
    with organization(folder, accounts=accounts, per_region=per_region) as database:
        scan(database, lake, 1, day)
    evaluate(lake, catalog, day, owner_tags=OWNER_TAGS)
    roll_up(lake, catalog, day)
    none = ExportSettings(exports=())
    return measure(
        lambda: publish(lake, catalog, Path(folder, "publish"), owner_tags=OWNER_TAGS, options=none).rows["findings"]
    )


def write(folder: str, name: str) -> Cost:
    """Write one format; the result is the number of its files, their size and that of the largest, in MB of 10^6."""
    store, out = PublicationStore(Path(folder, "publish")), Path(folder, name)
    out.mkdir()
    published = store.newest()
    resources = Resources(threads=1)
    limits = {"memory_limit": resources.memory, "threads": resources.threads, "temp_directory": f"{out}.spill"}
    with hidden_modules("pandas"), open_published(published.database, limits=limits, folder=out) as database:
        source = Source(database, Lake(f"{folder}/lake"), OPTIONS, store.checksums(published))
        cost = measure(exports.EXPORTS[name], source, out)
    sizes = [path.stat().st_size / 1e6 for path in out.iterdir()]
    return Cost((len(sizes), round(sum(sizes), 1), round(max(sizes), 1)), cost.wall, cost.cpu, cost.peak_mb)


if __name__ == "__main__":
    main()
