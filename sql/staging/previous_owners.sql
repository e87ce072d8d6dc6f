-- previous_owners: one row per repository of the snapshot before that is gone, not judged any more, or had a finding
-- that has ended: who owned it then, and whether it still is there.
-- key: object_id.  from: lake.policy_output, staging.recreated, lake.previous_repositories, lake.previous_accounts,
-- lake.repositories.
WITH wanted AS (
    SELECT object_id
    FROM lake.policy_output
    WHERE status IN ('DISAPPEARED', 'INAPPLICABLE')
        OR incompliant_end_date = $snapshot_date
    UNION
    SELECT object_id
    FROM staging.recreated
),

previous AS (
    SELECT
        p.repository_arn AS object_id,
        coalesce(tagged_owner(p.tags), a.account_name, p.account_id) AS owner
    FROM lake.previous_repositories AS p
    SEMI JOIN wanted AS w ON w.object_id = p.repository_arn
    LEFT JOIN lake.previous_accounts AS a USING (account_id)
)

SELECT
    p.object_id,
    p.owner,
    r.repository_arn IS NULL AS is_gone
FROM previous AS p
LEFT JOIN lake.repositories AS r ON r.repository_arn = p.object_id
