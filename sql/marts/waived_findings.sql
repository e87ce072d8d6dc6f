-- waived_findings: one row per finding that a waiver in force covers.
-- key: policy_id, object_id.  from: staging.waiver_matches.
-- With several waivers, waiver_id is the one that expires last, since the finding is waived until then.
SELECT
    policy_id,
    object_id,
    arg_max(waiver_id, (expires, waiver_id)) AS waiver_id
FROM staging.waiver_matches
WHERE expires > $snapshot_date
GROUP BY ALL
