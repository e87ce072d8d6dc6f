-- history: one row per time in which the account's name, state and unit stayed the same, the newest first.
-- key: from_date.  from: account_history.
SELECT
    account_name,
    state,
    ou_id,
    ou_path,
    from_date,
    to_date
FROM account_history
WHERE account_id = $account_id
ORDER BY from_date DESC
