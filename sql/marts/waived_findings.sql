-- waived_findings: one row per finding that a waiver in force covers.
-- key: policy_id, object_id.  from: staging.waiver_matches.
-- Of several waivers the one that lasts longest is named: until it expires the finding stays waived.
SELECT
    policy_id,
    object_id,
    arg_max(waiver_id, (expires, waiver_id)) AS waiver_id
FROM staging.waiver_matches
WHERE expires > $snapshot_date
GROUP BY ALL
