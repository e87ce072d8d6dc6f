-- counts: the one row with how many nights are sealed and signed, and which are not. from: nights.
-- first_sealed: NULL before the first one. A gap is an evaluated night after it without an entry.
WITH first AS (
    SELECT min(snapshot_date) FILTER (evidence_sequence IS NOT NULL) AS first_sealed
    FROM nights
)

SELECT
    count(*) AS nights,
    count(*) FILTER (missed) AS missed,
    count(evidence_sequence) AS sealed,
    count(evidence_signed_by) AS signed,
    coalesce(sum(evidence_entries), 0)::BIGINT AS entries,
    count(*) FILTER (evidence_entries > 1) AS evaluated_again,
    count(*) FILTER (NOT missed AND evidence_sequence IS NULL AND snapshot_date > first_sealed) AS gaps,
    any_value(first_sealed) AS first_sealed
FROM nights
CROSS JOIN first
