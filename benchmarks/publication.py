"""Publishes a year of nights, and asks every question of sql/analyses of the publication.

    python benchmarks/publication.py                 # 365 nights x 100,000 repositories in 1,000 accounts
    python benchmarks/publication.py --nights 30 --accounts 340       # 34,000 repositories
    python benchmarks/publication.py --nights 30 --accounts 340 --policies repository-image-tag-     # two policies

The last night is scanned, evaluated and rolled up by the library. From earlier nights the lake has what publishing
reads: the tables that were rolled up, made by SQL from those of a night that the library evaluated, with counts that
move, and 1 % of the repositories changed each night, half of them fixed. All but the last two have empty files in place
of the large tables, `repositories` and `policy_output`.

Publishing, completing and each question have a process of their own. Readers have the database, Parquet and CSV when
publishing ends, and the workbook when completing ends.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
from compliance import CHECKED, NIGHTS, OWNER_TAGS, POLICIES_HELP, catalog_of, in_fresh_process, organization, scan
from measuring import Cost, measure, print_table

from ecr_audit.catalog import Catalog
from ecr_audit.catalog.waivers import SCHEMA
from ecr_audit.compliance import Evaluation, KnownWaivers, evaluate, roll_up
from ecr_audit.hidden_modules import hidden_modules
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake, SnapshotWriter
from ecr_audit.lake.schemas import STAGES
from ecr_audit.macros import create_published_macros
from ecr_audit.publish.build import publish
from ecr_audit.publish.completion import complete
from ecr_audit.publish.publication import DATABASE
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.workbook_sheets import MAX_ROWS, SHEETS, PublishedRows
from ecr_audit.settings import SQL_ROOT, ExportSettings

BEFORE, LAST = NIGHTS
# benchmarks/exports.py has the files for other tools.
NO_EXPORTS = ExportSettings(exports=())
KINDS = ("duckdb", "parquet", "csv", "xlsx")

# Accepted risks, one a region of a unit.
POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
WAIVERS = [
    {
        "waiver_id": f"W-{number}",
        "policy_id": POLICY,
        "ou_path": f"Root/Unit{number}",
        "region": "eu-west-1",
        "reason": "The pipeline is to be retired.",
        "owner": "platform",
        "ticket": f"RISK-{number}",
        "approved_by": "CISO",
        "created": LAST - timedelta(days=100),
        "expires": LAST + timedelta(days=20 * number),
    }
    for number in range(10)
]

# The counts of a scope on a night: some that comply on the night it is made from do not comply yet.
_COUNTS = """
WITH moved AS (
    SELECT * REPLACE (compliant - worse AS compliant, incompliant + worse AS incompliant)
    FROM (SELECT *, least(compliant, hash(scope_id, $night) % 5)::BIGINT AS worse FROM {table})
)
SELECT * EXCLUDE (worse) REPLACE (
    compliance_percent(compliant, incompliant) AS compliance_percent,
    compliance_percent(compliant, incompliant - waived) AS compliance_percent_with_waivers
)
FROM moved
"""

# The tables of a night before the last, made from those that were evaluated.
HISTORY = {
    "coverage": "FROM coverage",
    "policy_run": "SELECT * REPLACE ($day::TIMESTAMPTZ + INTERVAL 3 HOUR AS run_time) FROM policy_run",
    "scope_compliance": _COUNTS.format(table="scope_compliance"),
    "section_compliance": _COUNTS.format(table="section_compliance"),
    "changes": """
SELECT
    $day - 1 AS previous_snapshot_date,
    policy_id,
    object_id AS repository_arn,
    account_id,
    a.account_name,
    a.ou_id,
    a.ou_path,
    NULL::VARCHAR AS previous_ou_id,
    NULL::VARCHAR AS previous_ou_path,
    region,
    split_part(object_id, ':repository/', 2) AS repository_name,
    a.account_name AS owner,
    'account' AS owner_source,
    CASE WHEN hash(object_id) % 2 = 0 THEN 'fixed' ELSE 'new' END AS change,
    CASE WHEN change = 'fixed' THEN 'INCOMPLIANT' ELSE 'COMPLIANT' END AS previous_status,
    CASE WHEN change = 'fixed' THEN 'COMPLIANT' ELSE 'INCOMPLIANT' END AS status,
    CASE WHEN change = 'new' THEN $day ELSE $day - (hash(object_id, $night) % 90)::INTEGER END
        AS incompliant_start_date,
    CASE WHEN change = 'fixed' THEN $day END AS incompliant_end_date,
    current_state_message
FROM policy_output
JOIN coverage AS a USING (account_id)
WHERE hash(object_id, $night) % 100 = 0
""",
    "ended_findings": """
SELECT
    policy_id,
    object_id,
    account_id,
    a.account_name,
    a.ou_id,
    a.ou_path,
    region,
    a.account_name AS owner,
    'account' AS owner_source,
    $day - (hash(object_id, $night) % 90)::INTEGER AS incompliant_start_date,
    TRUE AS started_known,
    'fixed' AS ended_by
FROM policy_output
JOIN coverage AS a USING (account_id)
WHERE hash(object_id, $night) % 100 = 0 AND hash(object_id) % 2 = 0
""",
}

# And those of the night before the last, whose verdicts the last one continues: findings have been open up to a year.
CONTINUED = {
    "policy_output": """
SELECT * REPLACE (
    CASE WHEN status = 'INCOMPLIANT' THEN $day - (hash(object_id) % $night)::INTEGER END AS incompliant_start_date
)
FROM policy_output
""",
}


def main() -> None:
    """Make the lake, publish it, ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--accounts", type=int, default=1_000, help="of 100 repositories each")
    parser.add_argument("--policies", default="", help=POLICIES_HELP)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ecr-audit-benchmark-") as folder:
        in_fresh_process(make, folder, given.nights, given.accounts, given.policies)
        cost = in_fresh_process(run, folder, given.policies)
        completed = in_fresh_process(add_workbook, folder)
        published = Path(folder, "publish")
        sizes = [sum(file.stat().st_size for file in published.glob(f"*.{kind}")) / 1e6 for kind in KINDS]
        print_table(
            ["nights", "repositories", *(f"{kind} MB" for kind in KINDS)],
            [[given.nights, cost.result["repositories"], *map(round, sizes)]],
        )
        print_table(
            ["step", "readers have", "at second", "wall s", "CPU s", "peak MB"],
            [
                ["publish", "database, Parquet, CSV", cost.wall, cost.wall, cost.cpu, round(cost.peak_mb)],
                [
                    "complete",
                    "workbook",
                    cost.wall + completed.wall,
                    completed.wall,
                    completed.cpu,
                    round(completed.peak_mb),
                ],
            ],
        )
        per_rows = 100_000 / completed.result
        print_table(
            ["rows in the workbook", "wall s per 100,000", "CPU s per 100,000"],
            [[completed.result, completed.wall * per_rows, completed.cpu * per_rows]],
        )
        print_table(["table", "rows"], sorted(cost.result.items(), key=lambda row: -row[1])[:8])
        answers = [
            (question.stem, in_fresh_process(ask, published / DATABASE, question))
            for question in sorted((SQL_ROOT / "analyses").glob("*.sql"))
        ]
        print_table(["question", "rows", "wall s"], [[name, cost.result, cost.wall] for name, cost in answers])


def run(folder: str, policies: str) -> Cost:
    """Publish; the result is the rows of each table."""
    lake, catalog = Lake(f"{folder}/lake"), catalog_of(policies)
    with hidden_modules("pandas"):  # as in the process of a step
        cost = measure(
            lambda: publish(lake, catalog, Path(folder, "publish"), owner_tags=OWNER_TAGS, options=NO_EXPORTS)
        )
    return Cost(cost.result.rows, cost.wall, cost.cpu, cost.peak_mb)


def add_workbook(folder: str) -> Cost:
    """Add the workbook; the result is the number of its rows."""
    cost = measure(lambda: complete(Lake(f"{folder}/lake"), Path(folder, "publish"), NO_EXPORTS))
    with open_published(cost.result.database) as database:
        published = PublishedRows(database)
        rows = sum(min(published.count(sheet), MAX_ROWS) for sheet in SHEETS)
    return Cost(rows, cost.wall, cost.cpu, cost.peak_mb)


def ask(published: Path, question: Path) -> Cost:
    """Ask a question of the published file, opening it; the result is how many rows answer."""

    def rows() -> int:
        with open_published(published, limits={"threads": 2}) as database:
            text = question.read_text(encoding="utf-8")
            policy = {"policy_id": POLICY} if "$policy_id" in text else None
            return len(database.execute(text, policy).fetchall())

    return measure(rows)


def make(folder: str, nights: int, accounts: int, policies: str) -> None:
    """Make the lake: all nights but one by SQL, then the last by the library."""
    catalog, lake, evaluated = catalog_of(policies), Lake(f"{folder}/lake"), Lake(f"{folder}/evaluated")
    with organization(folder, accounts=accounts, per_region=10) as database:
        scan(database, evaluated, 1, BEFORE)
        commit = evaluate_night(evaluated, catalog, BEFORE)
        create_published_macros(database)
        for table in STAGES["compliance"]:
            locations = {"paths": evaluated.locations(commit, table)}
            database.execute(
                f"CREATE TABLE {table.name} AS FROM read_parquet($paths, hive_partitioning = FALSE)", locations
            )
        for night in range(1, nights):
            day = LAST - timedelta(days=nights - night)
            if day == BEFORE:
                scan(database, lake, 1, day)
            else:
                with lake.writer("inventory", day) as writer:
                    write(database, writer, {}, night)
                    writer.commit(CHECKED)
            with lake.writer("compliance", day) as writer:
                write(database, writer, HISTORY | (CONTINUED if day == BEFORE else {}), night)
                run_time = datetime.combine(day, time(3), UTC)
                writer.commit(asdict(Evaluation.of(lake, catalog, day, run_time, OWNER_TAGS, None)))
        scan(database, lake, 2, LAST)
    evaluate_night(lake, catalog, LAST)


def evaluate_night(lake: Lake, catalog: Catalog, day: date) -> Commit:
    """Evaluate and roll up a night, as the library does."""
    evaluate(lake, catalog, day, owner_tags=OWNER_TAGS)
    waivers = KnownWaivers(pa.Table.from_pylist(WAIVERS, schema=SCHEMA), datetime.now(UTC))
    return roll_up(lake, catalog, day, waivers=waivers)[0]


def write(database: duckdb.DuckDBPyConnection, writer: SnapshotWriter, queries: Mapping[str, str], night: int) -> None:
    """Write what the queries give, and empty files of the stage's other tables."""
    given = {"day": writer.snapshot_date, "night": night}
    for table in STAGES[writer.stage]:
        if table.name not in queries:
            writer.write(table, table.schema.empty_table())
            continue
        statement = f"COPY ({queries[table.name]} ORDER BY {', '.join(table.sort_by)}) TO $path (COMPRESSION zstd)"
        named = {name: value for name, value in given.items() if f"${name}" in statement}
        database.execute(statement, named | {"path": str(writer.path(table))})


if __name__ == "__main__":
    main()
