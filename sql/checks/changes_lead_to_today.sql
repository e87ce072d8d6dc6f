-- severity: fail
-- The day's changes, applied to what was known before, give what is known today: for every policy, those that comply,
-- those that do not, and those without a verdict (which UNDETERMINED and INAPPLICABLE are alike) are the same
-- repositories. Sets are compared by number and by the sum of their ids' hashes: each is read once, and added up.
WITH before AS (
    SELECT
        policy_id,
        status,
        count(*) AS objects,
        sum(hash(object_id)) AS fingerprint
    FROM lake.previous_policy_output
    ANTI JOIN staging.recreated USING (object_id)
    GROUP BY ALL
),

changed_from AS (
    SELECT
        policy_id,
        previous_status AS status,
        count(*) AS objects,
        sum(hash(repository_arn)) AS fingerprint
    FROM marts.changes
    WHERE previous_status IS NOT NULL
    GROUP BY ALL
),

changed_to AS (
    SELECT
        policy_id,
        status,
        count(*) AS objects,
        sum(hash(repository_arn)) AS fingerprint
    FROM marts.changes
    GROUP BY ALL
),

today AS (
    SELECT
        policy_id,
        status,
        sum(verdicts) AS objects,
        sum(fingerprint) AS fingerprint
    FROM staging.verdict_counts
    WHERE account_id IS NOT NULL
    GROUP BY ALL
),

moves AS (
    SELECT *, 1 AS sign FROM before
    UNION ALL
    SELECT *, -1 AS sign FROM changed_from
    UNION ALL
    SELECT *, 1 AS sign FROM changed_to
    UNION ALL
    SELECT *, -1 AS sign FROM today
)

SELECT
    policy_id,
    CASE WHEN status IN ('COMPLIANT', 'INCOMPLIANT') THEN status ELSE 'no verdict' END AS verdict,
    sum(sign * objects) AS too_many
FROM moves
SEMI JOIN lake.previous_policy_run USING (policy_id)
-- Said once, and then no more: neither is a state that anything stays in.
WHERE status <> 'DISAPPEARED'
GROUP BY ALL
HAVING sum(sign * objects) <> 0
    OR sum(sign * fingerprint) <> 0
