-- What got worse in the last seven days: new and reopened findings, newest first?
SELECT
    snapshot_date,
    change,
    account_name,
    region,
    repository_name,
    current_state_message
FROM changes
WHERE policy_id = $policy_id
    AND change IN ('new', 'reopened')
    AND snapshot_date > (SELECT snapshot_date - 7 FROM publication)
ORDER BY snapshot_date DESC, account_name, region, repository_name;
