-- How fast are findings fixed, by unit and month?
SELECT
    month,
    scope_id,
    fixed,
    median_days,
    p90_days
FROM time_to_fix
WHERE policy_id = '/ce/ca/aws/ecr/repository-image-tag-mutability'
ORDER BY month, scope_type = 'organization' DESC, scope_id;
