-- policy_disagreements: one row per repository and pair of policies of which one finds it COMPLIANT and the other
-- INCOMPLIANT, although both check the same thing.
-- key: repository_arn, policy_id, other_policy_id.  from: lake.policy_output, staging.repositories, lake.accounts,
-- catalog.policies.
-- Policies check the same thing if they name the same check among their similar_policies: the default and the strict
-- reading of Security Hub's ECR.2. policy_id is the more lenient one. The repository's setting and what follows from it are
-- NULL when that policy is not about it, as in findings.
WITH pairs AS (
    SELECT
        p.policy_id,
        q.policy_id AS other_policy_id,
        list_contains(p.finding_columns, 'overwritable_tags') AS is_about_tags
    FROM catalog.policies AS p
    JOIN catalog.policies AS q
        ON q.policy_id <> p.policy_id
        AND list_has_any(q.similar_policies, p.similar_policies)
)

SELECT
    o.snapshot_date,
    o.object_id AS repository_arn,
    o.account_id,
    a.account_name,
    a.ou_path,
    o.region,
    r.repository_name,
    o.owner,
    o.owner_source,
    CASE WHEN p.is_about_tags THEN r.image_tag_mutability END AS image_tag_mutability,
    CASE WHEN p.is_about_tags THEN r.exclusion_filters END AS exclusion_filters,
    CASE WHEN p.is_about_tags THEN r.overwritable_tags END AS overwritable_tags,
    o.policy_id,
    o.status,
    p.other_policy_id,
    s.status AS other_status,
    s.current_state_message AS other_state_message
FROM pairs AS p
JOIN lake.policy_output AS o ON o.policy_id = p.policy_id AND o.status = 'COMPLIANT'
JOIN lake.policy_output AS s
    ON s.policy_id = p.other_policy_id
    AND s.object_id = o.object_id
    AND s.status = 'INCOMPLIANT'
LEFT JOIN staging.repositories AS r ON r.repository_arn = o.object_id
LEFT JOIN lake.accounts AS a ON a.account_id = o.account_id
