-- Which organizational units are behind the organization as a whole, and how far?
WITH organization AS (
    SELECT
        policy_id,
        compliance_percent
    FROM compliance_daily
    WHERE scope_type = 'organization'
        AND snapshot_date = (SELECT snapshot_date FROM publication)
)

SELECT
    u.ou_path,
    u.accounts,
    u.incompliant,
    round(u.compliance_percent::NUMERIC(9, 6), 1) AS compliance_percent,
    round((u.compliance_percent - o.compliance_percent)::NUMERIC(9, 6), 1) AS points_from_organization
FROM ou_compliance AS u
JOIN organization AS o USING (policy_id)
WHERE u.policy_id = $policy_id
    AND u.compliance_percent < o.compliance_percent
ORDER BY points_from_organization, u.ou_path;
