-- severity: fail
-- The day's changes, applied to what was known before, give what is known today: for every policy and organizational unit,
-- those that comply and those that do not are the same repositories; and for every policy those without a verdict (which
-- UNDETERMINED and INAPPLICABLE are alike). Each account counts in the unit that it is directly in; so the units above add
-- up as well. Sets are compared by number and by the sum of their ids' hashes: each is read once, and added up.
WITH before AS (
    SELECT
        policy_id,
        account_id,
        status,
        count(*) AS objects,
        sum(hash(object_id)) AS fingerprint
    FROM lake.previous_policy_output
    GROUP BY ALL
),

changed_from AS (
    SELECT
        policy_id,
        CASE WHEN change = 'moved' THEN previous_ou_id ELSE ou_id END AS ou_id,
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
        ou_id,
        status,
        count(*) AS objects,
        sum(hash(repository_arn)) AS fingerprint
    FROM marts.changes
    GROUP BY ALL
),

today AS (
    SELECT
        policy_id,
        account_id,
        status,
        sum(verdicts) AS objects,
        sum(fingerprint) AS fingerprint
    FROM staging.verdict_counts
    WHERE account_id IS NOT NULL
    GROUP BY ALL
),

moves AS (
    SELECT
        policy_id,
        a.ou_id,
        status,
        objects,
        fingerprint,
        1 AS sign
    FROM before
    LEFT JOIN lake.previous_accounts AS a USING (account_id)
    UNION ALL
    SELECT *, -1 AS sign FROM changed_from
    UNION ALL
    SELECT *, 1 AS sign FROM changed_to
    UNION ALL
    SELECT
        policy_id,
        a.ou_id,
        status,
        objects,
        fingerprint,
        -1 AS sign
    FROM today
    LEFT JOIN lake.accounts AS a USING (account_id)
),

summed AS (
    SELECT
        policy_id,
        CASE WHEN has_verdict(status) THEN status ELSE 'no verdict' END AS verdict,
        -- Repositories of an account that has left have no unit, and so no verdict.
        CASE WHEN has_verdict(status) THEN ou_id END AS ou_id,
        sign * objects AS objects,
        sign * fingerprint AS fingerprint
    FROM moves
    SEMI JOIN lake.previous_policy_run USING (policy_id)
    SEMI JOIN catalog.policies USING (policy_id)
    -- Reported once, on the day: it is not a lasting state.
    WHERE status <> 'DISAPPEARED'
)

SELECT
    policy_id,
    verdict,
    ou_id,
    sum(objects) AS too_many
FROM summed
GROUP BY ALL
HAVING sum(objects) <> 0
    OR sum(fingerprint) <> 0
