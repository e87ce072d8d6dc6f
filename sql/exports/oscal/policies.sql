-- policies: one row per policy that a framework's sections hold, with its open findings.
-- key: policy_id.  from: policies, section_policies, sections, findings.
-- $framework_id; $account_id: findings in this account alone; NULL: in the organization.
WITH held AS (
    SELECT
        h.policy_id,
        list(h.section_id ORDER BY s.position) AS section_ids
    FROM section_policies AS h
    JOIN sections AS s USING (section_id)
    WHERE s.framework_id = $framework_id
    GROUP BY h.policy_id
),

found AS (
    SELECT
        policy_id,
        count(*) AS findings,
        count(*) FILTER (WHERE waived) AS waived,
        min(incompliant_start_date) AS oldest_finding,
        min(remediation_message) AS remediation_message
    FROM findings
    WHERE $account_id IS NULL
        OR account_id = $account_id
    GROUP BY policy_id
)

SELECT
    p.policy_id,
    p.contextual_name,
    p.description,
    p.severity,
    p.policy_hash,
    h.section_ids,
    coalesce(f.findings, 0) AS findings,
    coalesce(f.waived, 0) AS waived,
    f.oldest_finding,
    f.remediation_message
FROM policies AS p
JOIN held AS h USING (policy_id)
LEFT JOIN found AS f USING (policy_id)
ORDER BY p.position
