-- history: one row per incompliant stretch of a repository under a policy, the last to begin first; a NULL parameter matches
-- everything.
-- key: repository_arn, started.  from: findings_history.
SELECT *
FROM findings_history
WHERE policy_id = $policy
    AND ($account IS NULL OR account_id = $account)
    AND ($region IS NULL OR region = $region)
    AND ($ou IS NULL OR is_in_unit(ou_path, $ou))
    AND ($owner IS NULL OR owner = $owner)
    AND ($ended_by IS NULL OR coalesce(ended_by, 'open') = $ended_by)
    AND ($since IS NULL OR ended IS NULL OR ended >= $since)
    AND ($until IS NULL OR started <= $until)
ORDER BY started DESC, repository_arn
