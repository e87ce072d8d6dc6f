-- policy_run: one row per policy: how many objects it found in which state.
-- key: policy_id.  from: lake.policy_output, catalog.policies.
-- A policy that had nothing to judge is here too, with zeros.
WITH counts AS (
    SELECT
        policy_id,
        status,
        count(*) AS objects
    FROM lake.policy_output
    GROUP BY ALL
)

SELECT
    p.policy_id,
    p.policy_hash,
    $run_time AS run_time,
    TRUE AS completed,
    coalesce(sum(c.objects) FILTER (WHERE c.status = 'COMPLIANT'), 0)::BIGINT AS compliant,
    coalesce(sum(c.objects) FILTER (WHERE c.status = 'INCOMPLIANT'), 0)::BIGINT AS incompliant,
    coalesce(sum(c.objects) FILTER (WHERE c.status = 'UNDETERMINED'), 0)::BIGINT AS undetermined,
    coalesce(sum(c.objects) FILTER (WHERE c.status = 'INAPPLICABLE'), 0)::BIGINT AS inapplicable,
    coalesce(sum(c.objects) FILTER (WHERE c.status = 'DISAPPEARED'), 0)::BIGINT AS disappeared
FROM catalog.policies AS p
LEFT JOIN counts AS c USING (policy_id)
GROUP BY ALL
