-- severity: fail
-- Every object has exactly one verdict of every policy of its input; observed objects have no other verdict, but
-- DISAPPEARED. Where all was observed, both sides of an account are compared by number and by the sum of their ids'
-- hashes, which is equal only for equal sets: comparing millions of ids one by one would take longer than evaluating
-- them did.
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

expected AS (
    SELECT
        p.policy_id,
        o.*
    FROM catalog.policies AS p
    JOIN staging.object_counts AS o USING (input)
    WHERE o.observed
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
    NULL AS object_id,
    coalesce(e.objects, 0) AS objects,
    coalesce(v.verdicts, 0) AS verdicts
FROM expected AS e
FULL JOIN verdicts AS v USING (policy_id, account_id)
WHERE e.objects IS DISTINCT FROM v.verdicts
    OR e.fingerprint IS DISTINCT FROM v.fingerprint
UNION ALL
SELECT
    p.policy_id,
    o.account_id,
    o.object_id,
    1 AS objects,
    coalesce(v.verdicts, 0) AS verdicts
FROM catalog.policies AS p
JOIN staging.objects AS o ON o.input = p.input AND NOT o.observed
LEFT JOIN unobserved_verdicts AS v ON v.policy_id = p.policy_id AND v.object_id = o.object_id
WHERE v.verdicts IS DISTINCT FROM 1
