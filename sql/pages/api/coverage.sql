-- coverage: one row per account that fits, and how much of it was seen; of what is NULL, any does.
-- key: account_id.  from: coverage.
FROM coverage
WHERE ($ou IS NULL OR is_in_unit(ou_path, $ou))
    AND ($account IS NULL OR account_id = $account)
ORDER BY account_id
