-- severity: warn
-- Repositories and registries that were read without a facet that is collected: its last known values are used, or none.
SELECT
    r.repository_arn AS object_id,
    unnest(failed_facets(r.facets_failed, t.error_code, r.tags_read_at, r.collected_at), recursive := TRUE)
FROM staging.repositories AS r
JOIN lake.scan_targets AS t USING (account_id, region)
WHERE r.observed
    -- First: where no facet failed, nothing is joined.
    AND (r.facets_failed IS NULL OR len(r.facets_failed) > 0)
UNION ALL BY NAME
SELECT
    registry_arn AS object_id,
    unnest(facets_failed, recursive := TRUE)
FROM staging.registries
WHERE observed
