-- list: one row per policy, with the organization's compliance under it.
-- key: policy_id.  from: policies, pages/policies, compliance_daily.
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
)

SELECT
    policy_id,
    p.contextual_name,
    p.description,
    p.severity,
    p.flags,
    policies.similar_policies,
    policies.input,
    policies.facets,
    p.sections,
    compliant,
    incompliant,
    undetermined,
    compliance_percent
FROM {policies} AS p
JOIN policies USING (policy_id)
LEFT JOIN tonight USING (policy_id)
ORDER BY p.place
