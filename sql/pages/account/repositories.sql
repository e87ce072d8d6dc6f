-- repositories: one row per repository of the account and its verdict under a policy, what is to be done first.
-- key: repository_arn.  from: policy_output, repositories.
-- A repository that was found gone tonight has a verdict (DISAPPEARED), and no setting any more.
SELECT
    object_id AS repository_arn,
    split_part(object_id, ':repository/', 2) AS repository_name,
    verdict.region,
    status,
    status_date,
    verdict.observed,
    image_tag_mutability,
    verdict.owner
FROM policy_output AS verdict
LEFT JOIN (FROM repositories WHERE account_id = $account_id) ON repository_arn = object_id
WHERE policy_id = $policy_id
    AND verdict.account_id = $account_id
ORDER BY
    list_position(['INCOMPLIANT', 'UNDETERMINED', 'DISAPPEARED', 'INAPPLICABLE', 'COMPLIANT'], status),
    status_date,
    repository_name,
    verdict.region
LIMIT $size OFFSET $offset
