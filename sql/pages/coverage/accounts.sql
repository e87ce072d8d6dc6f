-- accounts: one row per account whose name, id or unit contains the search, and that has a target of an outcome ('':
-- of any); lowest coverage first.
-- key: account_id.  from: coverage, scan_targets.
SELECT
    account_id,
    account_name,
    state,
    ou_path,
    coverage_percent,
    first_day_not_seen,
    last_read_date,
    repositories_unseen
FROM coverage
WHERE (contains(account_id, $search) OR contains(lower(account_name), lower($search))
        OR contains(lower(ou_path), lower($search)))
    AND ($outcome = '' OR account_id IN (SELECT account_id FROM scan_targets WHERE outcome = $outcome))
ORDER BY coverage_percent NULLS LAST, account_id
LIMIT $size OFFSET $offset
