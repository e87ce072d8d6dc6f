-- severity: fail
-- The day's changes, applied to what was known before, give what is known today: for every policy, those that comply,
-- those that do not, and those without a verdict (which UNDETERMINED and INAPPLICABLE are alike) are the same
-- repositories. Sets are compared by number and by the sum of their ids' hashes.
WITH moves AS (
    SELECT
        policy_id,
        status,
        object_id,
        1 AS count
    FROM lake.previous_policy_output
    ANTI JOIN staging.recreated USING (object_id)
    UNION ALL
    SELECT
        policy_id,
        previous_status AS status,
        repository_arn AS object_id,
        -1 AS count
    FROM marts.changes
    WHERE previous_status IS NOT NULL
    UNION ALL
    SELECT
        policy_id,
        status,
        repository_arn AS object_id,
        1 AS count
    FROM marts.changes
    UNION ALL
    SELECT
        policy_id,
        status,
        object_id,
        -1 AS count
    FROM lake.policy_output
)

SELECT
    policy_id,
    CASE WHEN status IN ('COMPLIANT', 'INCOMPLIANT') THEN status ELSE 'no verdict' END AS verdict,
    sum(count) AS too_many
FROM moves
SEMI JOIN lake.previous_policy_run USING (policy_id)
-- Said once, and then no more: neither is a state that anything stays in.
WHERE status <> 'DISAPPEARED'
GROUP BY ALL
HAVING sum(count) <> 0
    OR sum(hash(object_id)) FILTER (WHERE count > 0) <> sum(hash(object_id)) FILTER (WHERE count < 0)
