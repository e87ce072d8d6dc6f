-- count: the one row with the number of the account's repositories that a policy evaluates.
-- from: policy_output.
SELECT count(*) AS repositories
FROM policy_output
WHERE policy_id = $policy_id
    AND account_id = $account_id
