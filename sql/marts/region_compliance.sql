-- region_compliance: one row per region and policy: the compliance of its repositories.
-- key: region, policy_id.  from: lake.scope_compliance.
-- Regions without repositories have zeros, and a compliance_percent of NULL.
SELECT
    snapshot_date,
    scope_id AS region,
    * EXCLUDE (snapshot_date, scope_type, scope_id, ou_id)
FROM lake.scope_compliance
WHERE scope_type = 'region'
