"""Publishes a past night into a folder of its own, `<ECR_AUDIT_DATA>/as-of/<date>`, apart from every night's.

The database, its files and the workbook are as they would have been that night, by the verdicts that the lake holds of
it. `make as-of DATE=2026-10-31` calls this in the right environment.
"""

from __future__ import annotations

import argparse
import sys

# First: without it, a start outside make would end with a traceback.
import startup  # noqa: F401  # isort: skip
from ecr_audit.catalog import load_catalog
from ecr_audit.errors import FinalError
from ecr_audit.lake.lake import open_lake
from ecr_audit.lake.storage import LakeError
from ecr_audit.publish.build import publish
from ecr_audit.publish.completion import ExportError, complete
from ecr_audit.settings import SQL_ROOT, load_settings
from ecr_audit.terminal import date_argument, print_error


def main() -> int:
    """Publish the night; returns the exit code."""
    parser = argparse.ArgumentParser(prog="as_of", description=__doc__)
    parser.add_argument("date", type=date_argument, help="the night, as 2026-10-31")
    as_of = parser.parse_args().date
    try:
        settings = load_settings()
        folder = settings.data.absolute() / "as-of" / as_of.isoformat()
        lake = open_lake(settings)
        publication = publish(
            lake,
            load_catalog(SQL_ROOT),
            folder,
            owner_tags=settings.owner_tags,
            retention_days=settings.retention_days,
            as_of=as_of,
            options=settings,
        )
        complete(lake, folder, settings)
    except (FinalError, LakeError, ExportError) as fault:
        print_error(fault)
        return 1
    sys.stdout.write(
        f"Published the night of {as_of}: {publication.address}\n"
        f"Open it: ECR_AUDIT_PUBLISH={folder} make pages, or make sql\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
