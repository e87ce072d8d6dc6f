-- severity: fail
-- There are five statuses, and each verdict has one of them. Looked for among the counts first, which are few rows.
WITH unknown AS (
    SELECT DISTINCT
        policy_id,
        account_id,
        status
    FROM staging.verdict_counts
    WHERE is_status(status) IS DISTINCT FROM TRUE
        AND account_id IS NOT NULL
)

SELECT
    o.policy_id,
    o.object_id,
    o.status
FROM lake.policy_output AS o
SEMI JOIN unknown AS u
    ON u.policy_id = o.policy_id
    AND u.account_id = o.account_id
    AND u.status IS NOT DISTINCT FROM o.status
