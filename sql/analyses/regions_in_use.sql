-- Which regions have repositories, and what is their compliance?
SELECT
    c.scope_id AS region,
    c.compliant + c.incompliant + c.undetermined AS repositories,
    c.incompliant,
    round(c.compliance_percent::NUMERIC(9, 6), 1) AS compliance_percent,
    round(c.coverage_percent::NUMERIC(9, 6), 1) AS coverage_percent
FROM compliance_daily AS c
WHERE c.scope_type = 'region'
    AND c.policy_id = $policy_id
    AND c.snapshot_date = (SELECT snapshot_date FROM publication)
ORDER BY repositories DESC, region;
