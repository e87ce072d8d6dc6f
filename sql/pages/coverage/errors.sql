-- errors: one row per error that AWS gave in the given accounts, with the regions that it was given in.
-- key: account_id, outcome, error_code, error_message.  from: scan_targets, coverage.
SELECT
    account_id,
    account_name,
    outcome,
    error_code,
    error_message,
    list(region ORDER BY region) AS regions
FROM scan_targets
JOIN coverage USING (account_id)
WHERE list_contains($account_ids, account_id)
    AND is_unread(outcome)
GROUP BY ALL
ORDER BY outcome, account_id, error_code, error_message
