-- policies: one row per policy, those in production first.
-- key: policy_id.  from: policies.
-- The first one is what pages show that show one policy and were not told which.
SELECT
    policy_id,
    name,
    contextual_name,
    severity,
    flags,
    policy_hash
FROM policies
ORDER BY list_contains(flags, 'production') DESC, policy_id
