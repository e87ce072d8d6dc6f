-- mutability_findings: one row per open finding of a policy on image tag mutability, waived ones included.
-- key: policy_id, repository_arn.  from: lake.policy_output, lake.waived_findings, catalog.policies.
-- The same findings as in the published table, which has the plan's command and so is made after the plan.
SELECT
    o.policy_id,
    o.object_id AS repository_arn,
    o.status,
    o.owner,
    w.waiver_id IS NOT NULL AS waived,
    p.passing_mutability
FROM lake.policy_output AS o
JOIN catalog.policies AS p USING (policy_id)
LEFT JOIN lake.waived_findings AS w ON w.policy_id = o.policy_id AND w.object_id = o.object_id
WHERE len(p.passing_mutability) > 0
    AND is_finding(o.status, o.incompliant_start_date, o.incompliant_end_date)
