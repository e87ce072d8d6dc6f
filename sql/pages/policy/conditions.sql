-- conditions: one row per condition by which a policy evaluated something tonight.
-- key: condition_index, status.  from: policy_output.
SELECT
    condition_index,
    status,
    count(*) AS repositories
FROM policy_output
WHERE policy_id = $policy_id
GROUP BY condition_index, status
