"""The re-derivation of a night as a script for the bare duckdb command, beside a bundle's files.

It loads Parquet and texts by their hashes, shuts the session off from all files (`.safe_mode`), then has the stored
texts evaluate the stored inventory: what is not one SELECT, `query` refuses. The order of its steps is that of
compliance/verdicts.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ecr_audit.catalog import Catalog
from ecr_audit.compliance.policies import COLUMNS
from ecr_audit.evidence.statement import LAKE, SQL, Entry
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.schemas import IMAGE_TAG_READS, POLICY_OUTPUT, STAGES
from ecr_audit.lake.tables import LakeTable
from ecr_audit.literals import literal, literals
from ecr_audit.vocabulary import Status
from ecr_audit.warehouse.repeated_keys import one_of_each_key
from ecr_audit.warehouse.session import column_types, select_list, with_owners

_COMPARE = """
CREATE TABLE differing AS
    SELECT 'sealed, and does not follow' AS which, * FROM (FROM lake.policy_output EXCEPT ALL FROM again)
    UNION ALL
    SELECT 'follows, and is not sealed' AS which, * FROM (FROM again EXCEPT ALL FROM lake.policy_output);
SELECT which, policy_id, object_id, status, current_state_message FROM differing ORDER BY ALL LIMIT 20;
SELECT policy_id, count(*) AS verdicts FROM again GROUP BY ALL ORDER BY ALL;
SELECT CASE
    WHEN (SELECT count(*) FROM differing) > 0 THEN error('verdicts of {night} do not follow from what was read')
    ELSE 'All verdicts of {night} follow from what was read.'
END AS result;
"""


def rederive_script(entry: Entry, catalog: Catalog) -> str:
    """The script. Start it in the folder of the bundle; it ends with an error where a verdict does not follow.

    `catalog`: that of the entry's own texts.
    """
    return "\n".join(_lines(entry, catalog)) + "\n"


def _lines(entry: Entry, catalog: Catalog) -> Iterator[str]:
    night, texts = entry.night, entry.hashes(SQL)
    # In the order of `Night.commits`.
    commits = {
        ("before " if commit.snapshot_date != night.date and commit.stage != "image_tags" else "")
        + commit.stage: commit
        for commit in night.commits()
    }
    yield f"-- The verdicts of {night.date} again, entry {night.sequence}: duckdb -f this file, from the folder above."
    yield ".bail on"
    yield "SET TimeZone = 'UTC';"
    yield "CREATE SCHEMA lake; CREATE SCHEMA catalog; CREATE SCHEMA staging; CREATE SCHEMA marts;"
    yield _enum("verdict_status", list(Status))
    yield _enum("owner_source", ["tag", "account"])
    yield _enum("policy_id", sorted(night.policies))
    yield from _variables(night.owner_tags, commits["inventory"])
    yield ""
    yield "-- Parquet, by its hash."
    yield from _tables(entry, commits)
    yield ""
    yield "-- Texts, by their hashes; macros are run as they are."
    for name in texts:
        if name.startswith(("staging/", "marts/policy_output")) or name.endswith("/logic.sql"):
            yield f"SET VARIABLE {_variable(name)} = (SELECT content FROM read_text('files/{texts[name]}'));"
    yield f".read files/{texts['macros.sql']}"
    yield f".read files/{texts['published_macros.sql']}"
    yield ""
    yield "-- From here on no file is read or written."
    yield ".safe_mode"
    before = commits.get("before compliance")
    if before and "owner" in POLICY_OUTPUT.lacking(before.schema_version):
        yield "ALTER TABLE lake.previous_policy_output RENAME TO previous_policy_output_without_owner;"
        yield f"CREATE VIEW lake.previous_policy_output AS {with_owners('previous_')};"
    yield from _evaluation(entry, catalog)
    yield _COMPARE.format(night=night.date)


def _variables(owner_tags: list[str], inventory: Commit) -> Iterator[str]:
    collected = inventory.collected
    yield f"SET VARIABLE owner_tags = {_list(owner_tags)};"
    yield f"SET VARIABLE collected_facets = {_list(list(collected.facets))};"
    yield f"SET VARIABLE rotation_nights = {collected.rotation_nights};"
    yield f"SET VARIABLE image_tags = {literal(collected.image_tags)};"


def _tables(entry: Entry, commits: dict[str, Commit]) -> Iterator[str]:
    for stage, prefix, commit in (
        ("inventory", "", commits["inventory"]),
        ("compliance", "", commits["compliance"]),
        ("inventory", "previous_", commits.get("before inventory")),
        ("compliance", "previous_", commits.get("before compliance")),
    ):
        for table in STAGES[stage]:
            # From its own night's tables only the verdicts are compared.
            if stage == "inventory" or prefix or table.name == POLICY_OUTPUT.name:
                yield _table(entry, f"{prefix}{table.name}", table, commit)
    yield _table(entry, IMAGE_TAG_READS.name, IMAGE_TAG_READS, commits.get("image_tags"))


def _table(entry: Entry, name: str, table: LakeTable, commit: Commit | None) -> str:
    if commit is None or table.name not in commit.files:
        columns = ", ".join(f"{column} {kind}" for column, kind in column_types(table.schema).items())
        return f"CREATE TABLE lake.{name} ({columns}, snapshot_date DATE);"
    hashes = entry.hashes(LAKE)
    paths = _list([f"files/{hashes[file]}" for file in commit.files[table.name]])
    # The sealed verdicts are compared as they are, in the columns of their version.
    is_sealed = name == POLICY_OUTPUT.name
    columns = ", ".join(select_list(table, commit.schema_version))
    date = "" if is_sealed else f", DATE '{commit.snapshot_date}' AS snapshot_date"
    one_of_each = one_of_each_key(table) if commit.may_repeat_keys and not is_sealed else None
    return (
        f"CREATE TABLE lake.{name} AS SELECT {columns}{date}"
        f" FROM read_parquet({paths}, hive_partitioning = FALSE){f' {one_of_each}' if one_of_each else ''};"
    )


def _evaluation(entry: Entry, catalog: Catalog) -> Iterator[str]:
    night, texts = entry.night, entry.hashes(SQL)
    inputs = [name.split("/")[2].removesuffix(".sql") for name in texts if name.startswith("staging/objects/")]
    for name in (*inputs, "repository_image_tags"):
        yield f"CREATE VIEW staging.{name} AS FROM query(getvariable('{_variable(f'staging/{name}.sql')}'));"
        if name == inputs[-1]:
            each = (
                f"SELECT '{i}' AS input, * FROM query(getvariable('{_variable(f'staging/objects/{i}.sql')}'))"
                for i in inputs
            )
            yield f"CREATE VIEW staging.objects AS {' UNION ALL BY NAME '.join(each)};"
    for name in ("recreated", "young"):
        yield f"CREATE TABLE staging.{name} AS FROM query(getvariable('{_variable(f'staging/{name}.sql')}'));"
    yield "CREATE TABLE again AS FROM lake.policy_output LIMIT 0;"
    # As they are bound to the parameters of the text.
    given = {
        "snapshot_date": f"DATE '{night.date}'",
        "run_time": f"TIMESTAMPTZ '{datetime.fromisoformat(night.run_time).isoformat()}'",
    }
    kinds = COLUMNS | {"status": "verdict_status"}
    columns = ", ".join(f"a.{name}::{kind} AS {name}" for name, kind in kinds.items())
    for policy in catalog.policies:
        yield ""
        # Whether a policy passes the owner of its objects on or not, it is that of the object.
        logic = f"query(getvariable('{_variable(f'{policy.folder}/logic.sql')}'))"
        yield (
            f"CREATE OR REPLACE VIEW staging.verdicts AS SELECT o.owner, {columns}"
            f" FROM {logic} AS a LEFT JOIN staging.objects AS o USING (object_id);"
        )
        text = f"getvariable('{_variable('marts/policy_output.sql')}')"
        for parameter, value in ({"policy_id": literal(policy.id)} | given).items():
            text = f"replace({text}, '${parameter}', {literal(value)})"
        yield f"INSERT INTO again BY NAME FROM query({text});"


def _variable(name: str) -> str:
    return "text_" + "".join(character if character.isalnum() else "_" for character in name)


def _enum(name: str, words: list[str]) -> str:
    return f"CREATE TYPE {name} AS ENUM ({literals(words)});"


def _list(words: list[str]) -> str:
    return f"[{literals(words)}]::VARCHAR[]"
