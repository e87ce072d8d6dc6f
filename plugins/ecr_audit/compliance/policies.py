"""Puts a policy's logic.sql into a session, after checking that it keeps its contract."""

from __future__ import annotations

from ecr_audit.catalog import Policy
from ecr_audit.errors import FinalError
from ecr_audit.warehouse import Statement, Warehouse, WarehouseError, parse_statement

COLUMNS = {
    "object_id": "VARCHAR",
    "condition_index": "INTEGER",
    "status": "VARCHAR",
    "current_state_message": "VARCHAR",
    "remediation_message": "VARCHAR",
    "remediation_command": "VARCHAR",
}

# DISAPPEARED, and these indexes, are the engine's: see sql/marts/policy_output.sql.
STATUSES = ("COMPLIANT", "INCOMPLIANT", "UNDETERMINED", "INAPPLICABLE")
RESERVED = (99, 399, 599)

_CONTRACT = {"statuses": list(STATUSES), "reserved": list(RESERVED)}

_EXAMPLES = 3

# Two sets of ids are the same if as many and with the same sum of hashes: much cheaper than comparing them. This tells
# only whether something is wrong; what it is, the next two.
_SOUND = """
SELECT
    (count(*), sum(hash(object_id))) = (SELECT (count(*), sum(hash(repository_arn))) FROM lake.repositories)
    AND count(*) = count(*) FILTER (
        WHERE list_contains($statuses, status)
        AND NOT list_contains($reserved, condition_index)
        AND current_state_message IS NOT NULL
    )
FROM staging.verdicts
"""

# Which verdicts are wrong: each has the text that says so.
_INVALID = """
SELECT object_id, CASE
    WHEN status IS NULL OR status NOT IN (SELECT unnest($statuses)) THEN 'status ' || coalesce(status, 'NULL')
    WHEN condition_index IS NULL THEN 'no condition_index'
    WHEN condition_index IN (SELECT unnest($reserved)) THEN 'condition_index ' || condition_index || ' is reserved'
    WHEN current_state_message IS NULL THEN 'no current_state_message'
END AS fault
FROM staging.verdicts
WHERE fault IS NOT NULL
ORDER BY ALL
"""

_DIFFERENT_OBJECTS = """
WITH judged AS (
    SELECT object_id, count(*) AS verdicts
    FROM staging.verdicts
    GROUP BY ALL
)
SELECT coalesce(object_id, repository_arn, 'NULL') AS object_id, CASE
    WHEN object_id IS NULL AND repository_arn IS NULL THEN 'no object_id'
    WHEN repository_arn IS NULL THEN 'no such repository'
    WHEN verdicts IS NULL THEN 'no verdict'
    ELSE verdicts || ' verdicts'
END AS fault
FROM judged
FULL JOIN staging.repositories ON object_id = repository_arn
WHERE verdicts IS DISTINCT FROM 1 OR repository_arn IS NULL
ORDER BY ALL
"""


class PolicyError(FinalError):
    """A policy's logic.sql breaks its contract; the message names the policy, the file and examples."""


def show_verdicts(warehouse: Warehouse, policy: Policy) -> None:
    """Make `staging.verdicts` the verdicts of a policy.

    Raises PolicyError unless logic.sql gives every repository shown to it exactly one verdict, with the columns and
    statuses that a policy may give.
    """
    path = f"sql/{policy.folder}/logic.sql"
    try:
        warehouse.create_view("staging.verdicts", parse_statement(path, policy.logic_sql))
        columns = warehouse.connection.execute("DESCRIBE staging.verdicts").fetchall()
        if (found := {name: kind for name, kind, *_ in columns}) != COLUMNS:
            raise PolicyError(
                f"{policy.id} ({path}): returns the columns {_listed(found)}; it must return {_listed(COLUMNS)}"
            )
        sound = warehouse.query(Statement(path, _SOUND, frozenset(_CONTRACT)), **_CONTRACT)
        if not sound.column(0)[0].as_py():
            _refuse(warehouse, policy, Statement(path, _INVALID, frozenset(_CONTRACT)))
            _refuse(warehouse, policy, Statement(path, _DIFFERENT_OBJECTS, frozenset()))
    except WarehouseError as fault:
        raise PolicyError(f"{policy.id}: {fault}") from fault


def _refuse(warehouse: Warehouse, policy: Policy, wrong: Statement) -> None:
    count, rows = warehouse.examples(wrong, _EXAMPLES, **_CONTRACT)
    if count:
        examples = "".join(f"\n    {row['object_id']}: {row['fault']}" for row in rows)
        raise PolicyError(
            f"{policy.id} ({wrong.path}): {count} objects are judged wrongly. Each repository of"
            f" staging.repositories needs one verdict, {', '.join(STATUSES[:-1])} or {STATUSES[-1]}.{examples}"
        )


def _listed(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())
