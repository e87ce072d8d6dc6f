-- owners: one row per repository that has a verdict: who owns it; of one that is gone, who did.
-- key: object_id.  from: staging.repositories, lake.policy_output, lake.previous_repositories, lake.previous_accounts.
WITH gone AS (
    SELECT DISTINCT object_id
    FROM lake.policy_output
    WHERE status IN ('DISAPPEARED', 'INAPPLICABLE')
)

SELECT
    repository_arn AS object_id,
    owner
FROM staging.repositories
UNION ALL
SELECT
    p.repository_arn AS object_id,
    coalesce(tagged_owner(p.tags), a.account_name, p.account_id) AS owner
FROM lake.previous_repositories AS p
SEMI JOIN gone AS g ON g.object_id = p.repository_arn
ANTI JOIN lake.repositories AS r ON r.repository_arn = p.repository_arn
LEFT JOIN lake.previous_accounts AS a ON a.account_id = p.account_id
