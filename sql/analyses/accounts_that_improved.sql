-- Which accounts improved most, and which slipped, over the last 30 days? Only accounts that were evaluated on both
-- nights.
WITH nights AS (
    SELECT
        min(snapshot_date) AS first_night,
        max(snapshot_date) AS last_night
    FROM compliance_daily
    WHERE snapshot_date >= (SELECT snapshot_date - 30 FROM publication)
),

accounts_on AS (
    SELECT
        snapshot_date,
        scope_id AS account_id,
        compliance_percent
    FROM compliance_daily
    WHERE scope_type = 'account'
        AND policy_id = $policy_id
)

SELECT
    today.account_id,
    a.account_name,
    round(before.compliance_percent::NUMERIC(9, 6), 1) AS then_percent,
    round(today.compliance_percent::NUMERIC(9, 6), 1) AS now_percent,
    round((today.compliance_percent - before.compliance_percent)::NUMERIC(9, 6), 1) AS points
FROM nights
JOIN accounts_on AS before ON before.snapshot_date = nights.first_night
JOIN accounts_on AS today ON today.snapshot_date = nights.last_night AND today.account_id = before.account_id
LEFT JOIN accounts AS a ON a.account_id = today.account_id
-- NULL on either night is an account that was not read: it neither improved nor slipped.
WHERE before.compliance_percent IS NOT NULL
    AND today.compliance_percent IS NOT NULL
ORDER BY points DESC, today.account_id;
