-- owner_compliance: one row per owner and policy: how the owner's repositories fare.
-- key: owner, policy_id.  from: lake.scope_compliance.
-- The owner is whom a repository's tags name, else its account's name. An owner has no targets, and so no coverage.
SELECT
    snapshot_date,
    scope_id AS owner,
    * EXCLUDE (snapshot_date, scope_type, scope_id, coverage_percent)
FROM lake.scope_compliance
WHERE scope_type = 'owner'
