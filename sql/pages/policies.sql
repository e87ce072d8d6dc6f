-- policies: one row per policy, with the number of framework sections that hold it.
-- key: policy_id.  from: policies, section_policies.
-- The order in which policies are shown everywhere, also in the terminal, is policies.position. The first is the default
-- where there is room for only one.
SELECT
    p.policy_id,
    p.name,
    p.contextual_name,
    p.description,
    p.severity,
    p.flags,
    p.input,
    p.policy_hash,
    coalesce(s.sections, 0) AS sections,
    p.position AS place
FROM policies AS p
LEFT JOIN (
    SELECT
        policy_id,
        count(*) AS sections
    FROM section_policies
    GROUP BY policy_id
) AS s USING (policy_id)
ORDER BY place
