-- repositories_matching: one row per matching repository; a NULL parameter matches everything. `place`: in the table.
-- key: repository_arn.  from: repositories, which is published in the order account, region, name.
SELECT
    rowid AS place,
    *
FROM repositories
WHERE ($account IS NULL OR account_id = $account)
    AND ($region IS NULL OR region = $region)
    AND ($ou IS NULL OR is_in_unit(ou_path, $ou))
    AND ($owner IS NULL OR owner = $owner)
    AND ($tags IS NULL OR overwritable_tags = $tags)
    AND ($search IS NULL OR contains(lower(repository_name), lower($search)))
