-- list: one row per policy: what it is, and how the organization fares under it.
-- key: policy_id.  from: policies, compliance_daily, section_policies.
WITH tonight AS (
    SELECT
        policy_id,
        compliant,
        incompliant,
        undetermined,
        compliance_percent
    FROM compliance_daily
    WHERE scope_type = 'organization'
        AND snapshot_date = (SELECT snapshot_date FROM publication)
),

linked AS (
    SELECT
        policy_id,
        count(*) AS sections
    FROM section_policies
    GROUP BY policy_id
)

SELECT
    policy_id,
    contextual_name,
    description,
    severity,
    flags,
    similar_policies,
    coalesce(sections, 0) AS sections,
    compliant,
    incompliant,
    undetermined,
    compliance_percent
FROM policies
LEFT JOIN tonight USING (policy_id)
LEFT JOIN linked USING (policy_id)
ORDER BY coalesce(sections, 0) DESC, policy_id
