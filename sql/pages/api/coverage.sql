-- coverage: one row per matching account, with its coverage; a NULL parameter matches everything.
-- key: account_id.  from: coverage.
SELECT *
FROM coverage
WHERE ($ou IS NULL OR is_in_unit(ou_path, $ou))
    AND ($account IS NULL OR account_id = $account)
ORDER BY account_id
