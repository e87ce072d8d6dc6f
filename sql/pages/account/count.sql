-- count: the one row that says how many repositories of the account are evaluated by a policy.
-- from: policy_output.
SELECT count(*) AS repositories
FROM policy_output
WHERE policy_id = $policy_id
    AND account_id = $account_id
