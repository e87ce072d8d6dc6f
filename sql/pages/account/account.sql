-- account: the account of an id, with its coverage.
-- key: account_id.  from: coverage, accounts.
-- An account that has left the organization is included as long as a table has data on it.
SELECT
    account_id,
    coverage.account_name,
    coverage.state,
    coverage.ou_path,
    targets,
    collected,
    region_disabled,
    repositories_observed,
    repositories_unseen,
    coverage_percent,
    first_day_not_seen,
    joined_at AT TIME ZONE 'UTC' AS joined_at
FROM coverage
LEFT JOIN accounts USING (account_id)
WHERE account_id = $account_id
