-- changes: one row per repository of the account whose verdict changed in a night, the newest first.
-- key: snapshot_date, repository_arn.  from: changes.
SELECT
    snapshot_date,
    repository_arn,
    repository_name,
    region,
    change,
    previous_status,
    status
FROM changes
WHERE policy_id = $policy_id
    AND account_id = $account_id
ORDER BY snapshot_date DESC, repository_name, region
LIMIT $shown
