-- count: the one row with the number of matching accounts; see accounts.sql.
-- from: coverage, scan_targets.
SELECT count(*) AS accounts
FROM coverage
WHERE (contains(account_id, $search) OR contains(lower(account_name), lower($search))
        OR contains(lower(ou_path), lower($search)))
    AND ($outcome = '' OR account_id IN (SELECT account_id FROM scan_targets WHERE outcome = $outcome))
