-- about_tags: the one row that says whether the findings of a policy say which tags can be overwritten; NULL: of any policy.
-- from: findings.
SELECT EXISTS (
    FROM findings
    WHERE ($policy IS NULL OR policy_id = $policy)
        AND overwritable_tags IS NOT NULL
) AS about_tags
