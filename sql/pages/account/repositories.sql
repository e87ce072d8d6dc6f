-- repositories: one row per repository or registry of the account and its verdict under a policy, findings first.
-- key: repository_arn.  from: policy_output.
SELECT
    object_id AS repository_arn,
    resource_name(object_id) AS repository_name,
    region,
    status,
    status_date,
    current_state_message,
    owner
FROM policy_output
WHERE policy_id = $policy_id
    AND account_id = $account_id
ORDER BY
    list_position(['INCOMPLIANT', 'UNDETERMINED', 'DISAPPEARED', 'INAPPLICABLE', 'COMPLIANT'], status),
    status_date,
    repository_name,
    region
LIMIT $size OFFSET $offset
