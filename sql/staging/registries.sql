-- registries: one row per registry of the snapshot: ECR in one account and region that has at least one repository; with
-- observed = false, one carried over from an earlier snapshot because its target could not be read.
-- key: registry_arn.  from: lake.registries.
-- `owner` is NULL: nothing but its account has a registry.
SELECT
    account_id,
    region,
    registry_arn,
    creation_templates,
    pull_through_rules,
    registries_read_at,
    unread_because('registries', registries_read_at, collected_at, facets_failed) AS registries_unread,
    facets_failed,
    NULL::VARCHAR AS owner,
    collected_at,
    observed
FROM lake.registries
