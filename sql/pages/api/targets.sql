-- targets: one row per matching account and region, with its outcome; a NULL parameter matches everything.
-- key: account_id, region.  from: scan_targets.
SELECT * REPLACE (started_at AT TIME ZONE 'UTC' AS started_at)
FROM scan_targets
WHERE ($account IS NULL OR account_id = $account)
    AND ($region IS NULL OR region = $region)
    AND ($outcome IS NULL OR outcome = $outcome)
ORDER BY account_id, region
