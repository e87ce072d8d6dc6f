"""Writes OSCAL assessment results of one account, with each of its repositories, of the newest publication.

They are those of the publication (oscal-<framework>.json), which count by account, with an inventory item and
observations for each repository and registry. `make oscal ACCOUNT=111111111111` calls this in the right environment.
"""

from __future__ import annotations

import argparse
import sys

# First: without it, a start outside make would end with a traceback.
import startup  # noqa: F401  # isort: skip
import duckdb

from ecr_audit import written
from ecr_audit.errors import FinalError
from ecr_audit.publish.oscal import write_assessment_results
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.store import publication_store
from ecr_audit.settings import load_settings
from ecr_audit.terminal import print_error


class UnknownAccountError(FinalError):
    """The newest publication has nothing about the account."""


def main() -> int:
    """Write the documents; returns the exit code."""
    parser = argparse.ArgumentParser(prog="oscal", description=__doc__)
    parser.add_argument("account", type=_account, help="the account's id, as 111111111111")
    account_id = parser.parse_args().account
    try:
        settings = load_settings()
        store = publication_store(settings)
        published = store.newest()
        folder = settings.data / "oscal" / account_id
        with open_published(published.database) as database:
            known = database.execute("SELECT 1 FROM account_compliance WHERE account_id = ?", [account_id]).fetchone()
            if known is None:
                raise UnknownAccountError(
                    f"ACCOUNT={account_id}: the night of {published.snapshot_date} has no such account. Give the"
                    " 12-digit id of one that it has (table coverage)."
                )
            folder.mkdir(parents=True, exist_ok=True)
            files = write_assessment_results(
                database, folder, store.checksums(published), settings.oscal_ap, account_id
            )
    except (OSError, FinalError, duckdb.Error) as fault:
        print_error(fault)
        return 1
    sys.stdout.write("".join(f"Written: {path}\n" for path in files))
    return 0


def _account(text: str) -> str:
    try:
        return written.account_id(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"{fault}. Give one as ACCOUNT=111111111111") from fault


if __name__ == "__main__":
    sys.exit(main())
