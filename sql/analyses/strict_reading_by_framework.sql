-- What would the strict reading of ECR.2 change in each framework: how many verdicts would fail, and the compliance then?
-- A framework counts each verdict of its policies once. Where a stricter policy finds an object INCOMPLIANT that the policy
-- of the framework finds COMPLIANT (policy_disagreements), the strict reading takes the stricter verdict.
WITH framework_policies AS (
    SELECT DISTINCT
        s.framework_name,
        h.policy_id
    FROM section_policies AS h
    JOIN sections AS s USING (section_id)
),

counted AS (
    SELECT
        f.framework_name,
        sum(c.compliant) AS compliant,
        sum(c.incompliant) AS incompliant
    FROM framework_policies AS f
    JOIN compliance_daily AS c USING (policy_id)
    WHERE c.scope_type = 'organization'
        AND c.snapshot_date = (SELECT snapshot_date FROM publication)
    GROUP BY f.framework_name
),

stricter AS (
    SELECT
        f.framework_name,
        count(DISTINCT concat(d.policy_id, ' ', d.repository_arn)) AS would_fail,
        count(DISTINCT d.account_id) AS accounts
    FROM framework_policies AS f
    JOIN policy_disagreements AS d USING (policy_id)
    GROUP BY f.framework_name
)

SELECT
    c.framework_name,
    c.compliant,
    c.incompliant,
    round(100.0 * c.compliant / nullif(c.compliant + c.incompliant, 0), 1) AS compliance_percent,
    coalesce(s.would_fail, 0) AS would_fail,
    coalesce(s.accounts, 0) AS accounts,
    round(100.0 * (c.compliant - coalesce(s.would_fail, 0)) / nullif(c.compliant + c.incompliant, 0), 1)
        AS strict_compliance_percent
FROM counted AS c
LEFT JOIN stricter AS s USING (framework_name)
ORDER BY c.framework_name;
