"""Completes the newest publication: adds the late formats, and those that failed while it was built (exports.py).

Until then `latest.json`, the pages and the summary name what is missing, and why. A run that is killed leaves the
publication as it was, whole but for that.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ecr_audit.lake.lake import Lake
from ecr_audit.publish import exports
from ecr_audit.publish.exports import BY_DEFAULT, Source, reasons, write_checksums, write_exports
from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.publication import Published
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.s3_store import S3PublicationStore
from ecr_audit.settings import ExportSettings
from ecr_audit.warehouse.session import Resources

_SPILL = ".spill"


class ExportError(RuntimeError):
    """Formats that could not be written. The publication is there without them, and says so."""


def complete(
    lake: Lake,
    place: Path | PublicationStore | S3PublicationStore,
    options: ExportSettings = BY_DEFAULT,
) -> Published:
    """Write the formats that the newest publication lacks, and add those that succeed.

    Returns the publication, complete; also when nothing was missing. Raises ExportError at the end for what is still
    missing.
    """
    store = PublicationStore(place) if isinstance(place, Path) else place
    with store.building() as aside:
        published = store.newest()
        if not published.missing_exports:
            return published
        checksums = store.checksums(published)
        # A second thread would only wait: Python writes the cells.
        resources = Resources(threads=1)
        limits = {"memory_limit": resources.memory, "threads": resources.threads, "temp_directory": str(aside / _SPILL)}
        with open_published(published.database, limits=limits, folder=aside) as database:
            names = [name for name in exports.EXPORTS if name in published.missing_exports]
            failed = write_exports(Source(database, lake, options, checksums), aside, names)
        shutil.rmtree(aside / _SPILL, ignore_errors=True)
        # Another version of the audit may have published formats that this one does not know.
        unknown = {name: why for name, why in published.missing_exports.items() if name not in exports.EXPORTS}
        missing = unknown | reasons(failed)
        write_checksums(aside, checksums)
        completed = store.complete(published, aside, missing)
    if missing:
        each = "; ".join(f"{name} ({why})" for name, why in missing.items())
        raise ExportError(f"Published snapshot {published.snapshot_date} has no {each}. Everything else is published.")
    return completed
