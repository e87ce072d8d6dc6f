-- repositories: one row per repository of the snapshot, with derived columns.
-- key: repository_arn.  from: staging.repositories, lake.accounts.
-- observed = false: its account and region could not be read, and the row has the values last known at collected_at.
SELECT
    $snapshot_date AS snapshot_date,
    r.account_id,
    a.account_name,
    a.ou_path,
    r.* EXCLUDE (account_id) REPLACE (coalesce(r.owner, nullif(a.account_name, ''), r.account_id) AS owner),
    CASE WHEN r.owner IS NULL THEN 'account' ELSE 'tag' END AS owner_source
FROM staging.repositories AS r
LEFT JOIN lake.accounts AS a USING (account_id)
