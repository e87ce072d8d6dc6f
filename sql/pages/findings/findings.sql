-- findings: one page of the matching findings, one row per finding.
-- key: policy_id, repository_arn.  from: findings, findings/matching.
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
)

SELECT
    findings.*
FROM findings
WHERE rowid IN (SELECT place FROM chosen)
ORDER BY
    CASE $sort WHEN 'age' THEN age_days WHEN '-age' THEN -age_days END,
    CASE $sort WHEN 'repository' THEN repository_name WHEN 'account' THEN account_name WHEN 'owner' THEN owner
        WHEN 'region' THEN region WHEN 'status' THEN status END,
    CASE $sort WHEN '-repository' THEN repository_name WHEN '-account' THEN account_name WHEN '-owner' THEN owner
        WHEN '-region' THEN region WHEN '-status' THEN status END DESC,
    rowid
