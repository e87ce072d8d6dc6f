-- changes: one row per repository of the account and change of its verdict in a night, the newest first.
-- key: snapshot_date, repository_arn, change.  from: changes.
-- Without a row per repository when the account was moved: account/history has that once.
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
    AND change <> 'moved'
ORDER BY snapshot_date DESC, repository_name, region
LIMIT $shown
