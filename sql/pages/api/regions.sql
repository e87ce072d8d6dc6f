-- regions: one row per region: how the repositories in it fare under a policy.
-- key: region.  from: region_compliance.
FROM region_compliance
WHERE policy_id = $policy
ORDER BY region
