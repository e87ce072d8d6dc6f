-- owners: one row per repository that has a verdict: who owns it; of one that is gone, who did.
-- key: object_id.  from: staging.repositories, staging.previous_owners.
SELECT
    repository_arn AS object_id,
    owner
FROM staging.repositories
UNION ALL
SELECT
    object_id,
    owner
FROM staging.previous_owners
WHERE is_gone
