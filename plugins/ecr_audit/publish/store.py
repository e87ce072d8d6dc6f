"""Where publications are kept, and which is the newest.

    <root>/versions/<version>/…   all files of a publication; once there they never change, but for SHA256SUMS, which
                                  grows with those that come late
    <root>/latest.json            names the newest version, and what it lacks; replaced last, in one step
    <root>/compliance.duckdb …    in a folder, the files of the newest under names that stay, for people and BI tools

The root is a folder, or a place on S3 (`ECR_AUDIT_PUBLISH`). `newest` is the one way for programs to find it, `python
-m ecr_audit.publish.newest` for a shell. Who keeps a connection open (a web server) needs the versioned path: a
process that still has a DuckDB file open gets the old database again when it opens the same path again.
"""

from __future__ import annotations

from datetime import date

from ecr_audit.lake.s3 import S3, open_place
from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.publication import Published
from ecr_audit.publish.s3_store import S3PublicationStore
from ecr_audit.settings import Settings


def newest(settings: Settings) -> Published:
    """The newest publication of the audit that the settings name.

    Cheap enough to ask before each page: it reads one small file, and downloads a version from S3 once. Its files stay
    until two more publications have been made; to go on after that, ask again. Raises FileNotFoundError when nothing
    has been published, PublicationError when the publication cannot be read or is invalid.
    """
    return publication_store(settings).newest()


def newest_date(settings: Settings) -> date | None:
    """The date of the newest publication's snapshot, which downloads nothing; None when nothing has been published.

    Raises PublicationError when the publication cannot be read.
    """
    latest = publication_store(settings).latest()
    return None if latest is None else latest.snapshot_date


def publication_store(settings: Settings) -> PublicationStore | S3PublicationStore:
    """The publications of the audit that the settings name."""
    place = open_place(settings.publish_root, settings.s3_encryption)
    if isinstance(place, S3):
        return S3PublicationStore(place, settings.data / "cache")
    return PublicationStore(place, "ECR_AUDIT_PUBLISH" if settings.publish else "ECR_AUDIT_DATA")
