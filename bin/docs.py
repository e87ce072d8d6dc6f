"""Writes the generated pages of docs/: data-dictionary.md, errors.md.

The dictionary describes the tables of a published night without any account; errors.md is the table of advice.
"""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

from ecr_audit.aws.advice import to_markdown as errors_to_markdown
from ecr_audit.catalog import load_catalog
from ecr_audit.compliance import evaluate, roll_up
from ecr_audit.dictionary import load_dictionary, to_markdown
from ecr_audit.lake import Lake
from ecr_audit.lake_views import view_dictionary
from ecr_audit.publish import LAKE_VIEWS, TABLES, VIEWS, publish
from ecr_audit.published_file import open_published
from ecr_audit.schemas import STAGES
from ecr_audit.settings import SQL_ROOT

DOCS = Path(__file__).resolve().parents[1] / "docs"


def main() -> None:
    """Write the pages."""
    DOCS.mkdir(exist_ok=True)
    (DOCS / "data-dictionary.md").write_text(_dictionary(), encoding="utf-8")
    (DOCS / "errors.md").write_text(errors_to_markdown(), encoding="utf-8")


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
        with open_published(database, folder=Path(folder)) as published:
            published.execute((database.parent / LAKE_VIEWS).read_text(encoding="utf-8"))
            return to_markdown(published, load_dictionary(TABLES | VIEWS), view_dictionary())


if __name__ == "__main__":
    main()
