-- policy_run: one row per policy: its number of objects by status.
-- key: policy_id.  from: staging.verdict_counts, catalog.policies.
-- A policy without objects is included, with zeros.
SELECT
    p.policy_id,
    p.policy_hash,
    $run_time AS run_time,
    TRUE AS completed,
    coalesce(sum(c.verdicts) FILTER (WHERE c.status = 'COMPLIANT'), 0)::BIGINT AS compliant,
    coalesce(sum(c.verdicts) FILTER (WHERE c.status = 'INCOMPLIANT'), 0)::BIGINT AS incompliant,
    coalesce(sum(c.verdicts) FILTER (WHERE c.status = 'UNDETERMINED'), 0)::BIGINT AS undetermined,
    coalesce(sum(c.verdicts) FILTER (WHERE c.status = 'INAPPLICABLE'), 0)::BIGINT AS inapplicable,
    coalesce(sum(c.verdicts) FILTER (WHERE c.status = 'DISAPPEARED'), 0)::BIGINT AS disappeared
FROM catalog.policies AS p
LEFT JOIN staging.verdict_counts AS c ON c.policy_id = p.policy_id AND c.account_id IS NOT NULL
GROUP BY ALL
