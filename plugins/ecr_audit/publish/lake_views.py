"""The views file of the lake: `lake_<table>` over all nights, for DuckDB, written at every publication.

    duckdb -init data/publish/lake.sql -c "SELECT snapshot_date, count(*) FROM lake_repositories GROUP BY ALL"

It names the files that the commits name and no others, as globs over the lake would: what is not committed does not
exist. So it holds until a night is evaluated again or removed, and then until the next publication. A column means what
the published column of that name means; the data dictionary describes both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import ENDED_FINDINGS, REPOSITORIES, STAGES, WAIVED_FINDINGS
from ecr_audit.lake.tables import LakeTable
from ecr_audit.literals import literal
from ecr_audit.macros import macro
from ecr_audit.publish.dictionary import Dictionary, load_dictionary
from ecr_audit.warehouse.session import select_list

HEADER = """\
-- One view per table of the lake, over all committed nights. Written at every publication: do not edit.
-- duckdb -init lake.sql                                   the lake alone
-- duckdb -readonly -init lake.sql compliance.duckdb       beside the published tables
-- duckdb -cmd "SET VARIABLE lake_root = '/mnt/lake'" …    of a copy of the lake elsewhere, with .read lake.sql
SET TimeZone = 'UTC';
SET VARIABLE lake_root = coalesce(getvariable('lake_root'), {root});
CREATE OR REPLACE TEMP {macro};
"""

# Columns of a view that a file calls otherwise, or holds as AWS gave it: by table and column of the file.
_SHOWN_AS: dict[str, dict[str, dict[str, str]]] = {
    REPOSITORIES.name: {
        "image_tag_mutability": {
            "image_tag_mutability": "comparable(image_tag_mutability)",
            "image_tag_mutability_raw": "image_tag_mutability",
        }
    },
    ENDED_FINDINGS.name: {"object_id": {"repository_arn": "object_id"}},
    WAIVED_FINDINGS.name: {"object_id": {"repository_arn": "object_id"}},
}


def write_lake_views(lake: Lake, path: Path) -> None:
    """Write the views file of a lake. On S3 its reader needs DuckDB's httpfs extension and credentials of its own."""
    root = literal(lake.storage.absolute("").rstrip("/"))
    statements = [HEADER.format(root=root, macro=macro("comparable").statement.removeprefix("CREATE "))]
    dictionary = view_dictionary()
    for stage, tables in STAGES.items():
        commits = lake.read_commits(stage, lake.snapshot_dates(stage))
        statements += [_view(table, commits, dictionary) for table in tables]
    path.write_text("\n".join(statements), encoding="utf-8")


def view_dictionary() -> Dictionary:
    """The meaning of each view and column, by the name of the lake's table."""
    tables = {table.name: f"FROM lake.{table.name}" for tables in STAGES.values() for table in tables}
    dictionary = load_dictionary(tables)
    described = {
        name: replace(table, row=f"All nights: {table.row}", key=_key(name, table.key), notes="")
        for name, table in dictionary.tables.items()
    }
    return Dictionary(described, dictionary.columns)


def _key(table: str, key: tuple[str, ...]) -> tuple[str, ...]:
    renamed = _SHOWN_AS.get(table, {})
    shown = [next(iter(renamed.get(name, {name: name}))) for name in key]
    return tuple(dict.fromkeys(("snapshot_date", *shown)))


def _view(table: LakeTable, commits: Sequence[Commit], dictionary: Dictionary) -> str:
    view = f"lake_{table.name}"
    whole = [commit for commit in commits if table.name in commit.files]
    if not whole:
        return _empty_view(table, dictionary)
    files = ",\n        ".join(literal(name) for commit in whole for name in commit.files[table.name])
    read = select_list(table, max(commit.schema_version for commit in whole))
    shown = {"snapshot_date": "snapshot_date"}
    for name, expression in zip(table.schema.names, read, strict=True):
        shown |= _SHOWN_AS.get(table.name, {}).get(name, {name: expression})
    columns = ",\n    ".join(
        expression if expression.endswith(name) else f"{expression} AS {name}" for name, expression in shown.items()
    )
    # Temporary, so that it can stand beside a database that is open read-only.
    return f"""\
CREATE OR REPLACE TEMP VIEW {view} AS
SELECT
    {columns}
FROM read_parquet(
    list_transform([
        {files}
    ], lambda file: getvariable('lake_root') || '/' || file),
    hive_partitioning = TRUE, hive_types = {{'snapshot_date': DATE}}, union_by_name = TRUE
);
""" + _comments(table, shown, dictionary)


def _empty_view(table: LakeTable, dictionary: Dictionary) -> str:
    """The view of a table that no night has, as those of image tags while they are not read."""
    shown = ["snapshot_date", *table.schema.names]
    kinds = ["DATE", *map(str, duckdb.from_arrow(table.schema.empty_table()).types)]
    columns = ",\n    ".join(f"NULL::{kind} AS {name}" for name, kind in zip(shown, kinds, strict=True))
    return f"""\
CREATE OR REPLACE TEMP VIEW lake_{table.name} AS
SELECT
    {columns}
WHERE FALSE;
""" + _comments(table, shown, dictionary)


def _comments(table: LakeTable, shown: Iterable[str], dictionary: Dictionary) -> str:
    view = f"lake_{table.name}"
    comments = [f"COMMENT ON VIEW {view} IS {literal(dictionary.tables[table.name].row)};"]
    comments += [
        f"COMMENT ON COLUMN {view}.{name} IS {literal(str(dictionary.column(table.name, name)))};" for name in shown
    ]
    return "\n".join((*comments, ""))
