-- How does the organization stand under each policy, the most severe first?
SELECT
    p.contextual_name,
    p.severity,
    p.input,
    c.compliant,
    c.incompliant,
    c.waived,
    c.undetermined,
    round(c.compliance_percent::NUMERIC(9, 6), 1) AS compliance_percent
FROM policies AS p
JOIN compliance_daily AS c ON c.policy_id = p.policy_id
WHERE c.scope_type = 'organization'
    AND c.snapshot_date = (SELECT snapshot_date FROM publication)
ORDER BY
    CASE p.severity WHEN 'CRITICAL' THEN 1 WHEN 'HIGH' THEN 2 WHEN 'MEDIUM' THEN 3 ELSE 4 END,
    p.contextual_name;
