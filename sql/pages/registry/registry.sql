-- registry: the registry of an ARN, with all published columns.
-- key: registry_arn.  from: registries.
SELECT * REPLACE (
    registries_read_at AT TIME ZONE 'UTC' AS registries_read_at,
    collected_at AT TIME ZONE 'UTC' AS collected_at
)
FROM registries
WHERE registry_arn = $arn
