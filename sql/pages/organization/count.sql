-- count: the one row with the number of matching accounts; see accounts.sql.
-- from: account_compliance.
SELECT count(*) AS accounts
FROM account_compliance
WHERE policy_id = $policy_id
    AND ($ou = '' OR is_in_unit(ou_path, $ou))
    AND (contains(account_id, $search) OR contains(lower(account_name), lower($search)))
