"""The views file of the lake: `lake_<table>` over all nights, for DuckDB, written at every publication.

    duckdb -init data/publish/lake.sql -c "SELECT snapshot_date, count(*) FROM lake_repositories GROUP BY ALL"

It names the files that the commits name and no others, as globs over the lake would: what is not committed does not
exist. So it holds until a night is judged anew or removed, and then until the next publication.
"""

from __future__ import annotations

from pathlib import Path

from ecr_audit.dictionary import quoted
from ecr_audit.lake import Lake
from ecr_audit.schemas import STAGES

HEADER = """\
-- One view a table of the lake, over all committed nights. Made at every publication: do not edit.
-- duckdb -init lake.sql                                   the lake alone
-- duckdb -readonly -init lake.sql compliance.duckdb       beside the published tables
"""


def write_lake_views(lake: Lake, path: Path) -> None:
    """Write the views file of a lake. On S3 its reader needs DuckDB's httpfs extension and credentials of its own."""
    statements = [HEADER]
    for stage, tables in STAGES.items():
        commits = lake.read_commits(stage, lake.snapshot_dates(stage))
        for table in tables:
            files = [commit.files[table.name] for commit in commits if table.name in commit.files]
            scheme = "" if lake.is_local else "s3://"
            listed = ",\n    ".join(quoted(scheme + lake.absolute(file)) for file in files)
            # Temporary, so that it can stand beside a database that is open read-only.
            statements.append(
                f"CREATE OR REPLACE TEMP VIEW lake_{table.name} AS\nFROM read_parquet([\n    {listed}\n],"
                " hive_partitioning = TRUE, hive_types = {'snapshot_date': DATE}, union_by_name = TRUE);\n"
            )
    path.write_text("\n".join(statements), encoding="utf-8")
