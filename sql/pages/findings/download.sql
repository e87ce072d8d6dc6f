-- download: one row per matching finding, with the columns and in the order of the table: by policy, the oldest
-- first.
-- key: policy_id, repository_arn.  from: findings/matching.
-- Not sorted here, so that rows are streamed and not held in memory.
SELECT * EXCLUDE (place)
FROM {findings/matching}
