-- severity: fail
-- Every repository of the snapshot has exactly one verdict of every policy; besides, only what disappeared has one.
-- An object whose account has left may be known from an earlier snapshot only: it is INAPPLICABLE.
WITH verdicts AS (
    SELECT
        policy_id,
        object_id,
        count(*) AS verdicts,
        any_value(condition_index) AS condition_index
    FROM lake.policy_output
    GROUP BY ALL
),

expected AS (
    SELECT
        p.policy_id,
        r.repository_arn AS object_id,
        count(*) AS repositories
    FROM catalog.policies AS p
    CROSS JOIN lake.repositories AS r
    GROUP BY ALL
)

SELECT
    policy_id,
    object_id,
    coalesce(e.repositories, 0) AS repositories,
    coalesce(v.verdicts, 0) AS verdicts
FROM expected AS e
FULL JOIN verdicts AS v USING (policy_id, object_id)
WHERE verdicts IS DISTINCT FROM 1
    OR (e.repositories IS DISTINCT FROM 1 AND v.condition_index NOT IN (99, 399, 599))
