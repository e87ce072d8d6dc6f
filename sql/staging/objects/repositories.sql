-- objects of the input `repositories`: one row per ECR repository of the snapshot.
-- key: object_id.  from: lake.repositories.
-- Policies of this input read staging.repositories, whose columns here are as in the lake, but for the owner. Every file of
-- this folder returns these columns.
SELECT
    repository_arn AS object_id,
    account_id,
    region,
    tagged_owner(tags) AS owner,
    created_at,
    collected_at,
    observed
FROM lake.repositories
