-- registries: one row per matching registry; a NULL parameter matches everything.
-- key: registry_arn.  from: registries.
SELECT * REPLACE (
    registries_read_at AT TIME ZONE 'UTC' AS registries_read_at,
    collected_at AT TIME ZONE 'UTC' AS collected_at
)
FROM registries
WHERE ($account IS NULL OR account_id = $account)
    AND ($region IS NULL OR region = $region)
    AND ($ou IS NULL OR is_in_unit(ou_path, $ou))
ORDER BY account_id, region
