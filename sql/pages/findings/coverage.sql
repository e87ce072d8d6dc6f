-- coverage: the one row that says how much was read of the accounts and regions that a filter is limited to; a NULL parameter
-- matches everything.
-- from: scan_targets, accounts.
SELECT coverage_percent(outcome) AS coverage_percent
FROM scan_targets
LEFT JOIN accounts USING (account_id)
WHERE ($ou IS NULL OR is_in_unit(ou_path, $ou))
    AND ($account IS NULL OR account_id = $account)
    AND ($region IS NULL OR region = $region)
