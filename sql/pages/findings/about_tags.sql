-- about_tags: one row: whether a policy's findings have overwritable_tags; NULL: whether any policy's have.
-- from: findings.
SELECT EXISTS (
    FROM findings
    WHERE ($policy IS NULL OR policy_id = $policy)
        AND overwritable_tags IS NOT NULL
) AS about_tags
