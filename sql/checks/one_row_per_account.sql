-- severity: fail
-- stage: inventory
-- An account has one row: targets, verdicts and counts are joined by its id.
SELECT
    account_id,
    NULL AS region,
    count(*) AS account_rows
FROM lake.accounts
GROUP BY ALL
HAVING count(*) > 1
    OR account_id IS NULL
