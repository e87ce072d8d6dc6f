-- findings: one page of the matching findings, one row per finding.
-- key: policy_id, repository_arn.  from: findings, findings/matching, remediation_plan, remediation_actions.
-- planned_action, planned_setting, planned_filters: the row of the remediation plan, NULL without one.
-- fix_outcome, fix_approver, fixed_at, fix_plan_id: the last change that an approved plan made, or tried, to the repository
-- since the finding began; NULL without one, and where that took an earlier change back.
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

last_actions AS (
    SELECT
        repository_arn,
        arg_max(outcome, acted_at) AS fix_outcome,
        arg_max(approver, acted_at) AS fix_approver,
        arg_max(plan_id, acted_at) AS fix_plan_id,
        max(acted_at) AT TIME ZONE 'UTC' AS fixed_at,
        arg_max(rollback_of IS NOT NULL, acted_at) AS is_rollback
    FROM remediation_actions
    WHERE acted_at IS NOT NULL
    GROUP BY repository_arn
),

known AS (
    SELECT
        findings.*,
        planned.* EXCLUDE (policy_id, repository_arn),
        last_actions.* EXCLUDE (repository_arn, is_rollback),
        findings.rowid AS place
    FROM findings
    LEFT JOIN planned USING (policy_id, repository_arn)
    LEFT JOIN last_actions
        ON last_actions.repository_arn = findings.repository_arn
        AND planned.planned_action IS NOT NULL
        AND NOT is_rollback
        AND fixed_at >= incompliant_start_date
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
