-- policies: one row per policy, first those that decide most framework sections.
-- key: policy_id.  from: policies, section_policies.
-- The first one is what pages show that show one policy and were not told which.
SELECT
    policy_id,
    name,
    contextual_name,
    severity,
    flags,
    policy_hash
FROM policies
LEFT JOIN (
    SELECT
        policy_id,
        count(*) AS sections
    FROM section_policies
    GROUP BY policy_id
) USING (policy_id)
ORDER BY coalesce(sections, 0) DESC, policy_id
