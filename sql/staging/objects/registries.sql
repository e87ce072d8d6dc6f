-- objects of the input `registries`: one row per registry of the snapshot.
-- key: object_id.  from: staging.registries.
-- A registry is as old as its account's use of the region, which is not known: it is never young.
SELECT
    registry_arn AS object_id,
    account_id,
    region,
    owner,
    NULL::TIMESTAMPTZ AS created_at,
    collected_at,
    observed
FROM staging.registries
