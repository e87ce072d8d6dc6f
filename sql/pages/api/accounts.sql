-- accounts: one row per matching account, with its compliance under a policy; a NULL parameter matches everything.
-- key: account_id.  from: account_compliance.
SELECT *
FROM account_compliance
WHERE policy_id = $policy
    AND ($ou IS NULL OR is_in_unit(ou_path, $ou))
    AND ($account IS NULL OR account_id = $account)
    AND ($search IS NULL OR contains(lower(account_name), lower($search)))
ORDER BY account_id
