"""What changed between the two newest snapshots, in words: for the terminal and the log."""

from __future__ import annotations

import duckdb

from ecr_audit.publish.policies import shown_policies
from ecr_audit.publish.unread_values import nothing_changed, unread_sentences
from ecr_audit.vocabulary import CHANGE_WORDS


def describe_changes(published: duckdb.DuckDBPyConnection) -> str:
    """How many repositories changed under the first policy, by kind of change, between the two newest snapshots."""
    policy_id = shown_policies(published)[0].policy_id
    sql = """
        SELECT change, count(*)
        FROM changes
        WHERE policy_id = $policy_id
            AND snapshot_date = (SELECT snapshot_date FROM publication)
        GROUP BY change
    """
    counts = dict(published.execute(sql, {"policy_id": policy_id}).fetchall())
    if counts:
        return ", ".join(f"{counts[change]:,} {words}" for change, words in CHANGE_WORDS.items() if change in counts)
    [(nights,)] = published.execute("SELECT count(*) FROM policy_run WHERE policy_id = ?", [policy_id]).fetchall()
    if nights < 2:
        return "this is the first night: there is nothing to compare with"
    [(coverage,)] = published.execute("SELECT coverage_percent FROM publication").fetchall()
    return nothing_changed(coverage, unread_sentences(published))
