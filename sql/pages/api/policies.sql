-- policies: one row per policy.
-- key: policy_id.  from: policies.
SELECT *
FROM policies
ORDER BY policy_id
