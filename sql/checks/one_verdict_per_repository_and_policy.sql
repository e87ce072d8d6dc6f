-- severity: fail
-- Every repository has exactly one verdict of every policy; what was observed has no other verdict, but DISAPPEARED.
-- Where all was observed, both sides of an account are compared by number and by the sum of their ids' hashes, which is
-- equal only for equal sets: comparing millions of ids one by one would take longer than judging them did.
WITH verdicts AS (
    SELECT
        policy_id,
        account_id,
        sum(verdicts) AS verdicts,
        sum(fingerprint) AS fingerprint
    FROM staging.verdict_counts
    WHERE observed
        AND status IS DISTINCT FROM 'DISAPPEARED'
    GROUP BY ALL
),

repositories AS (
    SELECT
        account_id,
        count(*) AS repositories,
        sum(hash(repository_arn)) AS fingerprint
    FROM lake.repositories
    WHERE observed
    GROUP BY ALL
),

expected AS (
    SELECT
        p.policy_id,
        r.*
    FROM catalog.policies AS p
    CROSS JOIN repositories AS r
),

unobserved_verdicts AS (
    SELECT
        policy_id,
        object_id,
        count(*) AS verdicts
    FROM lake.policy_output
    WHERE NOT observed
    GROUP BY ALL
)

SELECT
    policy_id,
    account_id,
    NULL AS repository_arn,
    coalesce(e.repositories, 0) AS repositories,
    coalesce(v.verdicts, 0) AS verdicts
FROM expected AS e
FULL JOIN verdicts AS v USING (policy_id, account_id)
WHERE e.repositories IS DISTINCT FROM v.verdicts
    OR e.fingerprint IS DISTINCT FROM v.fingerprint
UNION ALL
SELECT
    p.policy_id,
    r.account_id,
    r.repository_arn,
    1 AS repositories,
    coalesce(v.verdicts, 0) AS verdicts
FROM catalog.policies AS p
JOIN lake.repositories AS r ON NOT r.observed
LEFT JOIN unobserved_verdicts AS v ON v.policy_id = p.policy_id AND v.object_id = r.repository_arn
WHERE v.verdicts IS DISTINCT FROM 1
