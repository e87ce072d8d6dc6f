-- findings: one page of the matching findings, one row per finding.
-- key: policy_id, repository_arn.  from: findings, findings/matching, remediation_plan.
-- planned_action, planned_setting, planned_filters: the row of the remediation plan, NULL without one.
-- sort: age, repository, account, owner, region or status; with `-` before it, the last first. Ties: oldest first.
-- Sorts the keys alone first, then reads all columns of those few, so that a page far down takes no more memory.
WITH chosen AS (
    SELECT place
    FROM {findings/matching}
    ORDER BY
        CASE $sort WHEN 'age' THEN age_days WHEN '-age' THEN -age_days END,
        CASE $sort WHEN 'repository' THEN repository_name WHEN 'account' THEN account_name WHEN 'owner' THEN owner
            WHEN 'region' THEN region WHEN 'status' THEN status END,
        CASE $sort WHEN '-repository' THEN repository_name WHEN '-account' THEN account_name WHEN '-owner' THEN owner
            WHEN '-region' THEN region WHEN '-status' THEN status END DESC,
        place
    LIMIT $size OFFSET $offset
),

planned AS (
    SELECT
        policy_id,
        repository_arn,
        action AS planned_action,
        proposed_setting AS planned_setting,
        proposed_filters AS planned_filters
    FROM remediation_plan
),

known AS (
    SELECT
        findings.* REPLACE (fix_acted_at AT TIME ZONE 'UTC' AS fix_acted_at),
        planned.* EXCLUDE (policy_id, repository_arn),
        findings.rowid AS place
    FROM findings
    LEFT JOIN planned USING (policy_id, repository_arn)
    WHERE findings.rowid IN (SELECT place FROM chosen)
)

SELECT * EXCLUDE (place)
FROM known
ORDER BY
    CASE $sort WHEN 'age' THEN age_days WHEN '-age' THEN -age_days END,
    CASE $sort WHEN 'repository' THEN repository_name WHEN 'account' THEN account_name WHEN 'owner' THEN owner
        WHEN 'region' THEN region WHEN 'status' THEN status END,
    CASE $sort WHEN '-repository' THEN repository_name WHEN '-account' THEN account_name WHEN '-owner' THEN owner
        WHEN '-region' THEN region WHEN '-status' THEN status END DESC,
    known.place
