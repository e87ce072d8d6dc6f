-- severity: fail
-- stage: inventory
-- A repository was observed exactly if its account x region was collected.
SELECT
    r.account_id,
    r.region,
    r.repository_arn,
    r.observed,
    t.outcome
FROM lake.repositories AS r
LEFT JOIN lake.scan_targets AS t USING (account_id, region)
WHERE r.observed IS DISTINCT FROM coalesce(is_collected(t.outcome), FALSE)
