-- policy_run: one row per policy: how many objects it found in which state.
-- key: policy_id.  from: lake.policy_output, catalog.policies.
-- A policy that had nothing to judge is here too, with zeros.
SELECT
    p.policy_id,
    p.policy_hash,
    $run_time AS run_time,
    TRUE AS completed,
    count(*) FILTER (WHERE o.status = 'COMPLIANT') AS compliant,
    count(*) FILTER (WHERE o.status = 'INCOMPLIANT') AS incompliant,
    count(*) FILTER (WHERE o.status = 'UNDETERMINED') AS undetermined,
    count(*) FILTER (WHERE o.status = 'INAPPLICABLE') AS inapplicable,
    count(*) FILTER (WHERE o.status = 'DISAPPEARED') AS disappeared
FROM catalog.policies AS p
LEFT JOIN lake.policy_output AS o USING (policy_id)
GROUP BY ALL
