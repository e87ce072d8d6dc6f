-- plan: one page of the matching rows of the remediation plan: what can be done first, then in the order of the table.
-- key: policy_id, repository_arn.  from: remediation_plan, remediation/matching.
-- in_terraform, in_cloudformation, in_cdk: the proposed setting as code; NULL with HOLD.
-- Sorts the keys alone first, then reads all columns of those few, so that a page far down takes no more memory.
WITH chosen AS (
    SELECT place
    FROM {remediation/matching}
    ORDER BY list_position(['FIX_BY_API', 'FIX_IN_CODE', 'HOLD'], action), place
    LIMIT $size OFFSET $offset
)

SELECT
    *,
    CASE WHEN action <> 'HOLD' THEN mutability_in_terraform(proposed_setting, proposed_filters) END AS in_terraform,
    CASE WHEN action <> 'HOLD' THEN mutability_in_cloudformation(proposed_setting, proposed_filters) END
        AS in_cloudformation,
    CASE WHEN action <> 'HOLD' THEN mutability_in_cdk(proposed_setting, proposed_filters) END AS in_cdk
FROM remediation_plan
WHERE rowid IN (SELECT place FROM chosen)
ORDER BY list_position(['FIX_BY_API', 'FIX_IN_CODE', 'HOLD'], action), rowid
