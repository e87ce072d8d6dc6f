"""`python -m ecr_audit.publish.newest` prints the path of the newest published database."""

from __future__ import annotations

import sys

import duckdb

from ecr_audit.errors import FinalError
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.store import publication_store
from ecr_audit.settings import load_settings
from ecr_audit.terminal import print_error


def main() -> int:
    """Print the path of the newest database, for `make sql` and `make bi`, if it may be opened; returns the exit code.

    In a folder it is the name under which later publications come, too; on S3 that of this one, in the cache.
    """
    try:
        settings = load_settings()
        store = publication_store(settings)
        published = store.newest()
        open_published(published.database).close()
        sys.stdout.write(f"{store.lasting_path(published)}\n")
    except (OSError, FinalError, duckdb.Error) as fault:
        print_error(fault)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
