"""Puts a policy's logic.sql into a session, after checking that it keeps its contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from ecr_audit.catalog import Policy
from ecr_audit.errors import FinalError
from ecr_audit.vocabulary import POLICY_STATUSES, RESERVED_CONDITIONS
from ecr_audit.warehouse.sandbox import syntax_nodes
from ecr_audit.warehouse.session import Warehouse, read_objects
from ecr_audit.warehouse.statements import Statement, WarehouseError, parse_statement
from ecr_audit.yaml_files.faults import nearest

COLUMNS = {
    "object_id": "VARCHAR",
    "condition_index": "INTEGER",
    "status": "VARCHAR",
    "current_state_message": "VARCHAR",
    "remediation_message": "VARCHAR",
    "remediation_command": "VARCHAR",
}

# A policy may pass on the owner of its objects, which saves a lookup for every object.
OWNER = {"owner": "VARCHAR"}

# Columns that a policy may leave NULL in every row.
NULLABLE = ("remediation_message", "remediation_command", "owner")

# The type of a column that is NULL and nothing else: it fits any type. DuckDB has INTEGER for it.
UNTYPED = "NULL"

# In this and the next statements, {answers} is that of `show_verdicts`: a view of it would be planned once more.
_OWNER_LOOKED_UP = """
SELECT a.*, o.owner
FROM ({answers}
) AS a
LEFT JOIN staging.objects AS o USING (object_id)
"""

# DISAPPEARED, and the reserved conditions, are the engine's: see sql/marts/policy_output.sql.
STATUSES = POLICY_STATUSES

# The functions that logic.sql may call in place of a table.
FUNCTIONS = ("generate_series", "json_each", "json_tree", "range", "unnest")

_CONTRACT = {"statuses": list(STATUSES), "reserved": list(RESERVED_CONDITIONS)}

_EXAMPLES = 3

_ANSWERED_OBJECTS = "SELECT object_id FROM ({answers}\n)"

_PLAN = "EXPLAIN (FORMAT json) {objects}"

# The number of some objects, and the sum of their ids' hashes, as in sql/staging/object_counts.sql.
_FINGERPRINT = "SELECT count(*), sum(hash(object_id)) FROM ({objects})"

# The answers of logic.sql, each looked at on the way to where it is used: to compute them only for that costs as much
# again. This also finds only whether something is wrong; _INVALID finds what. A view takes no parameters, so that the
# constants above are written into it.
_CHECKED = f"""
SELECT
    object_id,
    owner,
    CASE WHEN condition_index NOT IN {RESERVED_CONDITIONS} THEN condition_index ELSE error('contract')::INTEGER END
        AS condition_index,
    CASE
        WHEN status::verdict_status <> 'DISAPPEARED' THEN status::verdict_status
        ELSE error('contract')::verdict_status
    END AS status,
    coalesce(current_state_message, error('contract')::VARCHAR) AS current_state_message,
    remediation_message,
    remediation_command
FROM ({{answers}}
)
"""

# Which verdicts are wrong: each has the text that says so.
_INVALID = """
SELECT object_id, CASE
    WHEN status IS NULL OR status NOT IN (SELECT unnest($statuses)) THEN 'status ' || coalesce(status, 'NULL')
    WHEN condition_index IS NULL THEN 'no condition_index'
    WHEN condition_index IN (SELECT unnest($reserved)) THEN 'condition_index ' || condition_index || ' is reserved'
    WHEN current_state_message IS NULL THEN 'no current_state_message'
END AS fault
FROM ({answers}
)
WHERE fault IS NOT NULL
"""

_DIFFERENT_OBJECTS = """
WITH evaluated AS (
    SELECT object_id, count(*) AS verdicts
    FROM ({answers}
    )
    GROUP BY ALL
),

objects AS (
    SELECT object_id
    FROM staging.objects
    WHERE input = $input
)

SELECT coalesce(j.object_id, o.object_id, 'NULL') AS object_id, CASE
    WHEN j.object_id IS NULL AND o.object_id IS NULL THEN 'no object_id'
    WHEN o.object_id IS NULL THEN 'no such object'
    WHEN verdicts IS NULL THEN 'no verdict'
    ELSE verdicts || ' verdicts'
END AS fault
FROM evaluated AS j
FULL JOIN objects AS o USING (object_id)
WHERE verdicts IS DISTINCT FROM 1 OR o.object_id IS NULL
"""


class PolicyError(FinalError):
    """A policy's logic.sql breaks its contract; the message names the policy, the file and examples."""


def show_verdicts(warehouse: Warehouse, policy: Policy) -> str:
    """Make `staging.verdicts` the verdicts of a policy. Returns the query of its answers, which they are.

    Raises PolicyError unless logic.sql returns the columns of a verdict, one for every object of its input. Whether
    each verdict is one that a policy may give is seen when it is read: reading `staging.verdicts` fails otherwise, and
    `refuse_invalid` says why.
    """
    path = _path(policy)
    try:
        logic = parse_statement(path, policy.logic_sql)
        nodes = _syntax_nodes(warehouse, policy, logic)
        _require_no_files(policy, logic, nodes)
        found = columns_of(warehouse.connection, f"({logic.text}\n)")
        if fault := columns_fault(found):
            raise PolicyError(f"{policy.id}: {path}: {fault}")
        answers = logic.text
        if casts := ", ".join(f"{name}::VARCHAR AS {name}" for name, kind in found.items() if kind == UNTYPED):
            answers = f"SELECT * REPLACE ({casts}) FROM ({answers}\n)"
        if "owner" not in found:
            answers = _OWNER_LOOKED_UP.format(answers=answers)
        warehouse.create_view("staging.verdicts", parse_statement(path, _CHECKED.format(answers=answers)))
        if not _answers_each_once(warehouse, policy, answers, nodes):
            different = _DIFFERENT_OBJECTS.format(answers=answers)
            _refuse(warehouse, policy, Statement(path, different, frozenset({"input"})))
    except WarehouseError as fault:
        raise PolicyError(f"{policy.id}: {fault}") from fault
    except duckdb.Error as fault:
        raise PolicyError(f"{policy.id}: {path}: {fault}") from fault
    return answers


def columns_of(session: duckdb.DuckDBPyConnection, source: str) -> dict[str, str]:
    """The type of each column of a view, or of a query in parentheses, by name, in their order.

    It is UNTYPED for one of NULLABLE that is a bare NULL.
    """
    # On one line with the query, so that errors count the lines of the file.
    columns = {name: str(kind) for name, kind, *_ in session.execute(f"DESCRIBE FROM {source}").fetchall()}
    if integers := [name for name in NULLABLE if columns.get(name) == "INTEGER"]:
        counts = ", ".join(f"count({name})" for name in integers)
        [values] = session.execute(f"SELECT {counts} FROM {source}").fetchall()
        columns |= {name: UNTYPED for name, count in zip(integers, values, strict=True) if not count}
    return columns


def columns_fault(found: dict[str, str]) -> str | None:
    """The faults of the columns (see `columns_of`) that a logic.sql returns; None if they are those of a verdict."""
    wanted = COLUMNS | OWNER
    missing = [name for name in COLUMNS if name not in found]
    unknown = [name for name in found if name not in wanted]
    wrong = {name: kind for name, kind in found.items() if name in wanted and kind not in (wanted[name], UNTYPED)}
    faults = [f"lacks the column {name} {COLUMNS[name]}" for name in missing]
    faults += [f"{name} is {kind}; it must be {wanted[name]}" for name, kind in wrong.items()]
    faults += [f"unknown column {name}. {nearest(name, missing or wanted)}" for name in unknown]
    if any(name in NULLABLE for name in (*missing, *wrong)):
        faults.append("for a column without values: CAST(NULL AS VARCHAR)")
    return "; ".join(faults) or None


def _syntax_nodes(warehouse: Warehouse, policy: Policy, logic: Statement) -> list[dict[str, Any]]:
    [(tree,)] = warehouse.connection.execute("SELECT json_serialize_sql($query)", {"query": logic.text}).fetchall()
    try:
        return list(syntax_nodes(tree))
    except ValueError as fault:
        raise PolicyError(f"{policy.id}: {logic.path}: {fault}") from fault


def _require_no_files(policy: Policy, logic: Statement, nodes: Sequence[Mapping[str, Any]]) -> None:
    """Raise PolicyError if logic.sql calls a table function that is not among FUNCTIONS.

    In the session it could read and write no file; but to say what is wrong is better than DuckDB's error of access,
    and after some of those functions the process cannot go on.
    """
    calls = [node["function"] for node in nodes if node.get("type") == "TABLE_FUNCTION"]
    if foreign := sorted({call["function_name"] for call in calls} - set(FUNCTIONS)):
        raise PolicyError(
            f"{policy.id}: {logic.path}: calls {', '.join(foreign)}. A policy evaluates"
            f" staging.{policy.input} with the tables of the session. Valid table functions: {', '.join(FUNCTIONS)}"
        )


def _answers_each_once(warehouse: Warehouse, policy: Policy, answers: str, nodes: Sequence[Mapping[str, Any]]) -> bool:
    """Whether logic.sql answers each object of its input once. This finds only whether something is wrong; what it is,
    _DIFFERENT_OBJECTS.

    Mostly it plainly does, so that comparing millions of ids can be spared: it reads no other table, and DuckDB reads
    the ids of its answers as it reads those of the input. A plan names every join, filter and LIMIT, but not the files
    that are read.
    """
    objects = f"SELECT object_id FROM (\n{read_objects(policy.input, warehouse.sql_root).text}\n)"
    # Without a schema it is a common table expression.
    tables = {(node["schema_name"], node["table_name"]) for node in nodes if node.get("type") == "BASE_TABLE"}

    def are_alike(about: str) -> bool:
        queries = (
            Statement(_path(policy), about.format(objects=ids), frozenset())
            for ids in (_ANSWERED_OBJECTS.format(answers=answers), objects)
        )
        answered, given = (warehouse.query(query).to_pylist() for query in queries)
        return bool(answered == given)

    reads_input_alone = {table for table in tables if table[0]} == {("staging", policy.input)}
    return (reads_input_alone and are_alike(_PLAN)) or are_alike(_FINGERPRINT)


def refuse_invalid(warehouse: Warehouse, policy: Policy, answers: str) -> None:
    """Raise PolicyError if logic.sql fails, or some of its verdicts are none that a policy may give.

    `answers`: as `show_verdicts` has returned it.
    """
    try:
        _refuse(warehouse, policy, Statement(_path(policy), _INVALID.format(answers=answers), frozenset(_CONTRACT)))
    except WarehouseError as fault:
        raise PolicyError(f"{policy.id}: {fault}") from fault


def _refuse(warehouse: Warehouse, policy: Policy, wrong: Statement) -> None:
    count, rows = warehouse.examples(wrong, _EXAMPLES, input=policy.input, **_CONTRACT)
    if count:
        examples = "".join(f"\n    {row['object_id']}: {row['fault']}" for row in rows)
        raise PolicyError(
            f"{policy.id}: {wrong.path}: {count} objects are evaluated wrongly. Each object of the input"
            f" '{policy.input}' needs one verdict, {', '.join(STATUSES[:-1])} or {STATUSES[-1]}.{examples}"
        )


def _path(policy: Policy) -> str:
    return f"sql/{policy.folder}/logic.sql"
