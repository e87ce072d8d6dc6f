"""Writes a bundle of evidence for an auditor, `<ECR_AUDIT_DATA>/evidence-bundles/evidence-<from>-<to>.zip`.

`make evidence FROM=2026-10-01 TO=2026-12-31` calls this in the right environment. Beside the log and the sampled
nights, it holds the files of the newest publication for auditors, if that is of the period.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import date
from pathlib import Path

# First: without it, a start outside make would end with a traceback.
import startup  # noqa: F401  # isort: skip
from ecr_audit.errors import FinalError
from ecr_audit.evidence.bundle import write_bundle
from ecr_audit.evidence.log import EvidenceError
from ecr_audit.evidence.settings import open_log
from ecr_audit.lake.storage import LakeError
from ecr_audit.publish.exports import CONTROLS, WORKBOOK
from ecr_audit.publish.store import newest_date, publication_store
from ecr_audit.settings import Settings, load_settings
from ecr_audit.terminal import date_argument, print_error
from ecr_audit.text import plural


def main() -> int:
    """Write the bundle; returns the exit code."""
    given = _arguments()
    try:
        settings = load_settings()
        evidence = open_log(settings)
        path = settings.data.absolute() / "evidence-bundles" / f"evidence-{given.first}-{given.last}.zip"
        with tempfile.TemporaryDirectory(prefix="ecr-audit-exports-") as folder:
            exports = _exports(settings, given.first, given.last, Path(folder))
            bundle = write_bundle(
                evidence, path, given.first, given.last, size=given.sample, seed=given.seed, exports=exports
            )
        key = " KEY=<public key>" if evidence.public_keys() else ""
    except (FinalError, EvidenceError, LakeError, OSError) as fault:
        print_error(fault)
        return 1
    nights = plural(len(bundle.sample.nights), "night")
    sys.stdout.write(
        f"Written: {bundle.path} ({bundle.path.stat().st_size:,} bytes): {plural(bundle.entries, 'entry', 'entries')},"
        f" and what {nights} rest on\n"
        f"Verify it: make verify BUNDLE={bundle.path}{key}; or by its README.md\n"
    )
    return 0


def _exports(settings: Settings, first: date, last: date, folder: Path) -> dict[str, Path]:
    """The files of the newest publication that auditors take, at local paths; none if it is of another period."""
    newest = newest_date(settings)
    if newest is None or not first <= newest <= last:
        return {}
    store = publication_store(settings)
    published = store.newest()
    names = [
        name
        for name in store.sizes(published)
        if name in (WORKBOOK, CONTROLS, "findings.csv") or name.startswith("oscal-")
    ]
    for name in names:
        store.fetch(published, name, folder / name)
    return {f"{newest}-{name}": folder / name for name in names}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="evidence_bundle", description=__doc__)
    parser.add_argument(
        "--from", dest="first", type=date_argument, required=True, help="the first night, as 2026-10-01"
    )
    parser.add_argument("--to", dest="last", type=date_argument, required=True, help="the last night")
    parser.add_argument("--sample", type=int, default=25, help="nights to draw")
    parser.add_argument("--seed", type=int, default=7, help="the seed that they are drawn by")
    given = parser.parse_args()
    if given.sample < 1:
        parser.error(f"SAMPLE={given.sample}: is not a number of nights. Give 1 or more")
    return given


if __name__ == "__main__":
    sys.exit(main())
