"""The policies of a published file, by their names in the catalog, in the order in which people are shown them."""

from __future__ import annotations

from typing import NamedTuple

import duckdb

from ecr_audit.warehouse.statements import read_statement

# One row per policy, in that order by `place`; see the file for its columns.
POLICIES_IN_ORDER = read_statement("pages/policies").text


class ShownPolicy(NamedTuple):
    """A policy with its contextual name."""

    policy_id: str
    name: str


def shown_policies(published: duckdb.DuckDBPyConnection) -> list[ShownPolicy]:
    """All policies, in the order of policies.position."""
    query = f"SELECT policy_id, contextual_name FROM (\n{POLICIES_IN_ORDER}\n) ORDER BY place"
    return [ShownPolicy(*row) for row in published.execute(query).fetchall()]


def removed_policies(published: duckdb.DuckDBPyConnection) -> list[str]:
    """Ids of the policies that were evaluated on the evaluated night before, and are not tonight."""
    nights = "SELECT map_keys(policy_hashes) FROM nights WHERE NOT missed ORDER BY snapshot_date DESC LIMIT 2"
    tonight, *before = ({*policies} for (policies,) in published.execute(nights).fetchall())
    return sorted(set().union(*before) - tonight)
