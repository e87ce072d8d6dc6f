"""Writes the generated pages of docs/: data-dictionary.md, errors.md, permissions.md.

The dictionary describes the tables of a published night without any account; errors.md is the table of advice,
permissions.md what AWS has to allow.
"""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

import duckdb

from ecr_audit.aws.advice import CAUSES, OUTCOMES
from ecr_audit.aws.outcomes import NOT_COUNTABLE
from ecr_audit.catalog import load_catalog
from ecr_audit.compliance import evaluate, roll_up
from ecr_audit.doctor.permissions import to_markdown as permissions_page
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import STAGES
from ecr_audit.publish.build import publish
from ecr_audit.publish.dictionary import load_dictionary, to_markdown
from ecr_audit.publish.exports import LAKE_VIEWS
from ecr_audit.publish.lake_views import view_dictionary
from ecr_audit.publish.tables import TABLES, VIEWS
from ecr_audit.settings import SQL_ROOT

DOCS = Path(__file__).resolve().parents[1] / "docs"


def main() -> None:
    """Write the pages."""
    DOCS.mkdir(exist_ok=True)
    (DOCS / "data-dictionary.md").write_text(_dictionary(), encoding="utf-8")
    (DOCS / "errors.md").write_text(errors_page(), encoding="utf-8")
    (DOCS / "permissions.md").write_text(permissions_page(), encoding="utf-8")


def _dictionary() -> str:
    night = date(2026, 1, 1)
    with tempfile.TemporaryDirectory() as folder:
        lake, catalog = Lake(f"{folder}/lake"), load_catalog(SQL_ROOT)
        with lake.writer("inventory", night) as writer:
            for table in STAGES["inventory"]:
                writer.write(table, table.schema.empty_table())
            writer.commit({})
        evaluate(lake, catalog, night, owner_tags=())
        roll_up(lake, catalog, night)
        database = publish(lake, catalog, Path(folder, "publish"), owner_tags=()).database
        # Its own work, and not confined: the views of the lake read the lake.
        with duckdb.connect(database, read_only=True) as published:
            published.execute((database.parent / LAKE_VIEWS).read_text(encoding="utf-8"))
            return to_markdown(published, load_dictionary(TABLES | VIEWS), view_dictionary())


def errors_page() -> str:
    """docs/errors.md: the table of advice as a page, in Markdown."""
    rows = ["# Outcomes and errors", "", "Made by `make docs` from `plugins/ecr_audit/aws/advice.py`.", ""]
    rows += [
        "## Outcomes of a target",
        "",
        "| outcome | counts in coverage | meaning | what to do |",
        "|---|---|---|---|",
    ]
    rows += [
        f"| `{outcome}` | {'no' if outcome in NOT_COUNTABLE else 'yes'} | {advice.meaning} | {advice.what_to_do} |"
        for outcome, advice in OUTCOMES.items()
    ]
    rows += ["", "## Errors", "", "The first that fits counts.", ""]
    rows += ["| cause | `error_code`, or words of the message | meaning | what to do |", "|---|---|---|---|"]
    for cause in CAUSES:
        words = cause.words.pattern.split("|") if cause.words else []
        shown = ", ".join([*(f"`{code}`" for code in sorted(cause.codes)), *(f"“{each}”" for each in words)])
        rows.append(f"| {cause.title} | {shown} | {cause.advice.meaning} | {cause.advice.what_to_do} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
