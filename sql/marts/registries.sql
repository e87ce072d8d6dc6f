-- registries: one row per registry of the snapshot, which is ECR in one account and region that has at least one repository:
-- what creates repositories in it by itself.
-- key: registry_arn.  from: staging.registries, lake.accounts.
-- observed = false: its account and region could not be read, and the row has the values last known at collected_at.
SELECT
    $snapshot_date AS snapshot_date,
    r.account_id,
    a.account_name,
    a.ou_path,
    r.* EXCLUDE (account_id, owner)
FROM staging.registries AS r
LEFT JOIN lake.accounts AS a USING (account_id)
