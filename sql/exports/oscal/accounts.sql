-- accounts: one row per account that has verdicts or targets.
-- key: account_id.  from: account_compliance, coverage.
-- $account_id: this account alone; NULL: all.
-- An account that has left is included as long as it has verdicts; its coverage is then NULL.
SELECT
    a.account_id,
    any_value(a.account_name) AS account_name,
    any_value(a.state) AS state,
    any_value(a.ou_path) AS ou_path,
    any_value(c.coverage_percent) AS coverage_percent,
    any_value(c.first_day_not_seen) AS first_day_not_seen,
    any_value(c.last_read_date) AS last_read_date
FROM account_compliance AS a
LEFT JOIN coverage AS c USING (account_id)
WHERE $account_id IS NULL
    OR a.account_id = $account_id
GROUP BY a.account_id
ORDER BY a.account_id
