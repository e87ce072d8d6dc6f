-- regions: one row per region: the compliance of its repositories under a policy.
-- key: region.  from: region_compliance.
SELECT *
FROM region_compliance
WHERE policy_id = $policy
ORDER BY region
