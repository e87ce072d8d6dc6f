-- findings: one row per open finding that is not waived, under a policy of the list; the oldest first.
-- key: policy_id, repository_arn.  from: findings.
SELECT
    policy_id,
    repository_arn,
    repository_name,
    account_id,
    account_name,
    region,
    owner,
    incompliant_start_date,
    age_days,
    started_known
FROM findings
WHERE list_contains($policy_ids, policy_id)
    AND NOT waived
ORDER BY incompliant_start_date, repository_arn, policy_id
LIMIT $shown
