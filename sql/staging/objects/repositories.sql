-- objects of the input `repositories`: one row per ECR repository of the snapshot.
-- key: object_id.  from: staging.repositories.
-- Policies of this input read staging.repositories. Every file of this folder returns these columns.
SELECT
    repository_arn AS object_id,
    account_id,
    region,
    owner,
    created_at,
    collected_at,
    observed
FROM staging.repositories
