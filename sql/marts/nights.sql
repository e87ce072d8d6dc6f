-- nights: one row per night from the first evaluated snapshot to the newest, including missed ones.
-- key: snapshot_date.  from: lake.policy_run_history, lake.scope_compliance_history.
-- A night is due every day. missed = true: there is no evaluated snapshot of it, and the other columns are NULL.
-- policies_changed: policies whose version differs from that of the evaluated night before, including new ones:
-- from then on a verdict may have changed because the policy did.
-- sealed_at and evidence_…: the newest entry of the night in the log of evidence; NULL when it is not sealed.
WITH runs AS (
    SELECT
        snapshot_date,
        max(run_time) AS run_time,
        map_from_entries(list((policy_id, policy_hash) ORDER BY policy_id)) AS policy_hashes
    FROM lake.policy_run_history
    GROUP BY snapshot_date
),

seen AS (
    SELECT
        snapshot_date,
        any_value(coverage_percent) AS coverage_percent
    FROM lake.scope_compliance_history
    WHERE scope_type = 'organization'
    GROUP BY snapshot_date
),

compared AS (
    SELECT
        *,
        lag(policy_hashes) OVER (ORDER BY snapshot_date) AS previous_hashes
    FROM runs
),

-- variable: sealed_nights, of the log of evidence; NULL for a session that does not publish.
sealed AS (
    SELECT unnest(
        getvariable('sealed_nights')::STRUCT(
            snapshot_date DATE,
            sequence BIGINT,
            payload_sha256 VARCHAR,
            signed_by VARCHAR,
            sealed_at TIMESTAMPTZ,
            entries BIGINT
        )[],
        recursive := TRUE
    )
),

due AS (
    SELECT unnest(generate_series(min(snapshot_date), max(snapshot_date), INTERVAL 1 DAY))::DATE AS snapshot_date
    FROM runs
)

SELECT
    d.snapshot_date,
    r.snapshot_date IS NULL AS missed,
    r.run_time,
    s.coverage_percent,
    r.policy_hashes,
    list_filter(
        map_keys(r.policy_hashes),
        lambda policy_id: r.previous_hashes IS NOT NULL
            AND r.policy_hashes[policy_id] IS DISTINCT FROM r.previous_hashes[policy_id]
    ) AS policies_changed,
    e.sealed_at,
    e.sequence AS evidence_sequence,
    e.payload_sha256 AS evidence_sha256,
    e.signed_by AS evidence_signed_by,
    e.entries AS evidence_entries
FROM due AS d
LEFT JOIN compared AS r USING (snapshot_date)
LEFT JOIN seen AS s USING (snapshot_date)
LEFT JOIN sealed AS e USING (snapshot_date)
ORDER BY d.snapshot_date
