-- changes: one row per repository and change on a night, the newest night first; a NULL parameter matches everything.
-- key: snapshot_date, repository_arn, change.  from: changes.
SELECT *
FROM changes
WHERE policy_id = $policy
    AND ($since IS NULL OR snapshot_date >= $since)
    AND ($until IS NULL OR snapshot_date <= $until)
    AND ($change IS NULL OR change = $change)
    AND ($account IS NULL OR account_id = $account)
ORDER BY snapshot_date DESC, repository_arn, change
