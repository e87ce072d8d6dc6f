-- oldest_findings: one row per open finding that is not waived, the oldest first.
-- key: repository_arn.  from: findings.
SELECT
    repository_arn,
    repository_name,
    account_id,
    account_name,
    region,
    owner,
    incompliant_start_date,
    age_days,
    started_known,
    observed
FROM findings
WHERE policy_id = $policy_id
    AND NOT waived
ORDER BY incompliant_start_date, repository_arn
LIMIT $shown
